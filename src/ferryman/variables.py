"""An environment's variables: where each comes from, and whether the roles can work with them (ENV-5).

Alone in the package, this module imports ansible: its loader, inventory and vault read the files exactly as a run
would, and its validator judges the values. Everything wrong is found before any host is touched, at once, and with
its place.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from ferryman import paths, specs, wiring
from ferryman.environments import Environment
from ferryman.errors import Stop
from ferryman.places import Place, Problem, find_key, malformed, relative, variable_files

# Known to inventories, and no role's: what an environment is, its applications, and the sandbox's containers.
COMMON = {"environment_name", "apps", "host_shared", "lock_host"}
FREE = re.compile(r"^(ansible|vault|sandbox|molecule)_")
NESTED = re.compile(r"found in '?([\w.-]+(?: -> [\w.-]+)*)")


@dataclass
class Loaded:
    """An environment as Ansible reads it: `hosts` holds each host's variables, templates not yet filled in."""

    environment: Environment
    groups: dict[str, list[str]]
    hosts: dict[str, dict[str, Any]]
    loader: Any = field(repr=False)
    inventory: Any = field(repr=False)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Every role's defaults: an environment's values may refer to them."""
        found: dict[str, Any] = {}
        for path in sorted((paths.collection_root() / "roles").glob("*/defaults/main.yml")):
            found |= self.loader.load_from_file(str(path), trusted_as_template=True) or {}
        return found

    def value(self, host: str, name: str) -> Any:
        """Return a variable of a host with its templates filled in; KeyError if not set, Stop if it can't be filled."""
        from ansible.errors import AnsibleError

        try:
            return self.fill(host, self.hosts[host][name])
        except AnsibleError as error:
            raise Stop(f"{self.place(host, name)}: {name} cannot be filled in: {first_line(error)}") from error

    def fill(self, host: str, value: Any) -> Any:
        """Return `value` with its templates filled in from the host's variables; Ansible's error if that fails."""
        from ansible.template import Templar

        return Templar(self.loader, variables=self.defaults | self.hosts[host]).template(value)

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

    def place(self, host: str, name: str, within: Iterable[str] = ()) -> Place:
        """Return where a host's value was given, or where a part of it was; the file of hosts if nobody knows."""
        value = self.hosts[host].get(name)
        origin = origin_of(value)
        for key in within:
            value = value.get(key) if isinstance(value, dict) else None
            origin = origin_of(value) or origin
        if origin is None:
            origin = next((found for path in self.files(host) if (found := find_key(path, name))), None)
        # The value of a map begins on its first key's line, and people look for the map's name.
        if origin and not within and (named := find_key(origin.file, name)) and named.line <= origin.line:
            origin = named
        return relative(origin or Place(self.environment.inventory), self.environment)

    def files(self, host: str) -> list[Path]:
        """Return the files that may set a host's variables, the strongest first."""
        groups = [name for name, members in self.groups.items() if host in members and name != "all"]
        weakest_first = [self.environment.inventory]
        for where in ("group_vars/all", *(f"group_vars/{name}" for name in groups), f"host_vars/{host}"):
            base = self.environment.directory / where
            weakest_first += [path for end in (".yml", ".yaml") if (path := base.with_name(base.name + end)).is_file()]
            weakest_first += variable_files(base)
        return weakest_first[::-1]


def load(environment: Environment, *, vault_ids: Iterable[str] = ()) -> Loaded:
    """Read an environment: its files, groups, hosts and (with the vaults of `vault_ids`, as `name@script`) its secrets.

    A file that can't be read is a Stop that names it.
    """
    broken = list(malformed(environment))
    if broken:
        raise refusal(environment, broken)
    os.environ.setdefault("ANSIBLE_CONFIG", str(paths.ansible_config()))
    os.environ.setdefault("ANSIBLE_COLLECTIONS_PATH", str(paths.collections_path()))
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig
    from ansible.vars.manager import VariableManager

    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
    loader = DataLoader()
    try:
        if vault_ids:
            _open_vaults(loader, list(vault_ids))
        inventory = InventoryManager(loader, [str(environment.inventory)])
        manager = VariableManager(loader, inventory)
        hosts = {host.name: manager.get_vars(host=host) for host in inventory.get_hosts()}
    except AnsibleError as error:
        raise Stop(f"environment {environment.name} cannot be read: {first_line(error)}") from error
    groups = {name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()}
    return Loaded(environment, groups, hosts, loader, inventory)


def _open_vaults(loader: Any, vault_ids: list[str]) -> None:
    """Let `loader`, and values that are encrypted one by one, be read with these vaults and no others."""
    from ansible.cli import CLI
    from ansible.parsing.vault import VaultSecretsContext

    found = CLI.setup_vault_secrets(loader, vault_ids=vault_ids, auto_prompt=False, initialize_context=False)
    loader.set_vault_secrets(found)
    context = VaultSecretsContext.current(optional=True)
    if context:  # one for the whole process, and a second environment may be read in it
        context.secrets = found
    else:
        VaultSecretsContext.initialize(VaultSecretsContext(found))


def encrypted(name: str, value: str, *, environment: str, key: Path) -> str:
    """Return the line of a variables file that sets `name` to `value`, encrypted for the vault of an environment."""
    from ansible.parsing.vault import VaultLib, VaultSecret

    secret = VaultSecret(key.read_bytes().strip())
    text = VaultLib([(environment, secret)]).encrypt(value, secret, environment).decode()
    return f"{name}: !vault |\n" + "".join(f"  {line}\n" for line in text.splitlines())


def require_valid(environment: Environment, *, vault_ids: Iterable[str] = ()) -> Loaded:
    """Return the environment, or Stop with everything that is wrong with it."""
    loaded = load(environment, vault_ids=vault_ids)
    problems = validate(loaded)
    if problems:
        raise refusal(environment, problems)
    return loaded


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


def validate(loaded: Loaded) -> list[Problem]:
    """Return everything that is wrong with an environment's variables, sorted by place, each once."""
    roles = specs.roles()
    uses = [use for use in wiring.uses(paths.collection_root()) if use.role in roles]
    found = {*wrong_name(loaded)}
    for host in loaded.hosts:
        found |= {*unknown_names(loaded, host, roles)}
        here = [use for use in uses if host in loaded.members(use.hosts)]
        for role in {use.role for use in here}:
            found |= {*wrong_values(loaded, host, roles[role])}
    for use in uses:
        found |= {*missing(loaded, roles[use.role], use)}
    return sorted(found)


def wrong_name(loaded: Loaded) -> Iterator[Problem]:
    """An environment says its own name, so that hosts can tell it from another (ENV-2)."""
    name = loaded.environment.name
    for host, variables in loaded.hosts.items():
        if variables.get("environment_name") != name:
            said = repr(variables.get("environment_name")) if "environment_name" in variables else "not set"
            right = f"its inventory lies in inventories/{name}, so it must be {name!r}"
            yield Problem(loaded.place(host, "environment_name"), "environment_name", f"is {said}", right)


def missing(loaded: Loaded, role: specs.Role, use: wiring.Use) -> Iterator[Problem]:
    """Return what a role's `main` needs and neither environment nor playbook gives; acts get theirs when they run."""
    place = relative(Place(loaded.environment.variables / f"{role.name}.yml"), loaded.environment)
    for name in role.required("main") if use.entry == "main" else ():
        without = [
            host for host in loaded.members(use.hosts) if name not in loaded.hosts[host] and name not in use.given
        ]
        if without:
            wrong = f"is missing, and role {role.name} needs it on {', '.join(without)}"
            yield Problem(place, name, wrong, wanted(role.options[name]))


def wrong_values(loaded: Loaded, host: str, role: specs.Role) -> Iterator[Problem]:
    """Return the values of a role's options that its spec refuses; each is judged alone, so that all are found."""
    from ansible.errors import AnsibleError, AnsibleUndefinedVariable
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    for name, option in role.options.items():
        if name not in loaded.hosts[host]:
            continue
        try:
            value = loaded.fill(host, loaded.hosts[host][name])
        except AnsibleUndefinedVariable as error:
            # Facts are known on hosts only; such a value is judged there.
            if "ansible_" not in f"{error}{loaded.hosts[host][name]}":
                yield Problem(loaded.place(host, name), name, f"cannot be filled in: {first_line(error)}")
            continue
        except AnsibleError as error:
            yield Problem(loaded.place(host, name), name, f"cannot be filled in: {first_line(error)}")
            continue
        for message in ArgumentSpecValidator({name: option}).validate({name: value}).error_messages:
            within = NESTED.search(message)
            place = loaded.place(host, name, within.group(1).split(" -> ")[1:] if within else ())
            # The validator prints values, and a secret must not be shown.
            told = (
                "has a value that does not fit (not shown: it is a secret)" if is_secret(option) else told_by(message)
            )
            yield Problem(place, name, told, wanted(option))


def unknown_names(loaded: Loaded, host: str, roles: dict[str, specs.Role]) -> Iterator[Problem]:
    """Return names that look like an option of a role and are none: misspelt, or gone."""
    playbooks = playbook_words()

    for name in loaded.hosts[host]:
        if name in COMMON or name in playbooks or FREE.match(name):
            continue
        place = loaded.place(host, name)
        owner = max((role for role in roles if name.startswith(f"{role}_")), key=len, default="")
        # A file is named after its role: what lies in it is meant for that role.
        role = roles.get(owner) or roles.get(place.file.stem)
        if role is None or name in role.options:
            continue
        near = get_close_matches(name, role.options, n=1, cutoff=0.6)
        right = f"did you mean {near[0]}?" if near else f"roles/{role.name}/meta/argument_specs.yml lists its options"
        yield Problem(place, name, f"is not an option of role {role.name}", right)


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


def is_secret(option: specs.Option) -> bool:
    """Say whether an option or any part of it is marked `no_log`."""
    parts = (option.get("options") or {}).values()
    return bool(option.get("no_log")) or any(is_secret(part) for part in parts)


def wanted(option: specs.Option) -> str:
    """Say what would be right."""
    kind = option.get("type", "str")
    of = f" of {option['elements']}" if "elements" in option else ""
    choices = f", one of {', '.join(map(str, option['choices']))}" if option.get("choices") else ""
    description = option.get("description") or ""
    first = description if isinstance(description, str) else " ".join(description)
    return f"wanted: {kind}{of}{choices} ({first.strip().rstrip('.')})"


def told_by(message: str) -> str:
    """Return the validator's sentence without what stands around it anyway."""
    return "does not fit: " + " ".join(message.split())


def first_line(error: Exception) -> str:
    """Return the first sentence of one of Ansible's errors, which go on with excerpts."""
    return str(getattr(error, "message", "") or error).split("\n", 1)[0].strip()
