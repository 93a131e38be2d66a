"""An environment's variables: where each comes from, and whether the roles can work with them (ENV-5).

Alone in the package, this module imports ansible: its loader, inventory and vault read the files exactly as a run
would, and its validator judges the values. Everything wrong is found before any host is touched, at once, and with
its place.
"""

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from ferryman import fitting, paths, specs, wiring
from ferryman.environments import Environment
from ferryman.errors import Stop
from ferryman.places import Place, Problem, files, find_key, malformed, named_files, relative

# Known to inventories, and no role's: what an environment is, its applications, and the sandbox's containers.
COMMON = {"environment_name", "apps", "host_shared", "lock_host"}
# Old names of settings and their new ones, for two releases: "backup_keep_days": "backup_keep".
RENAMED: dict[str, str] = {}
FREE = re.compile(r"^(ansible|vault|sandbox|molecule)_")
SEALED = "{{ vault_that_no_key_opens }}"
"""Takes the place of a value that no key opens: nothing fills it in, and no rule judges it."""


class KeyUnread(Stop):
    """The key of a vault is named and cannot be read."""


class Unfilled(Exception):  # noqa: N818  # a value that is not filled in, and says why
    """A template that could not be filled in; `undefined` where a name in it is nobody's."""

    def __init__(self, said: str, *, undefined: bool):
        super().__init__(said)
        self.undefined = undefined


@dataclass
class Loaded:
    """An environment as Ansible reads it: `hosts` holds each host's variables, templates not yet filled in."""

    environment: Environment
    groups: dict[str, list[str]]
    hosts: dict[str, dict[str, Any]]
    loader: Any = field(repr=False)
    inventory: Any = field(repr=False)
    hostvars: Any = field(repr=False)
    """The variables of every host, for templates that read another host's."""
    partial: bool = False
    """Whether files are left out: what is missing may stand in one of them, and is not told."""
    unread: dict[Path, tuple[int, str]] = field(default_factory=dict)
    """Files that Ansible does not take, though they are YAML: the line (0: unknown), and what it says."""
    sealed: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    """The values that no key here opens: the host, and the keys that lead there from its variables."""
    judged: set[tuple[Any, ...]] = field(default_factory=set, repr=False)
    """What was found good: hosts share the values of their groups, and each is judged once."""
    templars: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Every text that must not be shown: of vaults, of options marked so, of applications."""
        options = {name: option for role in specs.roles().values() for name, option in role.options.items()}
        hidden = {name: option for name, option in options.items() if fitting.is_secret(option)}
        return frozenset(text for host in self.hosts for text in self._secrets(host, hidden))

    def _secrets(self, host: str, hidden: Mapping[str, specs.Option]) -> Iterator[str]:
        whole: specs.Option = {"no_log": True}
        app: specs.Option = {"options": {"secrets": whole, "database": {"options": {"password": whole}}}}
        for name, value in self.hosts[host].items():
            if name == "apps" and isinstance(value, dict):
                found = [text for told in value.values() for text in fitting.secret_texts(app, told)]
            elif name in hidden or name.startswith("vault_"):
                found = [*fitting.secret_texts(hidden.get(name, whole), value)]
            else:
                continue
            for text in found:
                # One that cannot be filled in names what it lacks, and that is no secret.
                with contextlib.suppress(Unfilled):
                    yield str(self.fill(host, text))

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Every role's defaults: an environment's values may refer to them."""
        found: dict[str, Any] = {}
        for path in sorted((paths.collection_root() / "roles").glob("*/defaults/main.yml")):
            # "Unsafe" is Ansible's word for what is no copy of its own: nobody changes these.
            found |= self.loader.load_from_file(str(path), unsafe=True, trusted_as_template=True) or {}
        return found

    def value(self, host: str, name: str) -> Any:
        """Return a variable of a host with its templates filled in; KeyError if not set, Stop if it can't be filled."""
        try:
            return self.fill(host, self.hosts[host][name])
        except Unfilled as error:
            raise Stop(f"{self.place(host, name)}: {name} cannot be filled in: {error}") from error

    def fill(self, host: str, value: Any) -> Any:
        """Return `value` with its templates filled in from the host's variables; Unfilled if that fails."""
        from ansible.errors import AnsibleError, AnsibleUndefinedVariable

        try:
            return self._templar(host).template(value)
        except AnsibleError as error:
            raise Unfilled(first_line(error), undefined=isinstance(error, AnsibleUndefinedVariable)) from error

    def _templar(self, host: str) -> Any:
        from ansible.template import Templar

        if host not in self.templars:
            self.templars[host] = Templar(
                self.loader, variables=self.defaults | {"hostvars": self.hostvars} | self.hosts[host]
            )
        return self.templars[host]

    def members(self, pattern: str) -> list[str]:
        """Return the hosts that a play's `hosts:` means here; a group that the environment has not is empty."""
        if "{{" in pattern:
            return list(self.hosts)
        known = [part for part in re.split(r"[:,]", pattern) if self.is_known(part)]
        if not known or known[0].startswith(("!", "&")):
            return []
        return [host.name for host in self.inventory.get_hosts(":".join(known)) if host.name in self.hosts]

    def is_known(self, part: str) -> bool:
        """Say whether a part of a pattern names something here (Ansible warns about each that does not)."""
        name = part.strip().lstrip("!&").split("[")[0]
        return name in self.groups or name in self.hosts or "*" in name

    def place(self, host: str, name: str, within: Iterable[Any] = ()) -> Place:
        """Return where a host's value was given, or where a part of it was; the file of hosts if nobody knows."""
        keys, origin = tuple(within), origin_of(self.hosts[host].get(name))
        files = [origin.file] if origin else self.files(host)
        named = next((found for path in files if (found := find_key(path, name, keys, host=host))), None)
        return relative(named or origin or Place(self.environment.inventory), self.environment)

    def files(self, host: str) -> list[Path]:
        """Return the files that may set a host's variables, the strongest first."""
        groups = [name for name, members in self.groups.items() if host in members and name != "all"]
        weakest_first = [self.environment.inventory]
        for where in ("group_vars/all", *(f"group_vars/{name}" for name in groups), f"host_vars/{host}"):
            weakest_first += named_files(self.environment.directory / where)
        return weakest_first[::-1]


def load(environment: Environment, *, vault_ids: Iterable[str] = ()) -> Loaded:
    """Read an environment: its files, groups, hosts and (with the vaults of `vault_ids`, as `name@script`) its secrets.

    A file that can't be read is a Stop that names it.
    """
    broken = list(malformed(environment))
    if broken:
        raise refusal(environment, broken)
    loaded = read(environment, vault_ids=vault_ids)
    for path, (line, said) in loaded.unread.items():
        raise Stop(f"environment {environment.name} cannot be read: {relative(Place(path, line), environment)}: {said}")
    return loaded


def read(environment: Environment, *, vault_ids: Iterable[str] = (), without: Collection[Path] = ()) -> Loaded:
    """Return an environment as Ansible reads it, `without` the files that are broken; Stop where that fails, too.

    KeyUnread where the key of a vault cannot be read. What no key opens is not told here: see `Loaded.sealed`.
    """
    os.environ.setdefault("ANSIBLE_CONFIG", str(paths.ansible_config()))
    os.environ.setdefault("ANSIBLE_COLLECTIONS_PATH", str(paths.collections_path()))
    os.environ.setdefault("ANSIBLE_DEPRECATION_WARNINGS", "false")  # as runs have it: what is wrong is told here
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.plugins.vars import host_group_vars
    from ansible.utils.collection_loader import AnsibleCollectionConfig
    from ansible.vars.hostvars import HostVars
    from ansible.vars.manager import VariableManager

    ours, unread = frozenset(files(environment)), dict[Path, tuple[int, str]]()

    class Loader(DataLoader):  # type: ignore[misc]  # ansible has no types
        def load_from_file(self, file_name: str, *args: Any, **kwargs: Any) -> Any:
            path = Path(file_name)
            try:
                if path not in without and path not in unread:
                    return super().load_from_file(file_name, *args, **kwargs)
            except AnsibleError as error:
                if path not in ours:
                    raise
                unread[path] = _line_of(error), first_line(error)
            return {"all": {}} if path == environment.inventory else {}

    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
    host_group_vars.FOUND.clear()  # which files there are, as of the last time in this process: a vault may be new
    host_group_vars.NAK.clear()  # and which directories there are not
    loader = Loader()
    try:
        _open_vaults(loader, list(vault_ids))
        inventory = InventoryManager(loader, [str(environment.inventory)])
        manager = VariableManager(loader, inventory)
        hosts = {
            host.name: {name: value for name, value in manager.get_vars(host=host).items() if isinstance(name, str)}
            for host in inventory.get_hosts()
        }  # another name is told where the files are read as plain YAML
    except AnsibleError as error:
        raise Stop(f"environment {environment.name} cannot be read: {first_line(error)}") from error
    groups = {name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()}
    seen = set[int]()
    sealed = [(host, keys) for host, values in hosts.items() for keys in _sealed(values, (), seen)]
    partial = bool(without) or bool(unread)
    hostvars = HostVars(inventory, manager, loader)
    return Loaded(
        environment, groups, hosts, loader, inventory, hostvars, partial=partial, unread=unread, sealed=sealed
    )


def _sealed(holder: Any, above: tuple[Any, ...], seen: set[int]) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of each value in a map or list that no key opens, and put SEALED in its place."""
    from ansible.errors import AnsibleError
    from ansible.parsing.vault import EncryptedString
    from ansible.template import trust_as_template

    if id(holder) in seen:  # hosts share what their groups give
        return
    seen.add(id(holder))
    for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
        if isinstance(value, EncryptedString):
            try:
                str(value)
            except (AnsibleError, ValueError):
                holder[key] = trust_as_template(SEALED)
                yield (*above, key)
        elif isinstance(value, (dict, list)):
            yield from _sealed(value, (*above, key), seen)


def _open_vaults(loader: Any, vault_ids: list[str]) -> None:
    """Let `loader`, and values that are encrypted one by one, be read with these vaults and no others.

    Those that Ansible's own settings name come with them. Its command line would only warn of a key that it can't read.
    """
    from ansible.cli import CLI
    from ansible.errors import AnsibleError
    from ansible.parsing.vault import VaultSecretsContext, get_file_vault_secret

    found = CLI.setup_vault_secrets(loader, vault_ids=[], auto_prompt=False, initialize_context=False)
    for name, _, file in (each.partition("@") for each in vault_ids):
        try:
            secret = get_file_vault_secret(filename=file, vault_id=name, loader=loader)
            secret.load()
        except (AnsibleError, OSError) as error:
            raise KeyUnread(first_line(error)) from error
        found.append((name, secret))
    loader.set_vault_secrets(found)
    context = VaultSecretsContext.current(optional=True)
    if context:  # one for the whole process, and a second environment may be read in it
        context.secrets = found
    else:
        VaultSecretsContext.initialize(VaultSecretsContext(found))


def encrypted(name: str, value: str, *, environment: str, key: Path) -> str:
    """Return the line of a variables file that sets `name` to `value`, encrypted for the vault of an environment.

    `key` is a file, or a program that prints the key, as Ansible has them.
    """
    from ansible.parsing.dataloader import DataLoader
    from ansible.parsing.vault import VaultLib, get_file_vault_secret

    secret = get_file_vault_secret(filename=str(key), vault_id=environment, loader=DataLoader())
    secret.load()
    text = VaultLib([(environment, secret)]).encrypt(value, secret, environment).decode()
    return f"{name}: !vault |\n" + "".join(f"  {line}\n" for line in text.splitlines())


def refusal(environment: Environment, problems: list[Problem]) -> Stop:
    """Return the Stop that lists every problem, one a line; `--json` gets them as fields."""
    lines = "\n".join(f"  {problem}" for problem in problems)
    facts: dict[str, object] = {
        "problems": [
            {"file": str(p.place.file), "line": p.place.line, "key": p.key, "wrong": p.wrong, "right": p.right}
            for p in problems
        ]
    }
    return Stop(
        f"environment {environment.name} is not usable, nothing was touched:\n{lines}",
        hint="repair these lines and run it again",
        facts=facts,
    )


def validate(loaded: Loaded, *, renamed: Mapping[str, str] = RENAMED) -> list[Problem]:
    """Return everything that is wrong with an environment's variables, sorted by place, each once.

    `renamed` maps settings' old names to new ones: they are refused by both.
    """
    roles, words = specs.roles(), playbook_words()
    uses = [use for use in wiring.uses(paths.collection_root()) if use.role in roles]
    meets = {use.hosts: set(loaded.members(use.hosts)) for use in uses}
    found = {*wrong_name(loaded)}
    for host in loaded.hosts:
        found |= {*old_names(loaded, host, renamed)}
        found |= {*unknown_names(loaded, host, roles, words | renamed.keys())}
        for role in {use.role for use in uses if host in meets[use.hosts]}:
            found |= {*wrong_values(loaded, host, roles[role])}
    for use in uses if not loaded.partial else ():
        found |= {*missing(loaded, roles[use.role], use)}
    return hushed(loaded, found)


def hushed(loaded: Loaded, problems: Collection[Problem]) -> list[Problem]:
    """Return problems sorted, each once, with no secret in them."""
    hide = loaded.secrets if problems else ()
    return sorted({_hushed(problem, hide) for problem in problems})


def _hushed(problem: Problem, hide: Collection[str]) -> Problem:
    """Return a problem with no secret in any of its fields."""
    file = Path(fitting.hushed(str(problem.place.file), hide))
    texts = {each: fitting.hushed(getattr(problem, each), hide) for each in ("key", "wrong", "right")}
    return replace(problem, place=replace(problem.place, file=file), **texts)


def wrong_name(loaded: Loaded) -> Iterator[Problem]:
    """An environment says its own name, so that hosts can tell it from another (ENV-2)."""
    name = loaded.environment.name
    for host, variables in loaded.hosts.items():
        if variables.get("environment_name") != name and (not loaded.partial or "environment_name" in variables):
            said = repr(variables.get("environment_name")) if "environment_name" in variables else "not set"
            right = f"its inventory lies in inventories/{name}, so it must be {name!r}"
            place = relative(Place(loaded.environment.variables / "environment.yml"), loaded.environment)
            if "environment_name" in variables:
                place = loaded.place(host, "environment_name")
            yield Problem(place, "environment_name", f"is {said}", right)


def missing(loaded: Loaded, role: specs.Role, use: wiring.Use) -> Iterator[Problem]:
    """Return what a role's `main` needs and neither environment nor playbook gives; acts get theirs when they run."""
    place = relative(Place(loaded.environment.variables / f"{role.name}.yml"), loaded.environment)
    for name in role.required("main") if use.entry == "main" else ():
        without = [
            host for host in loaded.members(use.hosts) if name not in loaded.hosts[host] and name not in use.given
        ]
        if without:
            wrong = f"is missing, and role {role.name} needs it on {', '.join(without)}"
            yield Problem(place, name, wrong, fitting.wanted(role.options[name]))


def wrong_values(loaded: Loaded, host: str, role: specs.Role) -> Iterator[Problem]:
    """Return the values of a role's options that its spec refuses; each is judged alone, so that all are found."""
    for name, option in role.options.items():
        if name in loaded.hosts[host]:
            yield from judged(loaded, host, (name,), option)


def judged(loaded: Loaded, host: str, keys: tuple[Any, ...], option: specs.Option) -> Iterator[Problem]:
    """Return what does not fit in the value that `keys` lead to: a variable of the host, or a part of one."""
    raw: Any = loaded.hosts[host]
    for key in keys:
        raw = raw[key]
    named = ".".join(str(key) for key in keys)
    plain = not is_template(raw)
    if plain and (keys, id(raw)) in loaded.judged:  # hosts share what their groups give
        return
    value = raw
    if not plain:
        try:
            value = loaded.fill(host, raw)
        except Unfilled as error:
            if not error.undefined or not _known_elsewhere(loaded, f"{error}{raw}"):
                yield Problem(loaded.place(host, keys[0], keys[1:]), named, f"cannot be filled in: {error}")
            return
    found = list(fitting.misfits(str(keys[-1]), option, value, fits))
    for within, wrong, right in found:
        inner = ".".join(str(key) for key in (*keys, *within))
        yield Problem(loaded.place(host, keys[0], (*keys[1:], *within)), inner, wrong, right)
    if plain and not found:
        loaded.judged.add((keys, id(raw)))


def _known_elsewhere(loaded: Loaded, text: str) -> bool:
    """Say whether an undefined name is no mistake here: facts are known on hosts, secrets are told by their names."""
    return loaded.partial or "ansible_" in text or "vault_" in text


def fits(name: str, option: fitting.Option, value: Any) -> list[str]:
    """Return what Ansible's validator says of a value of an option."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    return list(ArgumentSpecValidator({name: dict(option)}).validate({name: value}).error_messages)


def is_template(value: Any) -> bool:
    """Say whether anything in a value is filled in later, or is encrypted."""
    if isinstance(value, dict):
        return any(is_template(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple)):
        return any(is_template(each) for each in value)
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return value is not None and not isinstance(value, (bool, int, float, date))


def unknown_names(loaded: Loaded, host: str, roles: dict[str, specs.Role], words: set[str]) -> Iterator[Problem]:
    """Return names that look like an option of a role, or like one that all know, and are none: misspelt, or gone.

    `words` are those of the playbooks: what wiring itself reads is no mistake.
    """
    every = {option for role in roles.values() for option in role.options}
    for name, value in loaded.hosts[host].items():
        if name in COMMON or name in words or FREE.match(name) or (name, id(value)) in loaded.judged:
            continue
        loaded.judged.add((name, id(value)))
        owner = max((role for role in roles if name.startswith(f"{role}_")), key=len, default="")
        place = loaded.place(host, name)
        # A file is named after its role: what lies in it is meant for that role.
        role = roles.get(owner) or roles.get(place.file.stem)
        if role is None:
            if near := get_close_matches(name, COMMON, n=1, cutoff=0.8) or get_close_matches(
                name, every, n=1, cutoff=0.9
            ):
                yield Problem(place, name, "is known to nobody", f"did you mean {near[0]}?")
        elif name not in role.options:
            near = get_close_matches(name, role.options, n=1, cutoff=0.6)
            right = (
                f"did you mean {near[0]}?" if near else f"roles/{role.name}/meta/argument_specs.yml lists its options"
            )
            yield Problem(place, name, f"is not an option of role {role.name}", right)


def old_names(loaded: Loaded, host: str, renamed: Mapping[str, str]) -> Iterator[Problem]:
    """Return settings that have another name by now: nothing would read them under the old one."""
    for name in loaded.hosts[host]:
        if name in renamed:
            yield Problem(loaded.place(host, name), name, f"is now called {renamed[name]}", "rename it there")


def playbook_words() -> set[str]:
    """Return every word of the collection's playbooks: what wiring itself reads is no mistake."""
    text = " ".join(path.read_text() for path in (paths.collection_root() / "playbooks").rglob("*.yml"))
    return set(re.findall(r"[a-z][a-z0-9_]+", text))


def origin_of(value: Any) -> Place | None:
    """Return where Ansible says a value stood; booleans and nulls carry nothing. The import is private to Ansible."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return None
    origin = Origin.get_tag(value)
    return Place(Path(origin.path), origin.line_num or 0) if origin and origin.path else None


def _line_of(error: Exception) -> int:
    """Return the line that one of Ansible's errors is about; 0 where it does not say."""
    about = getattr(error, "obj", None)
    origin = origin_of(about)
    return origin.line if origin else int(getattr(about, "line_num", None) or 0)


def first_line(error: Exception) -> str:
    """Return the first sentence of one of Ansible's errors, which go on with excerpts."""
    return str(getattr(error, "message", "") or error).split("\n", 1)[0].strip()
