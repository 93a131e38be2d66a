"""Node on a host: the tree of packages that the driver made, unpacked beside the releases that share it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host

STORE = "modules"
PACKAGE = re.compile(r"node_modules\.tar\.gz")
BIN = "node_modules/.bin"
# NODE_PATH does not lead ES modules anywhere. A link in the tree leads both kinds, and what a package finds from its
# own real place lies beside it there.
LINKS: Mapping[str, str] = {"node_modules": "node_modules"}
ENV: Mapping[str, str] = {"NODE_ENV": "production"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
"""Where systemd lets services find programs (systemd.exec(5))."""


def tools() -> dict[str, str]:
    """Return what a build must fit: the major version of Node, which is its ABI too, and the platform of packages."""
    import platform  # takes time, and only a look wants it

    program, version = shutil.which("node", path=PATH), ""
    if program:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        version = done.stdout.strip().lstrip("v")
    return {
        "node": version.partition(".")[0],
        "node_version": version,
        "platform": f"{sys.platform}-{platform.machine()}",
        "libc": "-".join(platform.libc_ver()),
    }


def install(host: Host, place: Path, packages: Sequence[Path]) -> None:
    """Unpack the tree; nothing of it is run here, and npm need not be there."""
    host.directory(place)
    for package in packages:
        words = ("--extract", "--gzip", "--no-same-owner", "--same-permissions")
        more = ("--file", str(package), "--directory", str(place))
        host.command("/usr/bin/tar", *words, *more, timeout=600, cut_short=True)
