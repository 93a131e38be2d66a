"""A drill of a set of files: what was sent, written to a disk again, and every file compared with the manifest."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator

from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect, drill, freshness, job, space, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble, taken_at

A_FILE = 4096  # bytes that a file takes of a disk, beside what it holds


class OfFiles(drill.Drill):
    """One drill of set `media` or `config`."""

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Have no host in the repository: what is looked at before it is written must be what is written."""
        with self.own.alone(self.kind, wait=True), self.works.exclusively():
            yield

    def restored(self) -> None:
        """Restore, by the account that owns the repositories, and compare."""
        backup, manifest = self.chosen()
        job.require_room(self.own, needed(manifest))
        into, roots = self._place(), list(manifest["files"])
        self.timed("copy", lambda: self.works.extract(backup, into, roots, lambda line: None, owned=False))
        wrong = self.timed("check", lambda: self._differences(backup, manifest, into))
        self.check("manifest", wrong, held(manifest))
        self.tried(manifest, into)
        self.back()

    def chosen(self) -> tuple[Record, Record]:
        """Return the backup that is restored, and its manifest; the record says how old it is.

        Trouble where it is not the one that was taken, or would write outside of its place.
        """
        backup = self.newest()
        collect.keep(self.own, self.kind, collect.put_right(self.works), time.time())
        self.works.require(backup)
        require_inside(self.works.astray(backup["id"]))
        age_s = max(0.0, self.began - taken_at(backup))
        self.record["rpo_s"] = round(age_s, 3)
        self.record["rpo_said"] = f"the backup was {freshness.span(age_s)} old; what was written since is in none"
        return backup, self.own.manifest(backup)

    def tried(self, manifest: Record, into: str) -> None:
        """Try what was restored by the set's own program; files have none."""

    def end(self) -> None:
        """Remove what was restored; it lies in clear."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(drill.place(self.own))

    def _place(self) -> str:
        """Make the place anew, for the repositories' account alone: what a host sent gets no rights of root here."""
        self.end()
        into = drill.place(self.own)
        os.makedirs(into, mode=0o700)
        shutil.chown(into, self.works.place.user)
        return into

    def _differences(self, backup: Record, manifest: Record, into: str) -> list[str]:
        """Return what is not as the manifest has it, and by name the files that are not as the archive has them."""
        places = {root: into + root for root in manifest["files"]}
        wrong = tree.differences(manifest, places)
        if not wrong:
            return []
        wanted = self.works.contents(backup["id"])
        there = dict(tree.below(places))
        other = sorted(path for path in {*wanted, *there} if wanted.get(path) != there.get(path))
        return wrong + [f"{path} is not as it lies in the archive" for path in other[:5]]


def require_inside(astray: list[str]) -> None:
    """Refuse to write what would not stay where it is put."""
    if astray:
        raise Trouble(f"the backup would write outside of its place, look at the host that sent it: {astray[0]}")


def needed(manifest: Record) -> int:
    """Return the bytes that the files of a manifest take on a disk."""
    whole = sum(one["bytes"] + one["files"] * A_FILE for one in manifest["files"].values())
    return space.need(whole, None)


def held(manifest: Record) -> str:
    """Say what a manifest tells of, where all of it came back."""
    files = sum(one["files"] for one in manifest["files"].values())
    size = space.size(sum(one["bytes"] for one in manifest["files"].values()))
    return f"{files} files with {size} are as they were"
