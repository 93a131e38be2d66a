"""What a host is like, read in one session and judged elsewhere: nothing here decides, and nothing is changed.

Each reading answers by itself: one that fails says why under `error`, and the others are there.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterable
from urllib.parse import urlsplit

from ansible_collections.ferryman.ops.plugins.module_utils import nginx_listeners
from ansible_collections.ferryman.ops.plugins.module_utils.host import marker

SITES = "/etc/ferryman/sites"
DATA = ("/srv", "/var")
CONNECT_S = 3.0
MAX_CONNECTIONS = "select setting from pg_settings where name = 'max_connections'"
PORTS = {"http": 80, "https": 443}


def survey(ports: Iterable[int], urls: Iterable[str]) -> dict[str, Any]:
    """Return every reading by its name; `ports` are looked at beside those given out, `urls` are tried from here."""
    readings: dict[str, Callable[[], Any]] = {
        "marker": read_marker,
        "addresses": addresses,
        "disk": disk,
        "memory": memory,
        "listeners": lambda: listeners(set(ports)),
        "postgresql": postgresql,
        "versions": versions,
        "ways": lambda: [way(url) for url in [*sources(), *urls]],
        "clock": time.time,
    }
    return {name: _reading(read) for name, read in readings.items()}


def _reading(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, ValueError, LookupError, AttributeError, TypeError, subprocess.SubprocessError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def read_marker() -> dict[str, Any]:
    """Return the marker, empty on a host that was never provisioned; `error` says what is wrong with it."""
    try:
        return marker.read(Path(marker.PATH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def addresses() -> list[str]:
    """Return the host's own addresses, as the kernel lists them."""
    said = _run("ip", "-json", "address", "show")
    listed = json.loads(said) if said else []
    return [each["local"] for link in listed for each in link.get("addr_info", []) if each.get("scope") != "link"]


def disk() -> list[dict[str, Any]]:
    """Return the free space (bytes, files) where releases and data lie; what is not there yet lies on /."""
    found = []
    for path in DATA:
        there = path if os.path.exists(path) else "/"
        said = os.statvfs(there)
        found.append({"path": path, "free_bytes": said.f_bavail * said.f_frsize, "free_files": said.f_favail})
    return found


def memory() -> dict[str, int]:
    """Return the memory in bytes, as a whole and what could be had now (proc(5))."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    values = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return {"total_bytes": values["MemTotal"], "available_bytes": values["MemAvailable"]}


def listeners(ports: set[int]) -> list[dict[str, Any]]:
    """Return who listens on `ports` and on those that sites were given, with the site that a port was given to."""
    owners: dict[int, str] = {}
    for file in sorted(Path(SITES).glob("*/ports.json")):
        for slots in json.loads(file.read_text(encoding="utf-8")).get("ports", {}).values():
            owners.update({int(port): file.parent.name for given in slots.values() for port in given})
    found = nginx_listeners.listeners(ports | set(owners))
    return [
        {"port": one.port, "process": one.process, "unit": one.unit, "site": owners.get(one.port, ""), "said": str(one)}
        for one in found
    ]


def postgresql() -> dict[str, int]:
    """Return how many may connect; empty where no PostgreSQL runs here."""
    if not shutil.which("psql"):
        return {}
    said = _run("runuser", "-u", "postgres", "--", "psql", "-XAtqc", MAX_CONNECTIONS)
    return {"max_connections": int(said)} if said.isdecimal() else {}


def versions() -> dict[str, str]:
    """Return the versions of what releases run on; empty for what is not installed."""
    found = {"python": platform.python_version(), "systemd": "", "nginx": ""}
    if match := re.search(r"systemd (\d+)", _run("systemctl", "--version")):
        found["systemd"] = match.group(1)
    if os.path.exists("/usr/sbin/nginx") and (match := re.search(r"nginx/([\d.]+)", _run("/usr/sbin/nginx", "-v"))):
        found["nginx"] = match.group(1)
    values = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE))
    return {**found, "distribution": f"{values.get('ID', 'unknown')}-{values.get('VERSION_ID', '')}"}


def sources() -> list[str]:
    """Return where packages come from: the proxy that apt is told to use, else the first of its sources."""
    said = _run("apt-config", "dump", "--format", "%F %v%n")
    for proxy in re.findall(r"^Acquire::https?::Proxy (\S+)$", said, re.MULTILINE | re.IGNORECASE):
        if proxy.lower() != "direct":
            return [proxy]
    listed = _run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    return [url for url in listed if url.startswith("http")][:1]


def way(url: str) -> dict[str, Any]:
    """Say whether a connection to the host of an address can be made; nothing is asked over it."""
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_S).close()
    except OSError as error:
        return {"to": f"{parts.hostname}:{port}", "reached": False, "why": error.strerror or str(error)}
    return {"to": f"{parts.hostname}:{port}", "reached": True, "why": ""}


def _run(*words: str) -> str:
    """Return what a program says, on either stream; empty where there is no such program."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20, cwd="/"
        )
    except FileNotFoundError:
        return ""
    return (done.stdout or done.stderr).strip()
