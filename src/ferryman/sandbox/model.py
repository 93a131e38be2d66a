"""What a sandbox is: hosts with their image, ports and names, and where the files about them lie."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ferryman.errors import Stop

IMAGES = ("base", "acme")
DEBIANS = {12: "bookworm", 13: "trixie"}
DEFAULT_DEBIAN = 12
SUDO = ("nopasswd", "password")
SSH_PORT = 2222
NUMBERS = range(101, 251)
Choice = TypeVar("Choice", str, int)
NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class Host:
    """One container. `publish` maps a port of the controller's loopback to one of the container.

    `domains` are those whose names, at any depth, lead to this host in the ACME server's eyes; `aliases` are
    single names by which every host of the sandbox reaches it. `ssh_port` is where its SSH server listens. One with a
    `number` has that address of the sandbox's network for as long as it is there, else it is given one at each start.
    """

    name: str
    image: str = "base"
    debian: int = DEFAULT_DEBIAN
    publish: Mapping[int, int] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    sudo: str = "nopasswd"
    ssh_port: int = SSH_PORT
    number: int = 0

    @property
    def published_ssh(self) -> int | None:
        """The port of the controller's loopback that leads to this host's SSH server, if any."""
        return next((outside for outside, inside in self.publish.items() if inside == self.ssh_port), None)


@dataclass(frozen=True)
class Sandbox:
    """Hosts that share a network; `directory` holds their keys, certificates and SSH settings.

    One that `joins` the network of another sandbox has none of its own, and its hosts reach those by their names.
    """

    name: str
    directory: Path
    hosts: tuple[Host, ...]
    joins: str = ""

    def container(self, host: Host) -> str:
        """Return the name of the host's container."""
        return f"{self.name}-{host.name}"

    @property
    def network(self) -> str:
        """The name of the network that the hosts share."""
        return self.joins or f"{self.name}-sandbox"

    @property
    def key(self) -> Path:
        """The private key that opens every host as `ops`."""
        return self.directory / "id_ed25519"


def is_name(name: str) -> bool:
    """Say whether this can be part of a container's and a network host's name."""
    return bool(NAME.fullmatch(name))


def _port(value: object, where: str) -> int:
    try:
        port = int(str(value))
    except ValueError:
        raise Stop(f"{where} is {value!r}, which is no number") from None
    if not 0 < port < 65536:
        raise Stop(f"{where} is {port}", hint="ports are 1 to 65535")
    return port


def _ports(value: object, where: str) -> dict[int, int]:
    if not isinstance(value, Mapping):
        raise Stop(f"{where} is not a map of ports", hint="for example {8443: 443}")
    ports = {_port(outside, where): _port(inside, where) for outside, inside in value.items()}
    for port in ports:
        if port < 1024:
            raise Stop(f"{where}: port {port} of this machine is for root alone", hint="take one from 1024 upwards")
    return ports


def _number(value: object, where: str) -> int:
    """Return which address of the network a host has; those below are given to hosts that do not care."""
    if value == 0 or (isinstance(value, int) and not isinstance(value, bool) and value in NUMBERS):
        return int(value)
    raise Stop(f"{where} is {value!r}", hint=f"a number from {NUMBERS.start} to {NUMBERS.stop - 1}, or none")


def _words(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(word, str) for word in value):
        raise Stop(f"{where} is not a list of names")
    return tuple(value)


def _choice(value: object, choices: Sequence[Choice], where: str) -> Choice:
    for choice in choices:
        if value == choice and not isinstance(value, bool):
            return choice
    raise Stop(f"{where} is {value!r}", hint=f"one of: {', '.join(map(str, choices))}")


OPTIONS = ("image", "debian", "publish", "aliases", "domains", "sudo", "ssh_port", "number")
"""What can be said of a host; an inventory puts `sandbox_` before it."""


def host(name: str, options: Mapping[str, Any]) -> Host:
    """Return the host that `options` (some of OPTIONS) describe; Stop on a bad one."""
    if not is_name(name):
        raise Stop(f"{name!r} can't be a sandbox host's name", hint="lower case letters, digits and hyphens")
    unknown = set(options) - {"name", *OPTIONS}
    if unknown:
        raise Stop(
            f"host {name}: no such sandbox option: {', '.join(sorted(unknown))}", hint=f"one of: {', '.join(OPTIONS)}"
        )
    return Host(
        name=name,
        image=_choice(options.get("image", "base"), IMAGES, f"host {name}: image"),
        debian=_choice(options.get("debian", DEFAULT_DEBIAN), list(DEBIANS), f"host {name}: debian"),
        publish=_ports(options.get("publish", {}), f"host {name}: publish"),
        aliases=_words(options.get("aliases", ()), f"host {name}: aliases"),
        domains=_words(options.get("domains", ()), f"host {name}: domains"),
        sudo=_choice(options.get("sudo", "nopasswd"), SUDO, f"host {name}: sudo"),
        ssh_port=_port(options.get("ssh_port", SSH_PORT), f"host {name}: SSH port"),
        number=_number(options.get("number", 0), f"host {name}: number"),
    )


def checked(sandbox: Sandbox) -> Sandbox:
    """Return the sandbox, or stop where two hosts want the same port or name."""
    given: dict[str, list[str]] = {
        "port": [str(port) for one in sandbox.hosts for port in one.publish],
        "name": [name for one in sandbox.hosts for name in (one.name, *one.aliases)],
        "number": [str(one.number) for one in sandbox.hosts if one.number],
    }
    for what, wanted in given.items():
        twice = {one for one in wanted if wanted.count(one) > 1}
        if twice:
            raise Stop(f"sandbox {sandbox.name}: {what} {', '.join(sorted(twice))} is given to two hosts")
    return sandbox
