"""The new host's part of a full drill: whose it is, what it takes, and that nothing of it reaches the world."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host
from ansible_collections.ferryman.ops.plugins.module_utils.backup import exchange, files_restore, full, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import replace
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.host import marker as markers
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

MARK = "/etc/ferryman-drill.json"  # outside of what a restore exchanges
LISTENS = "0A"  # of a socket, as the kernel has it (net/tcp_states.h)
# A certificate of the drill's own takes the place of these: the account of the real authority stays where it is.
APART = (
    certificate_host.ACME, certificate_host.SETTINGS, certificate_host.PUBLISHED, certificate_host.HOOKS,
    certificate_host.RECORDS, certificate_host.VERSIONS, certificate_host.WORK,
)  # fmt: skip

# Whose host it is


def refusal(mark: Mapping[str, Any], marker: Mapping[str, Any], busy: Iterable[int], environment: str) -> str:
    """Return why a host is none for a drill; empty where it is.

    `mark` is what an earlier drill left, `marker` says which environments the host belongs to, `busy` are the ports of
    what a drill serves at which others answer already.
    """
    owners = " and ".join(str(name) for name in marker.get("environments", []))
    if mark and mark.get("environment") != environment:
        return f"a drill of {mark.get('environment')} is made on this host: name another, or end that one first"
    if mark:
        return ""
    if marker:
        return f"this host belongs to {owners or 'an environment'} and is none for a drill: name an empty one"
    ports = ", ".join(map(str, sorted(busy)))
    return f"something serves on this host at port {ports}: name an empty one for a drill" if ports else ""


def listening(table: str) -> set[int]:
    """Return the ports at which others answer, of the text of /proc/net/tcp or tcp6 (proc(5))."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTENS}


def claim(environment: str, ports: Iterable[int]) -> None:
    """Have a host be that of a drill, before anything else is done there; Trouble where it is anybody's."""
    busy = {port for name in ("tcp", "tcp6") for port in listening(_text(f"/proc/net/{name}"))} & set(ports)
    wrong = refusal(mark(), _json(markers.PATH), busy, environment)
    if wrong:
        raise Trouble(wrong)
    _mark(environment, [])


def _mark(environment: str, roots: list[str]) -> None:
    replace(MARK, json.dumps({"format": 1, "environment": environment, "roots": roots}) + "\n")


def mark() -> dict[str, Any]:
    """Return what says on this host that it is a drill's; empty where it is not."""
    return _json(MARK)


def is_claimed(environment: str) -> bool:
    """Return whether a drill of an environment was begun on this host."""
    return bool(mark().get("environment") == environment)


def require_claimed(environment: str) -> None:
    """Refuse to write what was restored to a host that no drill was begun on."""
    if not is_claimed(environment):
        raise Trouble(f"no drill of {environment} was begun here, so nothing is restored: `drill.full` makes one")


def _text(path: str) -> str:
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


def _json(path: str) -> dict[str, Any]:
    try:
        found = json.loads(_text(path) or "{}")
    except ValueError:
        found = {"environment": None}  # a mark that nobody can read is somebody's
    return found if isinstance(found, dict) else {"environment": None}


# What it takes


def take(
    environment: str, into: str, run: str, sets: Mapping[str, Mapping[str, Any]], left_out: list[str]
) -> list[dict[str, str]]:
    """Put the files of each set in place, once all of them are what their manifest says; return the checks.

    `sets` has of each its directories as a manifest tells of them. What is left out stays as this host has it.
    """
    _mark(environment, [root for files in sets.values() for root in files])
    found = [_compared(into, run, kind, dict(files)) for kind, files in sets.items()]
    if all(one["result"] == "passed" for one in found):
        for files in sets.values():
            for root in files:
                came, aside = (exchange.beside(root, what, run) for what in (exchange.NEW, exchange.ASIDE))
                for path in APART:
                    gone(came + path)
                exchange.swap(root, run, [*left_out, *APART])
                for path in (came, aside):
                    gone(path)
    return found


def gone(path: str) -> None:
    """Have nothing lie at a path."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _compared(into: str, run: str, kind: str, files: dict[str, Any]) -> dict[str, str]:
    """Write the files of a set beside their places, and compare; return the check."""
    path = full.tarball(into, kind)
    for root in files:
        os.makedirs(root, exist_ok=True)
    files_restore.require_exchangeable(list(files))
    places = {root: exchange.beside(root, exchange.NEW, run) for root in files}
    for root, beside in places.items():
        os.makedirs(beside, mode=0o700)
        words = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--file", path, "--directory", beside]
        done = subprocess.run([*words, "--", root.lstrip("/")], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"{kind} could not be unpacked, look at the disk of this host: {program.tail(done.stderr)}")
    os.unlink(path)
    wrong = tree.differences({"files": files}, {root: beside + root for root, beside in places.items()})
    count = sum(one["files"] for one in files.values())
    said = "; ".join(wrong[:5]) or f"{count} files are as they were"
    return {"name": f"{kind} manifest", "result": "failed" if wrong else "passed", "said": said}


def certificates(sites: Iterable[str]) -> list[str]:
    """Return what clients of sites are to trust: the certificate that this host made for each."""
    return [_text(f"{certificate_host.PUBLISHED}/{site}/fullchain.pem") for site in sites]
