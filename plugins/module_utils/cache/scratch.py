"""A server of its own on a snapshot: counted there, or left to be looked at. It answers on a socket alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.cache import contents
from ansible_collections.ferryman.ops.plugins.module_utils.cache.client import Client, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.cache.engines import Engine
from ansible_collections.ferryman.ops.plugins.module_utils.cache.server import run

HOME = "/var/lib/ferryman-cache"
LOOKED_S = 3600
START_S = 1800
# A replica, of nobody: it reads keys whose time is over, too, and lets none go. So it holds what was written.
SETTINGS = """\
port 0
unixsocket {directory}/socket
unixsocketperm 700
dir {directory}
dbfilename dump.rdb
logfile {directory}/log
save ""
replicaof 127.0.0.1 1
enable-debug-command local
"""


class Scratch:
    """A server `name` in a directory of its own, run by an account; what an earlier one left goes first."""

    def __init__(self, engine: Engine, name: str, directory: str, user: str = "") -> None:
        self.engine, self.directory, self.user = engine, directory, user or engine.user
        self.name, self.unit = name, unit(name)

    @property
    def socket(self) -> str:
        return f"{self.directory}/socket"

    def start(self, snapshot: str, lasting_s: int = LOOKED_S) -> None:
        """Start it on a snapshot that its account can read; it ends by itself after `lasting_s`."""
        self.end()
        os.makedirs(self.directory, mode=0o700)
        os.symlink(snapshot, f"{self.directory}/dump.rdb")
        with open(f"{self.directory}/server.conf", "w", encoding="ascii") as file:
            file.write(SETTINGS.format(directory=self.directory))
        for path in (self.directory, file.name):
            shutil.chown(path, self.user)
        limits = {
            "User": self.user, "PrivateNetwork": "yes", "ProtectSystem": "strict", "ReadWritePaths": self.directory,
            "NoNewPrivileges": "yes", "RuntimeMaxSec": str(lasting_s), "UMask": "077",
        }  # fmt: skip
        words = [word for name, value in limits.items() for word in ("-p", f"{name}={value}")]
        run(["systemd-run", "--quiet", "--collect", f"--unit={self.unit}", *words, self.engine.program, file.name])
        self._wait()

    def _wait(self) -> None:
        """Wait until it has read the snapshot; Trouble with its last words where it ended over it."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with contextlib.suppress(Trouble), Client(self.socket) as client:
                if client.info("persistence").get("loading") == "0":
                    return
            if subprocess.run(["systemctl", "is-active", "--quiet", self.unit], check=False).returncode:
                raise Trouble(f"{self.engine.name} can't read the snapshot ({self._last_words()}): take another backup")
            time.sleep(0.1)
        raise Trouble(
            f"{self.engine.name} has not read the snapshot within {START_S} s: look at `journalctl -u {self.unit}`"
        )

    def _last_words(self) -> str:
        with contextlib.suppress(OSError), open(f"{self.directory}/log", encoding="utf-8", errors="replace") as file:
            lines = [line.strip().partition(" # ")[2] for line in file if " # " in line]
            return "; ".join(line for line in lines if line)[-400:] or "it said nothing"
        return "it said nothing"

    def contents(self) -> dict[str, Any]:
        """Return what it holds: server, keys by database, a digest over all, and the bytes of memory that takes."""
        with Client(self.socket, timeout_s=START_S) as client:
            about = client.info("server")
            version = about.get(f"{self.engine.name}_version") or about["redis_version"]
            return {
                "server": f"{self.engine.name} {version}",
                "keys": contents.keys(client.info("keyspace")),
                "digest": client.ask("DEBUG", "DIGEST"),
                "memory_bytes": int(client.info("memory")["used_memory"]),
            }

    def end(self) -> None:
        """Stop it, and take away its directory."""
        stop(self.name)
        shutil.rmtree(self.directory, ignore_errors=True)


def unit(name: str) -> str:
    return f"ferryman-cache-{name}.service"


def stop(name: str) -> None:
    """Stop the server of this name, if there is one."""
    words = ["systemctl", "stop", unit(name)]
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def require_memory(used: int) -> None:
    """Refuse to read a snapshot that takes so many bytes where the host has them not."""
    with open("/proc/meminfo", encoding="ascii") as file:
        short = contents.short_of_memory(used, contents.available(file.read()))
    if short:
        raise Trouble(short)
