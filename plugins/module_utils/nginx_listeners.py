"""Who listens on a port of this host, by name: read from /proc, since `ss` may not be installed."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass

LISTENING = "0A"


@dataclass(frozen=True)
class Listener:
    port: int
    process: str
    pid: int
    unit: str

    def __str__(self) -> str:
        who = f"{self.process or 'an unknown process'} (process {self.pid or '?'}"
        return f"port {self.port}: {who}{', ' + self.unit if self.unit else ''})"


def sockets(table: str, ports: set[int]) -> dict[str, int]:
    """Return {inode: port} of the listening sockets in the text of /proc/net/tcp or tcp6 (proc(5))."""
    found = {}
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == LISTENING:
            port = int(words[1].rpartition(":")[2], 16)
            if port in ports:
                found[words[9]] = port
    return found


def unit_of(cgroup: str) -> str:
    """Return the innermost systemd unit in the text of /proc/<pid>/cgroup; empty if there is none."""
    units = re.findall(r"[^/\s]+\.(?:service|scope)", cgroup)
    return units[-1] if units else ""


def is_nginx(listener: Listener) -> bool:
    """Say whether this is the host's own nginx: one inside a container or of another unit is as foreign as any."""
    return listener.process == "nginx" and listener.unit == "nginx.service"


def listeners(ports: set[int], root: str = "/proc") -> list[Listener]:
    wanted: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        try:
            with open(f"{root}/net/{name}", encoding="ascii") as file:
                wanted.update(sockets(file.read(), ports))
        except FileNotFoundError:  # no IPv6
            continue
    found: dict[str, Listener] = {}
    for path in glob.glob(f"{root}/[0-9]*/fd/*") if wanted else []:
        try:
            inode = os.readlink(path)[len("socket:[") : -1]
            if inode not in wanted or (inode in found and is_nginx(found[inode])):
                continue
            process = os.path.dirname(os.path.dirname(path))
            with open(f"{process}/comm", encoding="utf-8") as file:
                name = file.read().strip()
            with open(f"{process}/cgroup", encoding="utf-8") as file:
                unit = unit_of(file.read())
        except OSError:  # it ended while we looked
            continue
        found[inode] = Listener(wanted[inode], name, int(os.path.basename(process)), unit)
    found.update({inode: Listener(port, "", 0, "") for inode, port in wanted.items() if inode not in found})
    return sorted(set(found.values()), key=lambda one: (one.port, one.pid))
