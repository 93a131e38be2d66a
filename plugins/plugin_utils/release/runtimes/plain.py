"""Files alone, or a program that brings all it needs: no lock, no dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import Lock

FIT: tuple[str, ...] = ("python", "platform", "libc")
SYSTEM: tuple[str, ...] = ()


def lock(commit: git.Commit, description: Mapping[str, Any]) -> None:
    """Return None."""


def loose(commit: git.Commit, description: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return nothing."""
    return []


def unfit(lock: Lock | None, tools: Mapping[str, str], description: Mapping[str, Any]) -> list[str]:
    """Return nothing."""
    return []


def fill(directory: Path, lock: Lock, tools: Mapping[str, str], description: Mapping[str, Any]) -> None:
    """Have nothing to fill."""
