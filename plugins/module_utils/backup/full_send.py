"""The archive's part of a full drill: everything restored from it alone, found good, and brought to a new host.

The database recovers here, as in any drill, and travels once it was found whole. Files travel as they lie in the
archive, and are compared with their manifest where they arrive.
"""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    archive,
    drill,
    drill_files,
    full,
    job,
    travel,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill_database import OfDatabase
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill_files import OfFiles
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

Told = dict[str, Any]


def key(name: str, run: str) -> str:
    """Return where the key lies by which what a drill restores travels; each drill has one of its own."""
    return f"{archive.SETTINGS}/{name}/full-drill-{run}"


def begin(own: archive.Archive, run: str) -> Told:
    """Return the drill's name, the public half of its key, the sets, and the bytes that they take.

    Trouble where a set has no good backup. Keys of drills that were killed, which open nothing any more, go.
    """
    kinds, records = full.chosen(own.settings["sets"]), own.records()
    without = [kind for kind in kinds if of.newest(records, kind, of.is_restorable) is None]
    if without:
        runs = ", ".join(f"`backup.run --set {kind}`" for kind in without)
        raise Trouble(f"no backup of {', '.join(without)} has passed a check, so nothing was begun: take one ({runs})")
    travel.tidy(key(own.name, "*"))
    needed = sum(_bytes(own, kind) for kind in kinds)
    return {"run": run, "public_key": travel.key(key(own.name, run)), "sets": kinds, "bytes": needed}


def _bytes(own: archive.Archive, kind: str) -> int:
    """Return what a set takes of the new host's disk; files twice, as they come and as they lie then."""
    backup = of.newest(own.records(), kind, of.is_restorable)
    if backup is None:
        return 0
    if kind in of.FILES:
        return 2 * drill_files.needed(own.manifest(backup))
    return int(job.engine(own, kind).restored_bytes(backup))


class DatabaseAway(OfDatabase):
    """The database, found whole here and brought there."""

    way: travel.Way

    def restored(self) -> None:
        """Restore, look, and have it travel as it is to be there: stopped, with the source's own settings."""
        self.found_whole()
        self.scratch.rest()
        self.timed("send", lambda: self.way.bring(self.scratch.data))


class FilesAway(OfFiles):
    """A set of files, brought there as it lies in the archive: in no clear copy here."""

    way: travel.Way

    def restored(self) -> None:
        """Have the backup's files travel; who takes them compares them with `manifest`."""
        backup, manifest = self.chosen()
        self.record["files"] = manifest["files"]
        path = full.tarball(self.way.into, self.kind)
        self.timed("send", lambda: self.way.pour(lambda out: self.works.export(backup["id"], out), path))


def send(own: archive.Archive, run: str, way: travel.Way) -> Told:
    """Restore every set and bring it to a host; return what was measured and found, and why it came to no end.

    That is {sets: {backup, to, rpo_s, rpo_said, files: as the manifest has them}, parts_s, checks, reason}.
    """
    told: Told = {"sets": {}, "parts_s": {}, "checks": [], "reason": ""}
    way.know()
    try:
        with own.alone("drill", wait=True):
            for kind in full.chosen(own.settings["sets"]):
                work = _work(own, kind, run, way)
                with work.undisturbed():
                    work.began = time.time()
                    work.measure()
                _add(told, kind, work.record)
                if told["reason"]:
                    break
    finally:
        way.forget()
    return told


def _work(own: archive.Archive, kind: str, run: str, way: travel.Way) -> drill.Drill:
    work = (FilesAway if kind in of.FILES else DatabaseAway)(own, kind, run)
    work.way = way
    return work


def _add(told: Told, kind: str, record: Record) -> None:
    """Add what was measured of a set to what is told of all."""
    told["sets"][kind] = {
        **record["sets"][kind],
        "rpo_s": record["rpo_s"], "rpo_said": record["rpo_said"], "files": record.get("files", {}),
    }  # fmt: skip
    told["parts_s"].update({f"{kind} {part}": seconds for part, seconds in record["parts_s"].items()})
    told["checks"] += [{**one, "name": f"{kind} {one['name']}"} for one in record["checks"]]
    failed = [one["said"] for one in record["checks"] if one["result"] != "passed"]
    told["reason"] = record["reason"] or "; ".join(failed)
