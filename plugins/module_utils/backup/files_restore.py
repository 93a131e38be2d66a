"""Files given back: into a place of their own, or in place of what is there, which is kept aside and can come back."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection

from ansible_collections.ferryman.ops.plugins.module_utils.backup import exchange, space, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.borg import TOLD
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source import Source, said

Say = Callable[[str], None]


def restore(own: Source, kind: str, wanted: Record, into: str, run: str, say: Say) -> Record:
    """Restore a backup into an empty directory, or (`into` is empty) in place; return the job, which is written down.

    `wanted` says which one: `id`, and, where the archive's catalogue was asked, `engine_id` and `manifest`, by which
    an archive in another's place and a manifest that was changed are told.
    """
    began = time.time()
    job: Record = {
        "format": of.FORMAT, "id": run, "set": kind, "backup": wanted["id"], "into": into, "result": "failed",
        "reason": "", "began_at": of.said(began), "ended_at": "", "duration_s": 0.0, "bytes": 0, "aside": [],
    }  # fmt: skip
    with own.alone(kind):
        own.write("jobs", {**job, "result": "started"})
        try:
            record, manifest = told(own, kind, wanted)
            job["backup"] = record["id"]
            job["bytes"] = sum(one["bytes"] for one in manifest["files"].values())
            if into:
                _into(own, record, manifest, into, say)
            else:
                job["aside"] = _in_place(own, record, manifest, run, say)
            job["result"] = "restored"
        except (Trouble, OSError) as error:
            job["reason"] = said(error)
        job["ended_at"], job["duration_s"] = of.said(time.time()), round(time.time() - began, 3)
        own.write("jobs", job)
    return job


def told(own: Source, kind: str, wanted: Record) -> tuple[Record, Record]:
    """Return record and manifest of a backup, once both are what the catalogue says, and one is of the other."""
    works = own.engine(kind)
    name = wanted["id"] or newest(works.ids(), kind)
    record, text = works.told(name)
    counted = hashlib.sha256(text.encode()).hexdigest()
    for key in ("engine_id", "manifest"):
        if wanted.get(key) and wanted[key] != record[key]:
            raise Trouble(f"{name} is not the backup that the catalogue knows ({key}): take an older one")
    if record["id"] != name or record["set"] != kind or not of.is_whole(record):
        raise Trouble(f"{name} can't be restored: {record['reason'] or 'it is told as another one'}; take another")
    if counted != record["manifest"]:
        raise Trouble(f"the manifest of {name} is not the one that was taken with it: take another backup")
    works.require(record)
    return record, of.read(text, f"the manifest of {name}")


def newest(names: Collection[str], kind: str) -> str:
    """Return the name of the newest backup of a set among archives; a backup is one that has been told."""
    whole = sorted(name for name in names if of.ID.fullmatch(name) and name + TOLD in names)
    if not whole:
        raise Trouble(f"no backup of {kind} is there: take one (`backup-source take`)")
    return whole[-1]


def _into(own: Source, record: Record, manifest: Record, into: str, say: Say) -> None:
    if os.path.lexists(into) and (not os.path.isdir(into) or os.listdir(into)):
        raise Trouble(f"{into} is there and is no empty directory: name another, or empty it")
    os.makedirs(into, mode=0o700, exist_ok=True)
    _extract(own, record, manifest, dict.fromkeys(manifest["files"], into), say)


def _in_place(own: Source, record: Record, manifest: Record, run: str, say: Say) -> list[str]:
    """Write everything beside what is there, compare, and only then exchange the two; return where the old lies."""
    roots = list(manifest["files"])
    require_exchangeable(roots)
    new = {root: exchange.beside(root, exchange.NEW, run) for root in roots}
    try:
        _extract(own, record, manifest, new, say)
        try:
            for root in roots:
                exchange.swap(root, run, own.settings["left_out"])
        except OSError:
            for root in roots:
                exchange.unswap(root, run, own.settings["left_out"])
            raise
    finally:
        for place in new.values():
            shutil.rmtree(place, ignore_errors=True)
    return [exchange.beside(root, exchange.ASIDE, run) for root in roots]


def require_exchangeable(roots: list[str]) -> None:
    """Refuse directories that are not there, hold other disks, or are in the middle of another exchange."""
    for root in roots:
        if not os.path.isdir(root):
            raise Trouble(f"{root} is not there: provision this host, then restore")
        for run in exchange.unfinished(root):
            raise Trouble(f"the restore {run} was ended in the middle of {root}: take it back (`back --run {run}`)")
        exchange.require_one_disk(root)


def _extract(own: Source, record: Record, manifest: Record, places: dict[str, str], say: Say) -> None:
    """Write each directory below its place, and compare all of it with what the manifest says."""
    for root, one in manifest["files"].items():
        place = root if places[root].startswith(f"{root}/") else places[root]
        verdict = space.judge(space.need(one["bytes"], None), room(place), 0, place)
        if not verdict.enough:
            raise Trouble(f"{verdict.said}; nothing was restored: make room, and try again")
    for place in dict.fromkeys(places.values()):
        os.makedirs(place, mode=0o700, exist_ok=True)
        own.engine(record["set"]).extract(record, place, [root for root in places if places[root] == place], say)
    there = {root: place + root for root, place in places.items()}
    wrong = tree.differences(manifest, there)
    if wrong:
        raise Trouble(f"what was restored is not what was taken, take another backup: {'; '.join(wrong)}")


def room(path: str) -> space.Room:
    """Return what is free where a path lies."""
    found = os.statvfs(path)
    return space.Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def back(own: Source, kind: str, run: str) -> list[str]:
    """Put back what a restore of a set in place put aside, also one that was killed; return the directories.

    It is the last one where `run` is empty. What was restored, and what was written since, is kept beside it.
    """
    with own.alone(kind):
        jobs = [job for job in own.documents("jobs")[0] if job["set"] == kind]
        known = [job["id"] for job in sorted(jobs, key=_began) if job["aside"] and job["result"] == "restored"]
        run = run or (known[-1] if known else "")
        done = [root for root in own.roots(kind) if exchange.unswap(root, run, own.settings["left_out"])] if run else []
        if not done:
            what = f"the restore {run!r} of {kind} has nothing aside that could come back"
            raise Trouble(f"{what}: name one of: {', '.join(known) or 'none'}")
        for job in jobs:
            if job["id"] == run:
                own.write("jobs", {**job, "result": "taken back"})
    return done


def _began(job: Record) -> str:
    return str(job["began_at"])
