"""Python on a host: a virtual environment, made from the wheels that travelled, by the host's own pip."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host

STORE = "wheels"
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
BIN = "bin"
LINKS: Mapping[str, str] = {}
ENV: Mapping[str, str] = {}


def tools() -> dict[str, str]:
    """Return what a build must fit: the Python that services run on, and the platform of wheels."""
    import platform  # takes time, and only a look wants it

    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "python_version": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "libc": "-".join(platform.libc_ver()),
    }


def install(host: Host, place: Path, packages: Sequence[Path]) -> None:
    """Make the environment at `place`; none of it comes from anywhere but `packages`."""
    from ansible_collections.ferryman.ops.plugins.module_utils.host import program  # few runs have something new

    try:
        pip = program.pip(str(place)) if packages else []
    except program.NotInstalled as error:
        raise Failed(str(error), hint="`provision` installs it") from None
    host.command(*program.venv(str(place)), timeout=120, cut_short=True)
    if packages:
        words = ("install", "--quiet", "--no-index", "--no-deps", "--no-input")
        more = ("--disable-pip-version-check", "--no-cache-dir")
        host.command(
            *(*pip, *words, *more, *map(str, packages)),
            timeout=600,
            cut_short=True,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_CONFIG_FILE": "/dev/null"},
        )
