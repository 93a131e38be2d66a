"""What differs between runtimes on a host: one module for each, with the same few names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtimes import node, plain, python


class Runtime(Protocol):
    """How releases of one kind get their dependencies, and are run."""

    STORE: str
    """The directory of a site (and the key of a manifest) where what environments are made from is kept."""
    PACKAGE: re.Pattern[str]
    """The names of the files in it."""
    BIN: str
    """The directory of an environment that goes onto PATH."""
    LINKS: Mapping[str, str]
    """What is linked into a release's tree, and where in its environment that leads."""
    ENV: Mapping[str, str]
    """Variables of each process, as defaults: an application's own win."""

    def tools(self) -> dict[str, str]:
        """Return what a build must fit on this host; an empty value for what is not there."""

    def install(self, host: Host, place: Path, packages: Sequence[Path]) -> None:
        """Make the environment at `place` from `packages` alone."""


RUNTIMES: Mapping[str, Runtime] = {"python": python, "node": node, "static": plain, "binary": plain}
STORES = tuple(sorted({each.STORE for each in RUNTIMES.values() if each.STORE}))
