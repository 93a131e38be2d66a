"""Who meets whom on an address: two names for one host, two environments on one, two listeners on one port."""

from collections.abc import Iterator, Mapping
from typing import Any

from ferryman import environments, places, plainly
from ferryman.environments import Environment
from ferryman.places import Place, Problem
from ferryman.variables import Loaded, Unfilled

SSH, HTTP, HTTPS, POSTGRESQL, CACHE = 22, 80, 443, 5432, 6379
Address = tuple[str, int]


def twins(loaded: Loaded) -> Iterator[Problem]:
    """Return hosts that have another's address: one would be worked on twice at the same time."""
    seen: dict[Address, str] = {}
    for host in loaded.hosts:
        address = _address(loaded, host)
        other = seen.setdefault(address, host)
        if other != host:
            place = _where(loaded, host)
            yield Problem(
                place, host, f"is {other} again: both are {_said(address)}", "one host has one name; groups share it"
            )


def ports(loaded: Loaded) -> Iterator[Problem]:
    """Return ports of a host, or of this machine for its sandbox, that two things want."""
    published: dict[int, str] = {}
    for host, values in loaded.hosts.items():
        publish = _value(loaded, host, "sandbox_publish", {})
        publish = publish if isinstance(publish, Mapping) else {}
        for port, inside in publish.items():
            place = loaded.place(host, "sandbox_publish", (port,))
            if port in published:
                wrong = f"port {port} of this machine is also published for {published[port]}"
                yield Problem(place, "sandbox_publish", wrong, "each host needs its own")
            published.setdefault(port, host)
            name = "nginx_https_public_port"
            public = _value(loaded, host, name, HTTPS)
            unknown = loaded.partial and name not in values  # it may stand in the file that cannot be read
            if inside == HTTPS and host in loaded.groups.get("entry", []) and public != port and not unknown:
                wrong = f"is {public}, and 443 of {host} is published as {port}: redirects lead nowhere"
                yield Problem(loaded.place(host, name), name, wrong, f"wanted: {port}")
        yield from _listeners(loaded, host, values, publish)


def _listeners(loaded: Loaded, host: str, values: Mapping[str, Any], publish: Mapping[Any, Any]) -> Iterator[Problem]:
    """Return what two programs of a host would listen on."""
    ssh = _number(_value(loaded, host, "ansible_port", SSH), SSH)
    taken = {_number(publish.get(ssh, ssh), ssh): "SSH (ansible_port)"}
    entry = host in loaded.groups.get("entry", [])
    wanted = [("ansible_port", HTTP, "nginx"), ("ansible_port", HTTPS, "nginx")] if entry else []
    for group, key, usual in (("db", "postgresql_port", POSTGRESQL), ("cache", "cache_port", CACHE)):
        if host in loaded.groups.get(group, []):
            wanted.append((key, _number(_value(loaded, host, key, usual), usual), key))
    for key, port, what in wanted:
        if port in taken:
            wrong = f"port {port} is that of {taken[port]} and of {what}"
            yield Problem(loaded.place(host, key), key, wrong, "give one another")
        taken.setdefault(port, what)


def others(environment: Environment) -> list[Environment]:
    """Return the project's other environments."""
    root = environment.directory.parent.parent
    others = (environments.resolve(name, project=root) for name in environments.names(root))
    return [other for other in others if other.name != environment.name]


def hosts_of(other: Environment) -> dict[Address, tuple[str, bool]]:
    """Return the hosts of another environment by address, with name and `host_shared`, read as plain YAML.

    An address that is a template is not known here; files that are broken are told by a check of that environment.
    """
    found: dict[Address, tuple[str, bool]] = {}
    for name, values in plainly.hosts(other).items():
        address = values.get("ansible_host", name), values.get("ansible_port", SSH)
        found[str(address[0]), _number(address[1], SSH)] = (name, values.get("host_shared") is True)
    return found


def shared(loaded: Loaded) -> Iterator[Problem]:
    """Return hosts that another environment has, too, where not both say that they share it."""
    here = {_address(loaded, host): host for host in loaded.hosts}
    for other in others(loaded.environment):
        for address, (name, said) in hosts_of(other).items():
            host = here.get(address)
            if host is None or (said and _value(loaded, host, "host_shared", False) is True):
                continue
            who = "neither says" if not said and not _value(loaded, host, "host_shared", False) else "only one says"
            wrong = f"is {name} of environment {other.name}, too ({_said(address)}), and {who} host_shared: true"
            yield Problem(_where(loaded, host), host, wrong, "say it in both, or give the hosts addresses of their own")


def _address(loaded: Loaded, host: str) -> Address:
    return str(_value(loaded, host, "ansible_host", host)), _number(_value(loaded, host, "ansible_port", SSH), SSH)


def _number(port: Any, default: int) -> int:
    """Return a port; the default for what is none, which the roles' specs or Ansible tell."""
    return int(port) if str(port).isdecimal() else default


def _value(loaded: Loaded, host: str, name: str, default: Any) -> Any:
    try:
        return loaded.fill(host, loaded.hosts[host].get(name, default))
    except Unfilled:
        return default


def _said(address: Address) -> str:
    return f"{address[0]} port {address[1]}"


def _where(loaded: Loaded, host: str) -> Place:
    """Return where the file of hosts gives a host its address, or where it first names it."""
    if "ansible_host" in loaded.hosts[host]:
        return loaded.place(host, "ansible_host")
    lines = places.outline(loaded.environment.inventory)
    line = next((number for keys, number in lines.items() if keys[-2:] == ("hosts", host)), 0)
    return places.relative(Place(loaded.environment.inventory, line), loaded.environment)
