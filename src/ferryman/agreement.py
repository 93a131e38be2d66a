"""What an environment's files say of one another: applications, groups, addresses, ports, secrets, paths (ENV-5).

Each rule is pure over an environment as it was read, and yields every mistake with its place. `survey` puts them
together with what the roles' specs say: all that can be known without a host.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ferryman import (
    connection,
    fitting,
    hosting,
    neighbours,
    paths,
    placeholders,
    places,
    secrets,
    specs,
    variables,
    wiring,
)
from ferryman.environments import Environment
from ferryman.errors import Stop
from ferryman.places import Place, Problem
from ferryman.variables import Loaded

Apps = dict[str, dict[str, Any]]
# RFC 1123, 2.1; a name with an asterisk cannot be proven over HTTP.
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
REMOTE = re.compile(r"^(\w+://|[\w.-]+@|[\w.-]{2,}:)")


def survey(environment: Environment) -> tuple[list[Problem], Loaded | None]:
    """Return everything that is wrong with an environment, sorted by place, and what could be read of it.

    Files that are broken are left out, so that they hide no mistake in the others.
    """
    broken = [*places.malformed(environment), *dangling(environment), *placeholders.standing(environment)]
    root = environment.directory.parent.parent
    lost = {root / p.place.file for p in broken if p.key in ("the file", "the value")}
    if environment.inventory in lost:
        return sorted(broken), None
    try:
        key = secrets.key_file(environment)
        vaults = [f"{environment.name}@{key}"] if key else []
    except Stop as stop:
        place = places.relative(Place(environment.variables / "vault.yml"), environment)
        broken.append(Problem(place, "the file", "is encrypted, and its key is not here", stop.hint))
        lost.add(environment.variables / "vault.yml")
        vaults = []
    try:
        loaded = _read(environment, vaults, lost, broken)
    except Stop as stop:
        place = places.relative(Place(environment.inventory), environment)
        wrong = stop.message.removeprefix(f"environment {environment.name} ")
        return sorted([*broken, Problem(place, "the environment", wrong)]), None
    if environment.inventory in loaded.unread:
        return sorted({*broken, *unread(loaded)}), None
    rules = [*RULES, *(WHOLE if not loaded.partial else ())]
    found = {*broken, *variables.validate(loaded), *(problem for rule in rules for problem in rule(loaded))}
    return variables.hushed(loaded, found), loaded


def _read(environment: Environment, vaults: list[str], lost: set[Path], broken: list[Problem]) -> Loaded:
    """Return an environment as Ansible reads it; where its vault's key can't be read, that is told instead of all that
    it would open."""
    try:
        return variables.read(environment, vault_ids=vaults, without=lost)
    except variables.KeyUnread as stop:
        place = places.relative(Place(Path(vaults[0].partition("@")[2])), environment)
        wrong = f"of the vault cannot be read: {stop.message}"
        broken.append(Problem(place, "the key", wrong, secrets.key_wanted(environment)))
    whole = {path for path in places.files(environment) if _encrypted(path)}
    loaded = variables.read(environment, without=lost | whole)
    loaded.sealed.clear()
    return loaded


def require(environment: Environment) -> Loaded:
    """Return the environment, or Stop with everything that is wrong with it."""
    problems, loaded = survey(environment)
    if problems or loaded is None:
        raise variables.refusal(environment, problems)
    return loaded


def applications(loaded: Loaded) -> Iterator[tuple[str, Apps]]:
    """Return the applications as each group of hosts has them, with a host that has them so."""
    seen: set[int] = set()
    for host, values in loaded.hosts.items():
        apps = values.get("apps")
        if id(apps) not in seen and isinstance(apps, dict):
            seen.add(id(apps))
            yield host, apps


def names(loaded: Loaded) -> list[str]:
    """Return the names of the applications, sorted."""
    return sorted({str(name) for _, found in applications(loaded) for name in found})


def sources(loaded: Loaded) -> dict[str, dict[str, str]]:
    """Return where each application's commits come from ({repository, path, ref}), by name, with the wiring's defaults.

    Where one of the three is known on hosts alone, all are empty.
    """
    found: dict[str, dict[str, str]] = {}
    for host, apps in applications(loaded):
        for app, told in apps.items():
            given = {"repository": ".", "path": ".", "ref": "", **told}
            filled = {key: _filled(loaded, host, given[key]) for key in ("repository", "path", "ref")}
            known = UNKNOWN not in filled.values()
            found.setdefault(str(app), {key: str(value) if known else "" for key, value in filled.items()})
    return found


# Files


def dangling(environment: Environment) -> Iterator[Problem]:
    """Return links that lead nowhere: the values that they should bring are missing in silence."""
    for name in ("group_vars", "host_vars"):
        for path in sorted((environment.directory / name).rglob("*")):
            if path.is_symlink() and not path.exists():
                place = places.relative(Place(path), environment)
                mend = "ln -s ../../../../group_vars/all 00-shared there" if path.name == "00-shared" else "mend it"
                right = f"{mend}, or remove it"
                yield Problem(place, "the link", f"leads to {path.readlink()}, which is not there", right)


def unread(loaded: Loaded) -> Iterator[Problem]:
    """Return files that are YAML and that Ansible does not take: with a tag of its own in a wrong place, or sealed."""
    for path, (line, said) in loaded.unread.items():
        place = places.relative(Place(path, line), loaded.environment)
        if _encrypted(path):
            yield _no_key(loaded.environment, place, "the file")
        else:
            yield Problem(place, "the file", f"cannot be read: {said}")


def sealed(loaded: Loaded) -> Iterator[Problem]:
    """Return files with values that no key opens, each once, by the first of them."""
    found: dict[Path, tuple[Place, str]] = {}
    for host, keys in loaded.sealed:
        place = loaded.place(host, keys[0], keys[1:])
        here = place, ".".join(map(str, keys))
        found[place.file] = min(found.get(place.file, here), here)
    for place, key in found.values():
        yield _no_key(loaded.environment, place, key)


def _no_key(environment: Environment, place: Place, what: str) -> Problem:
    """Return that something is encrypted and stays so, with the file that should open it."""
    try:
        key = secrets.key_file(environment)
    except Stop:
        key = None
    if key is None:
        return Problem(place, what, "is encrypted, and its key is not here", secrets.key_wanted(environment))
    wrong = f"is encrypted, and the password in {places.relative(Place(key), environment)} does not open it"
    return Problem(place, what, wrong, "put the one there that it was encrypted with")


def _encrypted(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(14) == b"$ANSIBLE_VAULT"


def strangers(loaded: Loaded) -> Iterator[Problem]:
    """Return files that nobody reads: of variables whose group or host there is not, and more inventories."""
    for name, known in (("group_vars", loaded.groups), ("host_vars", loaded.hosts)):
        base = loaded.environment.directory / name
        for path in sorted(base.iterdir()) if base.is_dir() else []:
            word = path.stem if path.suffix in (".yml", ".yaml") else path.name
            if word not in known and not word.startswith("."):
                place = places.relative(Place(path), loaded.environment)
                wrong = f"is read by nobody: no {name.split('_')[0]} here has this name"
                yield Problem(place, "the name", wrong, fitting.nearest(word, known))
    for path in loaded.environment.more_inventories():
        place = places.relative(Place(path), loaded.environment)
        right = "move its hosts there, or it elsewhere"
        yield Problem(place, "the file", "is read by nobody: an environment's hosts stand in hosts.yml", right)


def lost_secrets(loaded: Loaded) -> Iterator[Problem]:
    """Return each secret that a file uses and nothing defines, where it is used.

    One that a deploy would generate is as good as given, unless it is another one misspelt: a new key in the place of
    the old one opens nothing that the old one closed.
    """
    known = {name for values in loaded.hosts.values() for name in values}
    made = secrets.pending(loaded.environment)
    used = [(name, path, line) for path in places.files(loaded.environment) for name, line in secrets.used(path)]
    often = Counter(name for name, _, _ in used)
    for name, path, line in used:
        near = secrets.meant(name, sorted(known)) if name in made and often[name] == 1 else ""
        if name not in known and (near or name not in made):
            place = places.relative(Place(path, line), loaded.environment)
            way = f"`{secrets.way_in(loaded.environment, name)}` takes "
            right = f"did you mean {near}? {way}one that is new" if near else f"{way}it"
            yield Problem(place, name, "is used and nothing defines it", right)


# Groups and hosts


def hostless(loaded: Loaded) -> Iterator[Problem]:
    """An environment has a host: without any every run would end well, and nothing would have been done."""
    if not loaded.hosts:
        place = places.relative(Place(loaded.environment.inventory), loaded.environment)
        right = "name one under all.children.entry.hosts, and again under app"
        yield Problem(place, "the environment", "has no host", right)


def empty_groups(loaded: Loaded) -> Iterator[Problem]:
    """Return the groups without hosts that the playbooks need, and names that mean one of them."""
    known, needed = wiring.groups(paths.collection_root())
    database = any(
        "database" in app for _, apps in applications(loaded) for app in apps.values() if isinstance(app, dict)
    )
    wanted = (needed | ({"db"} if database else set())) if any(True for _ in applications(loaded)) else set()
    for group in sorted(group for group in wanted & known if not loaded.groups.get(group)):
        near = get_close_matches(group, set(loaded.groups) - known - {"all", "ungrouped"}, n=1)
        word = near[0] if near else group
        line = next((n for keys, n in places.outline(loaded.environment.inventory).items() if keys[-1] == word), 0)
        place = places.relative(Place(loaded.environment.inventory, line), loaded.environment)
        if near:
            yield Problem(place, word, "is a group that no playbook knows", f"did you mean {group}?")
        else:
            why = "an application has a database" if group not in needed else "every application needs one"
            yield Problem(place, group, f"has no host, and {why}", f"name one under all.children.{group}.hosts")


def lost_arbiter(loaded: Loaded) -> Iterator[Problem]:
    """`lock_host` is a host of the environment: it keeps lock and ledger."""
    for host, values in loaded.hosts.items():
        if (named := values.get("lock_host")) is not None and _filled(loaded, host, named) not in list(loaded.hosts):
            place = loaded.place(host, "lock_host")
            yield Problem(place, "lock_host", "is no host of this environment", f"one of: {', '.join(loaded.hosts)}")


def unreached(loaded: Loaded) -> Iterator[Problem]:
    """`backup_wal_archive` has the database's host send to the archive's: it must be said how that is reached."""
    for host in loaded.groups.get("db", []) if loaded.groups.get("backup") else []:
        values = loaded.hosts[host]
        wanted = _filled(loaded, host, values.get("backup_wal_archive", False))
        if wanted is True and "backup_archive_address" not in values:
            place, key = loaded.place(host, "backup_wal_archive"), "backup_wal_archive"
            wrong = "is true, and nothing says how the database's host reaches the archive's"
            yield Problem(place, key, wrong, "backup_archive_address: a name or an address, beside it")


# Applications


def misshapen(loaded: Loaded) -> Iterator[Problem]:
    """Return what does not fit in `apps`: the playbooks say what is read of it, the roles' specs of which types."""
    keys = app_options()
    for host, values in loaded.hosts.items():
        apps = values.get("apps", {})
        if not isinstance(apps, dict):
            yield Problem(loaded.place(host, "apps"), "apps", "is no map", "wanted: applications by name")
            continue
        for app, told in apps.items() if keys else ():
            where = loaded.place(host, "apps", (app,))
            if not isinstance(told, dict):
                yield Problem(where, f"apps.{app}", "is no map", f"wanted: {', '.join(keys)}")
                continue
            for key in (key for key in told if key not in keys):
                place = loaded.place(host, "apps", (app, key))
                yield Problem(
                    place, f"apps.{app}.{key}", "is nothing of an application", fitting.nearest(str(key), keys)
                )
            for key, option in keys.items():
                if key in told:
                    yield from variables.judged(loaded, host, ("apps", app, key), option)
                elif option.get("required"):
                    yield Problem(where, f"apps.{app}", f"lacks {key}", fitting.wanted(option))


def app_options() -> dict[str, specs.Option]:
    """Return the option behind each key of an application."""
    roles = specs.roles()
    found: dict[str, specs.Option] = {}
    every = {name: option for role in roles.values() for name, option in role.options.items()}
    for key, (name, required) in wiring.of_apps(paths.collection_root()).items():
        found[key] = {**every.get(name, {"type": "raw"}), "required": required}
    if found and "postgresql" in roles and "nginx" in roles:
        database = roles["postgresql"].options["postgresql_databases"]
        found["database"] = {"type": "dict", "description": database["description"], "options": database["options"]}
        found["max_body"] = roles["nginx"].options["nginx_sites"]["options"]["max_body"]
    return found


def domains(loaded: Loaded) -> Iterator[Problem]:
    """Return names that are none, those that two applications claim, or one claims twice, and who has none at all.

    An application has its names on every host: where hosts have `apps` of their own, two of them may claim one.
    """
    owners: dict[str, str] = {}
    for host, apps in applications(loaded):
        for app, told in apps.items():
            own: set[str] = set()
            listed = _filled(loaded, host, told.get("domains")) if isinstance(told, dict) else None
            if listed == []:
                place, key = loaded.place(host, "apps", (app, "domains")), f"apps.{app}.domains"
                yield Problem(
                    place, key, "names no domain", f"it needs at least one, as in `domains: [{app}.localhost]`"
                )
            for number, domain in enumerate(listed if isinstance(listed, list) else []):
                place, key = loaded.place(host, "apps", (app, "domains", number)), f"apps.{app}.domains"
                if not isinstance(domain, str) or not DOMAIN.fullmatch(domain):
                    wrong = "can't be proven over HTTP" if str(domain).startswith("*.") else "is no host name"
                    yield Problem(
                        place, key, f"{domain!r} {wrong}", "lower case, without https:// and port; IDNA as xn--..."
                    )
                elif domain in own or owners.get(domain, app) != app:
                    other = "itself" if owners[domain] == app else owners[domain]
                    yield Problem(place, key, f"{domain} is also that of {other}", "a name leads to one application")
                owners.setdefault(str(domain), str(app))
                own.add(str(domain))


def uncertified(loaded: Loaded) -> Iterator[Problem]:
    """Return whose domains nothing certifies: an authority is asked only where its terms are agreed to."""
    roles = specs.roles()
    certified = {use.hosts for use in wiring.uses(paths.collection_root()) if use.role == "certificate"}
    for host, apps in applications(loaded) if "certificate" in roles else ():
        if apps and certified and not _filled(loaded, host, loaded.hosts[host].get("certificate_terms_agreed", False)):
            place = loaded.place(host, "certificate_terms_agreed")
            if "certificate_terms_agreed" not in loaded.hosts[host]:
                file = loaded.environment.variables / "certificate.yml"
                place = places.relative(Place(file), loaded.environment)
            option = roles["certificate"].options["certificate_terms_agreed"]
            wrong = f"is not true, so nothing certifies the domains of {', '.join(map(str, apps))}"
            yield Problem(place, "certificate_terms_agreed", wrong, fitting.wanted(option))


def lost_sources(loaded: Loaded) -> Iterator[Problem]:
    """Return repositories that are paths and lead nowhere."""
    root = loaded.environment.directory.parent.parent
    for host, apps in applications(loaded):
        for app, told in apps.items():
            given = _filled(loaded, host, told.get("repository", ".")) if isinstance(told, dict) else "."
            if isinstance(given, str) and not REMOTE.match(given) and not (root / Path(given).expanduser()).exists():
                place = loaded.place(host, "apps", (app, "repository"))
                right = "a path from the project's root, or anything that git clones"
                yield Problem(place, f"apps.{app}.repository", f"{given!r} is not there", right)


def textless(loaded: Loaded) -> Iterator[Problem]:
    """Return secrets that are no text; their values are never shown."""
    for host, apps in applications(loaded):
        for app, told in apps.items():
            given = told.get("secrets") if isinstance(told, dict) else None
            for name, value in given.items() if isinstance(given, dict) else ():
                filled = _filled(loaded, host, value)
                if filled is not UNKNOWN and (filled in (None, "") or isinstance(filled, (bool, dict, list))):
                    place, key = loaded.place(host, "apps", (app, "secrets", name)), f"apps.{app}.secrets.{name}"
                    yield Problem(place, key, "is no text", "a secret is a text in quotes, from the vault")


UNKNOWN = object()


def _filled(loaded: Loaded, host: str, value: Any) -> Any:
    """Return a value with its templates filled in; UNKNOWN where that fails, which another rule tells."""
    try:
        return loaded.fill(host, value)
    except variables.Unfilled:
        return UNKNOWN


Rule = Callable[[Loaded], Iterator[Problem]]
RULES: tuple[Rule, ...] = (
    unread, sealed, strangers, connection.misread, hosting.misspelt, hosting.no_sandbox, hosting.unreachable, hostless,
    empty_groups, lost_arbiter, unreached, misshapen, domains, lost_sources, textless, neighbours.twins,
    neighbours.ports, neighbours.shared,
)  # fmt: skip
WHOLE: tuple[Rule, ...] = (uncertified, lost_secrets)
"""Rules about what is missing: where a file is broken, it may stand there."""
