"""The settings of a cache: what is wrong with wishes, how they read in a file, and what is in force otherwise."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.cache.engines import INSTANCE, Engine

MB = 2**20
LARGEST = 0.75  # of the host's memory
LOOPBACK = ("127.0.0.1", "-::1")  # the second where the host has IPv6
NAME = re.compile(r"[a-z][a-z0-9-]*")
SIZE = re.compile(r"(\d+)([kmg]b?)", re.IGNORECASE)
UNITS = {"k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
OWN = {
    "bind": "cache_addresses", "port": "cache_port", "maxmemory": "cache_memory_mb",
    "maxmemory-policy": "cache_eviction", "save": "cache_snapshots", "requirepass": "cache_password",
}  # fmt: skip
# What would keep a snapshot from being all that the server holds, or hand it to somebody else.
NEVER = (
    "aclfile", "appendonly", "daemonize", "dbfilename", "dir", "include", "loadmodule", "pidfile", "protected-mode",
    "rename-command", "replicaof", "slaveof", "stop-writes-on-bgsave-error", "supervised", "tls-port", "unixsocket",
    "user",
)  # fmt: skip


def problems(wished: Mapping[str, Any], memory: int) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences; `memory` is the host's, in bytes."""
    found = [said for address in wished["addresses"] for said in _of_address(address)]
    if len(wished["password"]) < 16:
        found.append("cache_password: at least 16 characters, since whoever reaches the port may guess very fast")
    if wished["memory_mb"] * MB > memory * LARGEST:
        most = int(memory * LARGEST) // MB
        found.append(f"cache_memory_mb: {wished['memory_mb']} MB of a host with {memory // MB}: at most {most}")
    for name, value in wished["settings"].items():
        if name in OWN:
            found.append(f"cache_settings.{name}: say it by {OWN[name]}")
        elif name in NEVER:
            found.append(f"cache_settings.{name}: is Ferryman's own: leave it out")
        elif not NAME.fullmatch(name) or "\n" in str(value):
            found.append(f"cache_settings.{name}: is no setting on one line")
    return found


def _of_address(text: str) -> list[str]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return [f"cache_addresses: {text!r} is no address"]
    if address.is_unspecified or not address.is_private:
        return [f"cache_addresses: {text} is no private address, and what travels there is not encrypted: name one"]
    return [f"cache_addresses: {text} is listened on anyway: leave it out"] if address.is_loopback else []


def directives(wished: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that are wanted, by name, as CONFIG SET takes them."""
    snapshots = [f"{each['after_s']} {each['changes']}" for each in wished["snapshots"]]
    return {
        "bind": " ".join([*LOOPBACK, *wished["addresses"]]),
        "port": str(wished["port"]),
        "protected-mode": "yes",
        "maxmemory": str(wished["memory_mb"] * MB),
        "maxmemory-policy": wished["eviction"],
        "save": " ".join(snapshots),
        # A disk that is full ends snapshots, which is told, and not what the cache is for.
        "stop-writes-on-bgsave-error": "no",
        **{name: _word(value) for name, value in wished["settings"].items()},
    }


def _word(value: Any) -> str:
    """Return a value as the server writes it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def text(wanted: Mapping[str, str], engine: Engine, digests: Mapping[str, str]) -> str:
    """Return the file of settings; of a user's password it holds the SHA-256 alone."""
    lines = [
        "# Written by Ferryman (role cache); changes here are lost: name them in cache_settings.",
        *(f"{name} {value or chr(34) * 2}" for name, value in wanted.items()),
        f"dir {engine.data}",
        "dbfilename dump.rdb",
        f"pidfile /run/{engine.name}-{INSTANCE}/{engine.name}-server.pid",
        'logfile ""',
        *(f"user {name} {rights(digest)}" for name, digest in digests.items()),
    ]
    return "".join(f"{line}\n" for line in lines)


def rights(digest: str) -> str:
    """Return what an account may, which logs in by the password with this SHA-256 alone."""
    return f"reset on #{digest} ~* &* +@all"


def digest(password: str) -> str:
    """Return the SHA-256 of a password, as the server stores it."""
    return hashlib.sha256(password.encode()).hexdigest()


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return the names of settings that are not in force as they are wanted."""
    return [name for name, value in wanted.items() if _plain(found.get(name)) != _plain(value)]


def _plain(value: Any) -> str:
    """Return a value in the form that the server tells it in: a size in bytes, one space between words."""
    size = SIZE.fullmatch(str(value))
    return str(int(size[1]) * UNITS[size[2].lower()]) if size else " ".join(str(value).split())
