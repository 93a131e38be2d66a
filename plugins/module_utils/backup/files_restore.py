"""Files given back: into a place of their own, or in place of what is there, which is kept aside and can come back."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection

from ansible_collections.ferryman.ops.plugins.module_utils.backup import exchange, space, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.borg import TOLD
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source import Source

Say = Callable[[str], None]


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


def into(own: Source, record: Record, manifest: Record, directory: str, say: Say) -> Record:
    """Write all of it into an empty directory, or one that is not there; return nothing new of the job."""
    if os.path.lexists(directory) and (not os.path.isdir(directory) or os.listdir(directory)):
        raise Trouble(f"{directory} is there and is no empty directory: name another, or empty it")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    extract(own, record, manifest, dict.fromkeys(manifest["files"], directory), say)
    return {}


def in_place(own: Source, record: Record, manifest: Record, run: str, say: Say) -> Record:
    """Write everything beside what is there, compare, and only then exchange the two; return where the old lies."""
    roots = list(manifest["files"])
    require_exchangeable(roots)
    new = {root: exchange.beside(root, exchange.NEW, run) for root in roots}
    try:
        extract(own, record, manifest, new, say)
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
    return {"aside": [exchange.beside(root, exchange.ASIDE, run) for root in roots]}


def require_exchangeable(roots: list[str]) -> None:
    """Refuse directories that are not there, hold other disks, or are in the middle of another exchange."""
    for root in roots:
        if not os.path.isdir(root):
            raise Trouble(f"{root} is not there: provision this host, then restore")
        for run in exchange.unfinished(root):
            raise Trouble(f"the restore {run} was ended in the middle of {root}: take it back (`back --run {run}`)")
        exchange.require_one_disk(root)


def extract(own: Source, record: Record, manifest: Record, places: dict[str, str], say: Say) -> None:
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
    """Put back what a restore put aside, also one that was killed; return the directories."""
    return [root for root in own.roots(kind) if exchange.unswap(root, run, own.settings["left_out"])]
