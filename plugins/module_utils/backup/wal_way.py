"""Both ends of the second way of WAL: a key of the database's host that may put files of WAL into one archive."""

from __future__ import annotations

import os
import shutil
from typing import Any, Callable

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, ssh, wal_sending
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.repositories import host_keys, merged, read
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

HOME = "/var/lib/barman"
KEYS = f"{HOME}/.ssh/authorized_keys"
Given = dict[str, Any]


def mark(name: str, host: str) -> str:
    """Return what a line of authorized_keys is known by."""
    return f"ferryman:{name}:{host}:wal"


def line(name: str, host: str, public: str) -> str:
    """Return the line by which a host may put files of WAL into an archive, and do nothing else there."""
    key = " ".join(public.split()[:2])
    return f'command="{archive.PROGRAM} put-wal --name {name}",restrict {key} {mark(name, host)}'


def key(place: Placing, given: Given) -> Given:
    """Have the key of the database's host, which never leaves it; return its public half."""
    own = wal_sending.secrets(given["name"])
    place.directory(archive.SETTINGS)
    place.directory(own, 0o700, wal_sending.ACCOUNT)
    path = f"{own}/key"
    if not os.path.exists(f"{path}.pub"):
        place.paths.append(path)
        if place.pretend:
            return {"public_key": ""}
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ferryman-wal", "-f", path]
        archive.run(words, "y\n", wal_sending.ACCOUNT)
    return {"public_key": read(f"{path}.pub").strip()}


def let_in(place: Placing, given: Given) -> Given:
    """Let that key in on the archive's host."""
    if place.pretend and not os.path.isdir(HOME):
        return {"host_keys": []}  # who owns the archive is made by the run that is pretended
    place.directory(f"{HOME}/.ssh")
    name, host = given["name"], given["host"]
    place.file(KEYS, merged(read(KEYS), {mark(name, host): line(name, host, given["public_key"])}))
    return {"host_keys": host_keys()}


def take_back(place: Placing, given: Given) -> Given:
    """Let it in no more."""
    name = mark(given["name"], given["host"])
    kept = [each for each in read(KEYS).splitlines(keepends=True) if each.split()[-1:] != [name]]
    if os.path.exists(KEYS):
        place.file(KEYS, "".join(kept))
    return {}


def reach(place: Placing, given: Given) -> Given:
    """Have the program that PostgreSQL calls, and what it needs to know; then see whether the archive takes files."""
    name = given["name"]
    place.file(f"{wal_sending.secrets(name)}/known_hosts",
               ssh.known(given["address"], given["port"], given["host_keys"]), 0o600, wal_sending.ACCOUNT)  # fmt: skip
    told = {key: given[key] for key in ("name", "address", "port", "keep")}
    place.file(wal_sending.settings(name), of.written({"format": of.FORMAT, **told, "user": archive.USER}))
    for path, text, mode in program.library(program.needed(wal_sending)):
        place.file(path, text, mode)
    place.file(wal_sending.PROGRAM, program.launcher(wal_sending), 0o755)
    if not place.pretend:
        archive.run([wal_sending.PROGRAM, name], user=wal_sending.ACCOUNT)
    return {}


def leave(place: Placing, given: Given) -> Given:
    """Have nothing of it on the database's host, but the program, which other archives may have."""
    for path in (wal_sending.settings(given["name"]), wal_sending.secrets(given["name"])):
        if os.path.exists(path):
            place.paths.append(path)
            if not place.pretend:
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    return {}


STEPS: dict[str, Callable[[Placing, Given], Given]] = {
    "key": key, "open": let_in, "close": take_back, "reach": reach, "leave": leave,
}  # fmt: skip
