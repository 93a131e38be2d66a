"""Files alone, or a program that brings all it needs: nothing is installed beside a release."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtimes import python

STORE = ""
PACKAGE = re.compile(r"(?!)")
BIN = "bin"
LINKS: Mapping[str, str] = {}
ENV: Mapping[str, str] = {}

tools = python.tools
"""A program was built for a platform, too, and may be a script of the host's Python."""


def install(host: Host, place: Path, packages: Sequence[Path]) -> None:
    """Refuse: such a release names no environment."""
    raise Failed(f"{place} was asked for, and {host.site.name} has no dependencies", hint="build again")
