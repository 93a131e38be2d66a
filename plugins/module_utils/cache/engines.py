"""Which server a host's cache is: where Debian puts its parts, and which one a host gets."""

from __future__ import annotations

import os
from typing import NamedTuple

INSTANCE = "ferryman"
FIRST_WITH_VALKEY = 13


class Engine(NamedTuple):
    """Valkey or Redis, by its `name`; ours is an instance of its own, beside whatever the package runs by itself."""

    name: str

    @property
    def package(self) -> str:
        return f"{self.name}-server"

    @property
    def program(self) -> str:
        return f"/usr/bin/{self.name}-server"

    @property
    def checker(self) -> str:
        """The package's own program that reads a snapshot and says whether it is whole."""
        return f"/usr/bin/{self.name}-check-rdb"

    @property
    def user(self) -> str:
        return self.name

    @property
    def unit(self) -> str:
        return f"{self.name}-server@{INSTANCE}.service"

    @property
    def unit_of_package(self) -> str:
        """What the package starts by itself, on port 6379 and without a password."""
        return f"{self.name}-server.service"

    @property
    def settings(self) -> str:
        return f"/etc/{self.name}/{self.name}-{INSTANCE}.conf"

    @property
    def data(self) -> str:
        return f"/var/lib/{self.name}/{INSTANCE}"

    @property
    def snapshot(self) -> str:
        return f"{self.data}/dump.rdb"


ENGINES = (Engine("redis"), Engine("valkey"))


def choose(os_release: str, serving: list[Engine]) -> Engine:
    """Return the server that a host gets: the one that serves already, else the one of its Debian.

    `os_release` is the text of /etc/os-release. A host whose Debian was upgraded keeps what it had: what one of the two
    has written, the other may not read.
    """
    if serving:
        return serving[0]
    told = dict(line.partition("=")[::2] for line in os_release.splitlines())
    version = told.get("VERSION_ID", "").strip('"')
    return ENGINES[not version.isdecimal() or int(version) >= FIRST_WITH_VALKEY]


def of_host() -> Engine:
    """Return the server of this host, whether it is there yet or not."""
    with open("/etc/os-release", encoding="utf-8") as file:
        return choose(file.read(), [engine for engine in ENGINES if os.path.exists(engine.settings)])
