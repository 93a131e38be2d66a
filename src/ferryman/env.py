"""`env.new`: another environment's inventory, with placeholders where only people know what belongs there."""

import ipaddress
import os
import re
import secrets as randomness
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from ferryman import agreement, environments, paths, places, secrets, variables
from ferryman.environments import LOCAL, Environment
from ferryman.errors import Stop
from ferryman.init import describe, sandboxes
from ferryman.init.files import VARIABLES, Layout, refusals, template, templates
from ferryman.init.model import name_from

Told = dict[str, Any]
Files = dict[str, str]

# docs/decisions/0001-formats.md: the rule for an environment's name.
NAME = re.compile(r"(?=.{1,20}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")
ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{1,4}:[0-9a-fA-F:]*:[0-9a-fA-F:]*)(?![\w.:])")
VAULT = "vault.yml"
APPS = f"{VARIABLES}/apps.yml"
FIRST = 10  # of the addresses 192.0.2.x that are given out


@refusals()
def new(env: str, *, source: str, sandbox: str = "") -> Told:
    """Make the inventory of a new environment, from templates, from the environment `source`, or for a `sandbox`.

    Returns what was made and what is to be filled in. Stop where there is one already; nothing is overwritten.
    """
    root = paths.project_root()
    if not NAME.fullmatch(env):
        wrong = (
            f"{env!r} can be no environment's name" if env else "--env is needed: what the new environment is called"
        )
        raise Stop(wrong, hint="lower-case letters, digits and single dashes, at most 20, like staging or prod-eu")
    if (root / "inventories" / env).exists():
        raise Stop(f"{root / 'inventories' / env} is there already, and is left as it is", hint="choose another name")
    if source == LOCAL:
        raise Stop(
            "local is a sandbox, and no server is like it", hint="leave --from out: its applications are taken over"
        )
    if sandbox and source:
        raise Stop("--from begins with servers, --sandbox with hosts on this machine", hint="take one of the two")
    like = environments.resolve(source, default_local=False) if source else None
    begins_with = like or _local(root)
    broken = list(places.malformed(begins_with)) if begins_with else []
    if broken and begins_with:
        raise variables.refusal(begins_with, broken)
    own = read(like) if like else {}
    if sandbox:
        files = sandboxed(env, _local_apps(root), topology=sandbox, name=name_from(root.name))
    else:
        files = copied(own, env=env) if like else blank(env, _local_apps(root))
    layout = Layout(root)
    layout.environment(env, files)
    key = _key(root, env)
    made = environments.resolve(env, project=root)
    if sandbox:
        secrets.ensure(made, secrets.lacking(made))  # nobody else will ever need them
    return {
        "environment": env,
        "made": layout.made,
        # What a check would name; a secret has a command of its own below.
        "placeholders": [str(found) for found in agreement.survey(made)[0] if not secrets.NAME.fullmatch(found.key)],
        "secrets": secrets.lacking(made),
        "sandbox": sandbox,
        "left_out": left_out(like, own) if like else [],
        "vault_key": str(key.relative_to(root)),
        "vault": str((made.variables / VAULT).relative_to(root)),
    }


def read(environment: Environment) -> Files:
    """Return an environment's own files, but for its secrets: path in it -> text."""
    found = {"hosts.yml": environment.inventory.read_text(encoding="utf-8")}
    for path in places.files(environment)[1:]:
        name = path.relative_to(environment.directory).as_posix()
        if path.name != VAULT and "/00-shared/" not in name:
            found[name] = path.read_text(encoding="utf-8")
    return {name: text for name, text in found.items() if "$ANSIBLE_VAULT" not in text}


def left_out(environment: Environment, files: Files) -> list[str]:
    """Return an environment's own files, but for its vault, that `read` did not take along: secrets are in them."""
    every = (path.relative_to(environment.directory).as_posix() for path in places.files(environment))
    vault = f"{VARIABLES}/{VAULT}"
    return [name for name in every if name not in files and name != vault and "/00-shared/" not in name]


def blank(env: str, apps: Mapping[str, Any]) -> Files:
    """Return the files of a new environment with one host, for these applications."""
    told = {}
    for name, app in apps.items():
        domains = [f"{name}-{env}.example"]
        told[name] = {**app, "domains": domains} if isinstance(app, dict) else {"domains": domains}
    files = {name: template(f"env/{name}", {"env": env}) for name in templates("env")}
    return {**files, APPS: "---\n" + describe.dump({"apps": told})}


def sandboxed(env: str, apps: Mapping[str, Any], *, topology: str, name: str) -> Files:
    """Return the files of a new environment of sandbox hosts, for these applications under names of their own.

    Their databases are on another host where there are several.
    """
    told = {app: {**values, "domains": [f"{app}.{env}.localhost"]} for app, values in apps.items()}
    text = describe.dump({"apps": told})
    if topology != sandboxes.SINGLE:
        text = text.replace("@127.0.0.1", "@{{ hostvars[groups.db[0]].release_address }}")
    return {**sandboxes.files(topology, env=env, name=f"{name}-{env}"), APPS: "---\n" + text}


def copied(files: Mapping[str, str], *, env: str) -> Files:
    """Return another environment's files for this one: its hosts, domains and addresses become placeholders.

    The text is changed and not written anew: comments and sizes stay.
    """
    words: dict[str, str] = {}
    for number, (host, address) in enumerate(_hosts(_yaml(files["hosts.yml"])).items(), 1):
        addresses = {address, *(given for name, given in _addresses(files) if _host_of(name) == host)} - {""}
        # A host without an address is reached by its name.
        words[host] = f"{env}{number}" if addresses else f"{env}{number}.example"
        words |= dict.fromkeys(addresses, f"192.0.2.{FIRST + number - 1}")
    for _, address in _addresses(files):  # of a group
        words.setdefault(address, f"192.0.2.{FIRST + len(words)}")
    for app, told in _apps(files.get(APPS, "")).items():
        given = (told.get("domains") or []) if isinstance(told, dict) else []
        for number, domain in enumerate([given] if isinstance(given, str) else given, 1):
            words[str(domain)] = f"{app}-{env}{'' if number == 1 else f'-{number}'}.example"
    for address in _public(files.values()):
        words.setdefault(address, f"192.0.2.{FIRST + len(words)}")
    return {
        _renamed(name, words): re.sub(r"(?m)^environment_name:.*$", f"environment_name: {env}", _replaced(text, words))
        for name, text in files.items()
    }


def _addresses(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return the addresses that files of variables give to hosts, each with its file; a template is none."""
    for name, text in files.items():
        given = _yaml(text).get("ansible_host") if name != "hosts.yml" else None
        if isinstance(given, str) and given and "{" not in given:
            yield name, given


def _host_of(name: str) -> str:
    """Return the host whose own values a file holds; empty where it is no host's."""
    kind, _, rest = name.partition("/")
    return re.sub(r"\.ya?ml$", "", rest.partition("/")[0]) if kind == "host_vars" else ""


def _renamed(name: str, words: Mapping[str, str]) -> str:
    """Return a file's name in the new environment, where hosts have other names."""
    host = _host_of(name)
    return f"host_vars/{words.get(host, host)}{name[len('host_vars/') + len(host) :]}" if host else name


def _yaml(text: str) -> dict[str, Any]:
    """Return a file's values; what is encrypted or unsafe in Ansible's sense is left out."""
    try:
        found = places.values(text)
    except yaml.YAMLError as error:
        raise Stop(f"the environment to begin with cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _hosts(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the hosts of an inventory in YAML, each with its `ansible_host` (empty where its name leads to it)."""
    found: dict[str, str] = {}
    for group in tree.values():
        if not isinstance(group, dict):
            continue
        for host, values in (group.get("hosts") or {}).items():
            found[str(host)] = str((values or {}).get("ansible_host") or found.get(str(host), ""))
        for host, address in _hosts(group.get("children") or {}).items():
            found[host] = address or found.get(host, "")
    return found


def _replaced(text: str, words: Mapping[str, str]) -> str:
    """Return `text` with whole words replaced, the longest first, each place once."""
    if not words:
        return text
    every = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{every})(?![\w-]|\.\w)", lambda match: words[match[0]], text)


def _public(texts: Iterable[str]) -> Iterator[str]:
    """Return the addresses in these texts that lead somewhere on the internet."""
    for found in (found for text in texts for found in ADDRESS.findall(text)):
        with suppress(ValueError):  # what looks like an address, and is none
            if ipaddress.ip_address(found).is_global:
                yield found


def _apps(text: str) -> dict[str, Any]:
    """Return the applications that a file names."""
    found = _yaml(text).get("apps") or {}
    if not isinstance(found, dict):
        raise Stop("`apps` of the environment to begin with is no map", hint="wanted: applications by name, below it")
    return found


def _local(root: Path) -> Environment | None:
    return environments.resolve(LOCAL, project=root) if LOCAL in environments.names(root) else None


def _local_apps(root: Path) -> dict[str, Any]:
    """Return the applications of `local`, for a new environment to have them too."""
    path = root / "inventories" / LOCAL / APPS
    return _apps(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _key(root: Path, env: str) -> Path:
    """Make the key of the environment's vault, where there is none; return where it lies."""
    path = paths.state_directory(root) / "vault" / f"{env}.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.is_file():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
            stream.write(randomness.token_urlsafe(secrets.LENGTH) + "\n")
    return path


def words(told: Mapping[str, Any]) -> str:
    """Say what was made, and what is to be done before the first deploy."""
    env, key = told["environment"], told["vault_key"]
    lines = [f"{env}: {len(told['made'])} files made", *(f"  made  {name}" for name in told["made"])]
    lines += [
        f"  left out  {name}: there are secrets in it; carry over by hand what belongs here, too"
        for name in told["left_out"]
    ]
    lines += [
        f"The key of its vault is {key}, in no repository: keep a copy where your team keeps passwords.",
        "",
        "next:",
    ]
    lines += [f"  {problem}" for problem in told["placeholders"]]
    environment = environments.resolve(env)
    lines += [f"  openssl rand -hex 32 | tr -d '\\n' | {secrets.way_in(environment, name)}" for name in told["secrets"]]
    if told["secrets"]:
        lines.append("      # or, for a secret that others gave you: printf %s 'VALUE' | ansible-vault ...")
    lines += [] if told["sandbox"] else [f"  {paths.command('provision', env)}"]
    return "\n".join([*lines, f"  {paths.command('deploy', env)}"])
