"""What differs between runtimes on the driver: one module for each, with the same few names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes import node, plain, python
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import Lock


class Runtime(Protocol):
    """How the dependencies of applications of one kind are locked, and brought together for hosts to install."""

    FIT: tuple[str, ...]
    """What of a host's tools a build must fit; hosts that differ in it need artifacts of their own."""
    SYSTEM: tuple[str, ...]
    """The packages of the system that hosts need for it."""

    def lock(self, commit: git.Commit, description: Mapping[str, Any]) -> Lock | None:
        """Return the lock in a commit; None for an application that gets no environment."""

    def loose(self, commit: git.Commit, description: Mapping[str, Any]) -> list[tuple[str, int, str]]:
        """Return by file and line what keeps a lock in a commit from saying what is installed, and the way out."""

    def unfit(self, lock: Lock | None, tools: Mapping[str, str], description: Mapping[str, Any]) -> list[str]:
        """Return why hosts with these `tools` cannot run the application; nothing where they can."""

    def fill(self, directory: Path, lock: Lock, tools: Mapping[str, str], description: Mapping[str, Any]) -> None:
        """Fill `directory` with what hosts with these `tools` install from. AnsibleError where it is not to be had."""


RUNTIMES: Mapping[str, Runtime] = {"python": python, "node": node, "static": plain, "binary": plain}
