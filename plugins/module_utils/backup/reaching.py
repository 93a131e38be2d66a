"""Both ends of the way by which drills reach the applications: a key, an account that may do nothing, who is where."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Callable

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, rehearsal
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.repositories import host_keys, merged, read

KEYS = f"{rehearsal.BASE}/.ssh/authorized_keys"
Given = dict[str, Any]


def key(place: Placing, given: Given) -> Given:
    """Have the archive's key, which never leaves its host; return its public half."""
    path = rehearsal.key(given["name"])
    if not os.path.exists(f"{path}.pub"):
        place.paths.append(path)
        if place.pretend:
            return {"public_key": ""}
        mark = rehearsal.mark(given["name"])
        archive.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", mark, "-f", path])
    return {"public_key": read(f"{path}.pub").strip()}


def let_in(place: Placing, given: Given) -> Given:
    """Have an account that may reach sockets by that key, and the directory where the restored server's appears."""
    account = rehearsal.ACCOUNT
    if subprocess.run(["getent", "passwd", account], stdout=subprocess.DEVNULL, check=False).returncode:
        place.paths.append(account)
        if not place.pretend:
            words = ["useradd", "--system", "--user-group", "--home-dir", rehearsal.BASE, "--no-create-home"]
            # Locked by a password that nothing matches: sshd refuses keys of an account that is locked by `!`.
            subprocess.run([*words, "--shell", "/usr/sbin/nologin", "--password", "*", account], check=True)
    place.directory(rehearsal.BASE)
    place.directory(f"{rehearsal.BASE}/.ssh")
    place.directory(rehearsal.place(given["name"]), 0o700, account)
    line = {rehearsal.mark(given["name"]): rehearsal.line(given["name"], given["public_key"])}
    place.file(KEYS, merged(read(KEYS), line))
    return {"host_keys": host_keys()}


def take_back(place: Placing, given: Given) -> Given:
    """Let that key in no more."""
    kept = merged(read(KEYS), {rehearsal.mark(given["name"]): ""}).rstrip("\n")
    if os.path.exists(KEYS):
        place.file(KEYS, f"{kept}\n" if kept else "")
    return {}


def reach(place: Placing, given: Given) -> Given:
    """Have the archive's host know whom to ask, where, and by which key that host is known."""
    name, host, port = given["name"], given["host"], given["port"]
    known = "".join(f"[{host}]:{port} {each}\n{host} {each}\n" for each in given["host_keys"])
    place.file(f"{rehearsal.key(name)}.known_hosts", known, 0o600, archive.USER)
    told = {key: given[key] for key in ("name", "sites", "wanted", "host", "port", "database_port")}
    place.file(rehearsal.settings(name), of.written({"format": of.FORMAT, **told}))
    return {}


STEPS: dict[str, Callable[[Placing, Given], Given]] = {
    "key": key, "open": let_in, "close": take_back, "reach": reach,
}  # fmt: skip
