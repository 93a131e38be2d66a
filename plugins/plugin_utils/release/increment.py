"""What an artifact can take over from the one before: the files that git calls equal in both commits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git

FEW = 500  # changed files; with more of them git's archive of everything is as fast


@dataclass(frozen=True)
class Base:
    """An artifact to grow from: its tar, the `entries` in it, and the paths that have `changed` since (or are new)."""

    tar: Path
    entries: Mapping[str, files.Entry]
    changed: list[str]
    gone: frozenset[str]

    def kept(self) -> dict[str, files.Entry]:
        """Return the entries that are taken over."""
        return {path: e for path, e in self.entries.items() if path not in self.gone and path not in set(self.changed)}


def find(commit: git.Commit, description: Mapping[str, Any], place: Path) -> Base | None:
    """Return what the newest like artifact in `place` offers, or None.

    None also where a file can differ although git calls it equal: after a build's commands, or by attributes.
    """
    build, repository = description["build"], commit.repository
    if build["commands"] or build["root"] != "." or not place.is_dir():
        return None
    directory, since = _newest(place, path=commit.path, build=build, shared=description.get("shared"))
    if not since or any((repository / name / "attributes").exists() for name in (".git/info", "info")):
        return None
    try:
        changed = set(git.changes(commit, since))
    except AnsibleError:  # a commit of another repository, or one that is gone
        return None
    present = git.names(commit)
    if len(changed) > FEW or any(_unsure(path) for path in present | changed):
        return None
    links = tuple(f"{name}/" for name in RUNTIMES[description["runtime"]["kind"]].LINKS)
    if any(
        path.startswith(links) for path in present
    ):  # packed or not by a lock, which may have come or gone meanwhile
        return None
    entries = files.load((directory / "files.txt").read_text(encoding="utf-8"))
    return Base(directory / "app.tar", entries, sorted(changed & present), frozenset(changed - present))


def _unsure(path: str) -> bool:
    """Say whether a path can't be handed back to git as it was read, or tells git to treat others in its own way."""
    return "\ufffd" in path or path.rpartition("/")[2] == ".gitattributes"


def made(artifact: Path) -> float:
    """Return when an artifact was made (in seconds since 1970); 0 where it is not whole, or gone meanwhile."""
    try:
        return (artifact / "manifest.json").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _newest(place: Path, **like: Any) -> tuple[Path, str]:
    """Return the newest artifact of the same directory, built and shared in the same way, and its commit."""
    for directory in sorted(place.glob("[0-9a-f]*"), key=made, reverse=True):
        with suppress(OSError, ValueError, KeyError):  # not whole, or made by another version
            manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
            told = manifest["description"]
            if like == {"path": manifest["path"], "build": told["build"], "shared": told.get("shared")}:
                return directory, str(manifest["commit"])
    return place, ""
