"""Having a drill ask the applications, on their own host, whether they are well on what was restored.

Over one SSH connection, by a key that may do nothing there but reach sockets: one of the application's host is asked
over it, and the restored server's appears there. With whoever holds the connection all that it began ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

ACCOUNT = "ferryman-drill"
BASE = f"/var/lib/{ACCOUNT}"
ASKING = "/run/ferryman-rehearsal"
REACH_S = 30
LIMIT_S = 900  # as the unit has it that answers
PASSED, FAILED, LEFT_OUT, NOT_ASKED = "passed", "failed", "left out", "not asked"
OFF = "backup_drill_applications says that it is not to be asked"
NOWHERE = "backup_applications_host does not say how the archive's host reaches it"
SSH = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "ExitOnForwardFailure=yes", "LogLevel=ERROR",
       "ConnectTimeout=10", "ServerAliveInterval=15", "StreamLocalBindUnlink=yes", "ControlPath=none")  # fmt: skip


def settings(name: str) -> str:
    """Return the path of what an archive knows of the applications."""
    return f"{archive.SETTINGS}/{name}.rehearsal.json"


def key(name: str) -> str:
    """Return the path of the key by which an archive reaches the applications' host."""
    return f"{archive.SETTINGS}/{name}/rehearsal"


def place(name: str) -> str:
    """Return the directory on the applications' host where the restored server's socket appears."""
    return f"{BASE}/{name}"


def asking(name: str) -> str:
    """Return the socket on the applications' host that is asked."""
    return f"{ASKING}/{name}.sock"


def line(name: str, public: str) -> str:
    """Return the line of authorized_keys by which an archive may reach one socket there, and bring its own."""
    # sshd takes a path for a host, in brackets. Of listening ports it permits one that only root could take.
    only = f'restrict,port-forwarding,permitopen="[{asking(name)}]:*",permitlisten="127.0.0.1:1",command="/bin/false"'
    return f"{only} {' '.join(public.split()[:2])} {mark(name)}"


def mark(name: str) -> str:
    """Return what the line of an archive ends with."""
    return f"ferryman:{name}:rehearsal"


def known(name: str) -> dict[str, Any]:
    """Return what this host knows of the applications of an archive; empty where there are none."""
    with contextlib.suppress(FileNotFoundError), open(settings(name), encoding="utf-8") as file:
        return of.read(file.read(), file.name)
    return {}


def ask(name: str, directory: str, run: str) -> dict[str, dict[str, Any]]:
    """Have every application asked on the server whose socket lies in `directory`/socket; return answers by site.

    An answer holds result (passed, failed, left out: not wanted, or nothing is live; not asked: nobody could), said,
    release, asked (each step as `verify` tells it) and evidence.
    """
    told = known(name)
    sites = told.get("sites", [])
    if not sites:
        return {}
    if not told["wanted"] or not told["host"]:
        without = (NOT_ASKED, NOWHERE) if told["wanted"] else (LEFT_OUT, OFF)
        return {site: _answer(*without) for site in sites}
    silent = f"nobody answered at {told['host']}: journalctl -u 'ferryman-rehearsal-{name}@*' says why there"
    try:
        with _connected(told, directory, run) as connection:
            request = {"run": run, "socket": os.path.basename(_there(name, run)), "port": told["database_port"]}
            connection.sendall(json.dumps(request).encode() + b"\n")
            text = connection.makefile("rb").readline()
        return dict(json.loads(text)) if text else {site: _answer(NOT_ASKED, silent) for site in sites}
    except (Trouble, OSError, ValueError) as error:
        return {site: _answer(NOT_ASKED, str(error)) for site in sites}


def _answer(result: str, said: str) -> dict[str, Any]:
    return {"result": result, "said": said, "release": "", "asked": [], "evidence": []}


def _there(name: str, run: str) -> str:
    return f"{place(name)}/{run}"


@contextlib.contextmanager
def _connected(told: dict[str, Any], directory: str, run: str) -> Iterator[socket.socket]:
    """Be connected to who asks the applications, and let the restored server be reached from there meanwhile."""
    name, here = told["name"], f"{directory}/ask"
    words = [*_as_owner(), "ssh", "-N", "-T", "-F", "none", "-i", key(name), "-p", str(told["port"])]
    for option in (*SSH, f"UserKnownHostsFile={key(name)}.known_hosts"):
        words += ["-o", option]
    words += ["-L", f"{here}:{asking(name)}", "-R", f"{_there(name, run)}:{directory}/socket/.s.PGSQL.5432"]
    with tempfile.TemporaryFile() as said, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        ssh = subprocess.Popen([*words, f"{ACCOUNT}@{told['host']}"], stdin=subprocess.DEVNULL, stdout=said,
                               stderr=said, cwd="/")  # fmt: skip
        try:
            _wait_for(here, ssh, said, told["host"])
            connection.settimeout(LIMIT_S)
            connection.connect(here)
            yield connection
        finally:
            ssh.kill()
            ssh.wait()


def _as_owner() -> list[str]:
    """Return what runs a command as who owns the archive, and has the kernel end it with this process."""
    owner = archive.USER
    return ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--init-groups", "--pdeathsig=KILL", "--"]


def _wait_for(path: str, ssh: subprocess.Popen[bytes], said: Any, host: str) -> None:
    until = time.monotonic() + REACH_S
    while not os.path.exists(path):
        if ssh.poll() is not None or time.monotonic() > until:
            said.seek(0)
            words = " ".join(said.read().decode(errors="replace").split())
            raise Trouble(f"look at SSH's way to {host} ({ACCOUNT}), or provision: {words or 'it does not answer'}")
        time.sleep(0.05)
