"""Where the key of an environment's vault is, and the first secrets of `local`: generated, encrypted, never in git.

A vault's key is a file below .ferryman/vault (private, ignored by git), or a program or file that
FERRYMAN_VAULT_<ENV> names.
"""

import os
import re
import secrets
import shlex
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from ferryman import paths, places
from ferryman.environments import LOCAL, Environment
from ferryman.errors import Stop

NAME = re.compile(r"\bvault_[a-z0-9_]+\b")
DEFINED = re.compile(r"^(vault_[a-z0-9_]+):", re.MULTILINE)
LENGTH = 32  # bytes of randomness
COMMENT = re.compile(r"(^|(?<=\s))#.*", re.MULTILINE)
KEY = re.compile(r"[\"']?(\w+)[\"']?\s*:")
CONNECTION = re.compile(r"\bansible_\w+")
"""An option by which Ansible reaches a host, or becomes root there."""
DIGITS = re.compile(r"\d+")
BEGUN = "---\n"
BEGUN_LOCAL = f"{BEGUN}# Generated for this machine alone; not in git.\n"


def key_file(environment: Environment) -> Path | None:
    """Return the file (or program) that gives the vault's password, or None where the environment has no vault."""
    variable = _variable(environment)
    if os.environ.get(variable):
        return Path(os.environ[variable]).expanduser().resolve()
    path = _own_key(environment)
    if path.is_file():
        return path
    if (environment.variables / "vault.yml").is_file():
        raise Stop(
            f"{environment.variables / 'vault.yml'} is encrypted, and its key is not here",
            hint=key_wanted(environment),
        )
    return None


def key_wanted(environment: Environment) -> str:
    """Say where the key of a vault is looked for."""
    path = _own_key(environment)
    return f"put its password into {path} (mode 0600), or name a file in {_variable(environment)}"


def _own_key(environment: Environment) -> Path:
    """Return where the key of a vault lies unless a variable names another file."""
    return paths.state_directory() / "vault" / f"{environment.name}.key"


def way_in(environment: Environment, name: str) -> str:
    """Return the command that reads a secret and gives it to the vault of an environment, as typed at the root."""
    root = environment.directory.parent.parent
    try:
        key = key_file(environment)
    except Stop:
        key = None
    key = key or root / ".ferryman" / "vault" / f"{environment.name}.key"
    vault = (environment.variables / "vault.yml").relative_to(root)
    shown = shlex.quote(str(key.relative_to(root) if key.is_relative_to(root) else key))
    program = ".venv/bin/ansible-vault" if paths.in_checkout() and root == paths.CHECKOUT else "ansible-vault"
    return f"{program} encrypt_string --vault-id {environment.name}@{shown} --stdin-name {name} >> {vault}"


def another(environment: Environment, setting: str) -> str:
    """Return what to type where a setting has the wrong secret, by the secret that files of the environment give it."""
    taken = re.compile(rf"^{setting}:.*\b(vault_[a-z0-9_]+)", re.MULTILINE)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in places.files(environment)]
    name = next((found[1] for text in texts if (found := taken.search(text))), "")
    if not name:
        return f"give {setting} the right one, and try again"
    vault = environment.variables / "vault.yml"
    return (
        f"remove {name} from {vault.relative_to(environment.directory.parent.parent)}, and have it read the right one: "
        f"`{way_in(environment, name)}` (type it without Enter, then Ctrl-D twice); then try again"
    )


def pending(environment: Environment) -> list[str]:
    """Return the secrets that a deploy would generate: those that files of `local` use and its vault lacks, sorted."""
    text = _vault(environment)
    if environment.name != LOCAL or text.startswith("$ANSIBLE_VAULT"):  # as a whole it may hold them, and takes no line
        return []
    return sorted(_wanted(environment) - set(DEFINED.findall(text)))


def ensure_local(environment: Environment) -> list[str]:
    """Generate what is `pending`; return the new names."""
    return ensure(environment, pending(environment))


def ensure(environment: Environment, missing: list[str]) -> list[str]:
    """Generate secrets that nothing defines, and a key where there is no vault yet; return the names."""
    if not missing:
        return []
    vault, text = environment.variables / "vault.yml", _vault(environment)
    key = _vault_key(environment, text)
    from ferryman import variables

    if text and not text.endswith("\n"):
        text += "\n"  # or the first of them would be a part of the last one's block
    for name in missing:
        text += variables.encrypted(name, secrets.token_urlsafe(LENGTH), environment=environment.name, key=key)
    paths.write(vault, text)
    return missing


def require_new(environment: Environment, names: list[str]) -> None:
    """Refuse a secret that is another one misspelt: a new one opens nothing that the old one closed."""
    known = DEFINED.findall(_vault(environment))
    for name in names:
        if near := meant(name, known):
            raise Stop(f"{environment.name} lacks {name}: did you mean {near}?", hint=f"`{way_in(environment, name)}`")


def _vault_key(environment: Environment, text: str) -> Path:
    """Return the key of a vault that reads `text` now; one that holds nothing yet gets its key."""
    key = _own_key(environment)
    if key.is_file() or os.environ.get(_variable(environment)):
        return key_file(environment) or key
    if DEFINED.search(text):
        vault = environment.variables / "vault.yml"
        raise Stop(
            f"{vault} is here and its key {key} is not", hint="bring the key back, or remove the file to begin anew"
        )
    key.parent.mkdir(mode=0o700, exist_ok=True)
    paths.write(key, secrets.token_urlsafe(LENGTH) + "\n")
    return key


def _variable(environment: Environment) -> str:
    """Return the variable that names another file for the key of a vault."""
    return f"FERRYMAN_VAULT_{environment.name.upper().replace('-', '_')}"


def meant(name: str, known: Iterable[str]) -> str:
    """Return the known secret that a new name is a misspelling of; empty where it is a name of its own.

    Names of two applications, or of two of a kind, differ by a whole word or by a number: neither is a misspelling.
    """
    words, digits = name.split("_"), DIGITS.findall(name)
    for near in get_close_matches(name, [each for each in known if DIGITS.findall(each) == digits], cutoff=0.9):
        pairs = list(zip(words, near.split("_"), strict=False))
        if len(words) != near.count("_") + 1 or all(get_close_matches(a, [b], cutoff=0.7) for a, b in pairs):
            return near
    return ""


def require(environment: Environment) -> None:
    """Refuse an environment with files that nobody can read, or that use secrets which nothing there defines."""
    missing = lacking(environment)
    if missing:
        _refuse(environment, missing)


def stand_ins(environment: Environment) -> dict[str, str]:
    """Return a value in the place of each secret that nothing defines: who looks at what is live needs its name alone.

    Stop where it is one that leads to the hosts, and where a file cannot be read; what else is wrong with files is no
    reason to refuse a look.
    """
    missing = lacking(environment)
    leading = [name for name in missing if leads_to_hosts(name, map(_said, places.files(environment)))]
    if leading:
        _refuse(environment, leading)
    return in_place_of(missing)


def leads_to_hosts(name: str, texts: Iterable[str]) -> bool:
    """Say whether an option by which Ansible reaches hosts is made from `name`, over other variables too."""
    blocks = [block for text in texts for block in _blocks(text)]
    known, fresh = set[str](), {name}
    while fresh:
        known |= fresh
        users = [block for block in blocks if any(re.search(rf"\b{each}\b", block.partition(":")[2]) for each in fresh)]
        if any(CONNECTION.search(block) for block in users):
            return True
        fresh = {key[1] for block in users if (key := KEY.match(block))} - known
    return False


def _blocks(text: str) -> Iterator[str]:
    """Yield each variable of a file with all that it holds."""
    block = ""
    for line in text.splitlines():
        if KEY.match(line) and block:
            yield block
            block = ""
        block += line + "\n"
    yield block


def in_place_of(names: Iterable[str]) -> dict[str, str]:
    """Return a value in the place of each secret among names: nobody reads it, and nothing is written."""
    return {name: "missing" for name in names if name.startswith("vault_")}


def lacking(environment: Environment) -> list[str]:
    """Return the secrets that files use and nothing defines, sorted; Stop where a file cannot be read.

    Files that are encrypted as a whole may hold them: with one of those, Ansible finds out.
    """
    unread = [problem for problem in places.malformed(environment) if problem.key == "the file"]
    if unread:
        from ferryman import variables

        raise variables.refusal(environment, unread)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in places.files(environment)]
    if any(text.startswith("$ANSIBLE_VAULT") for text in texts):
        return []
    return sorted(_wanted(environment) - {name for text in texts for name in DEFINED.findall(text)})


def _refuse(environment: Environment, missing: list[str]) -> NoReturn:
    hint = (
        f"`{paths.command('deploy', LOCAL)}` makes them"
        if environment.name == LOCAL
        else f"`{way_in(environment, missing[0])}` takes one; "
        "Ferryman's docs/guides/first-server.md, step 2, makes them all"
    )
    raise Stop(f"{environment.name} lacks secrets that its files use: {', '.join(missing)}", hint=hint)


def used(path: Path) -> list[tuple[str, int]]:
    """Return the secrets that a file uses, each with its line; a comment uses none."""
    lines = enumerate(_said(path).splitlines(), 1)
    return [(name, number) for number, line in lines for name in NAME.findall(line)]


def _said(path: Path) -> str:
    """Return what a file says without its comments; of a vault, which defines and uses none, nothing."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return "" if path.name == "vault.yml" else COMMENT.sub("", text)


def _wanted(environment: Environment) -> set[str]:
    """Return the names of all secrets that the environment's files use: the same that a check asks for."""
    return {name for path in places.files(environment) for name, _ in used(path)}


def _vault(environment: Environment) -> str:
    vault = environment.variables / "vault.yml"
    begun = BEGUN_LOCAL if environment.name == LOCAL else BEGUN
    return vault.read_text(encoding="utf-8") if vault.is_file() else begun
