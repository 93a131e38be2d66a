"""`python -m ferryman.sandbox`: the sandbox by itself, for Molecule and for scripts.

    up   --name NAME --directory DIR < platforms.json     [{"name": "host", "publish": {"8443": 443}, ...}, ...]
    down --name NAME --directory DIR

`up` prints where the hosts are, as JSON. A platform that publishes no SSH gets a free port for it.
FERRYMAN_SANDBOX_DEBIAN names the Debian of bare hosts that name none, so that one scenario proves a role on each.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ferryman.errors import Stop
from ferryman.sandbox import access, hosts
from ferryman.sandbox.model import Host, Sandbox, checked, host
from ferryman.sandbox.ports import free_port

# Molecule's own words about a platform, which are none of ours.
MOLECULE = {"groups", "children", "hostname"}
DEBIAN = "FERRYMAN_SANDBOX_DEBIAN"


def platform(options: dict[str, Any], ports: dict[str, int]) -> Host:
    """Return the host of a platform; its SSH server listens on the very port that is published for it."""
    ours = {key: value for key, value in options.items() if key not in MOLECULE}
    if ours.get("image", "base") == "base" and DEBIAN in os.environ:
        ours.setdefault("debian", int(os.environ[DEBIAN]))
    port = ports[options["name"]]
    return host(ours["name"], ours | {"ssh_port": port, "publish": {**ours.get("publish", {}), port: port}})


def ssh_ports(directory: Path, names: list[str]) -> dict[str, int]:
    """Return a port for each host, the same at every `up` of one sandbox."""
    path = directory / "ports.json"
    known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    ports = known | {name: free_port() for name in names if name not in known}
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    path.write_text(json.dumps(ports))
    return ports


def up(name: str, directory: Path, platforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring the platforms up and return Molecule's instance configuration for each."""
    ports = ssh_ports(directory, [one["name"] for one in platforms])
    sandbox = checked(Sandbox(name, directory, tuple(platform(one, ports) for one in platforms)))
    hosts.up(sandbox, lambda line: print(line, file=sys.stderr))
    return [
        {
            "instance": one.name,
            "address": "127.0.0.1",
            "port": one.ssh_port,
            "user": access.USER,
            "identity_file": str(sandbox.key),
        }
        for one in sandbox.hosts
    ]


def main() -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ferryman.sandbox", description="Hosts from a list of platforms.")
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("--name", required=True)
    parser.add_argument("--directory", required=True, type=Path)
    words = parser.parse_args()
    directory = words.directory.absolute()
    try:
        if words.verb == "up":
            print(json.dumps(up(words.name, directory, json.load(sys.stdin))))
        else:
            hosts.down(words.name, directory)
    except Stop as stop:
        print(stop.message, stop.hint, sep="\n", file=sys.stderr)
        return stop.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
