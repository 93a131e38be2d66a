"""A run: is there room, take, check, prune, and say how it was. The same for every set and engine."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import metrics, retention, space
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive, replace
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import Collector
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.barman import Barman
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble


class NoRoom(Trouble):
    """There is too little room, and nothing was touched."""


ENGINES: dict[str, Callable[[Archive], Any]] = {
    "database": Barman,
    **{kind: partial(Collector, kind=kind) for kind in of.FILES},
}


def engine(own: Archive, kind: str) -> Any:
    """Return the engine of a set, where this archive keeps it."""
    if kind not in ENGINES or kind not in own.settings["sets"]:
        kept = ", ".join(own.settings["sets"])
        raise Trouble(f"the archive {own.name} keeps no {kind!r} on this host: take one of {kept}")
    return ENGINES[kind](own)


def rule(own: Archive) -> retention.Rule:
    return retention.Rule(own.settings["keep_days"], own.settings["keep_years"])


def require_room(own: Archive, needed: int) -> None:
    """Refuse before anything is written where `needed` bytes would not leave free what must stay free."""
    verdict = space.judge(needed, own.room(), own.settings["keep_free_bytes"], own.path)
    if not verdict.enough:
        raise NoRoom(
            f"{verdict.said}; nothing was overwritten, nothing was pruned: make room, or lower backup_keep_days"
        )


def next_backup(own: Archive, works: Any) -> int:
    """Return the bytes that the next backup of a set will take."""
    last = of.newest(own.records(), works.kind, of.is_whole)
    return space.need(works.size(), last["bytes"] if last else None)


def take(own: Archive, kind: str, run: str, release: dict[str, str], held_until: str = "") -> dict[str, Any]:
    """Take a backup of a set, check it, and prune what may go; return all that came of it.

    That is {record, pruned: ids, notes, refused: nothing was touched}. A failure is in the catalogue, too, with its
    reason; `pruned` is empty then.
    """
    if kind in of.FILES:
        raise Trouble(f"{kind} is sent by the host that has it: take it there (`backup-source take --set {kind}`)")
    works, began, refused = engine(own, kind), time.time(), False
    record: Record = {
        "format": of.FORMAT, "id": of.name(kind, began), "set": kind, "environment": own.name,
        "engine": type(works).__name__.lower(), "engine_id": "", "engine_facts": {}, "source": {}, "run": run,
        "began_at": of.said(began), "ended_at": "", "duration_s": 0.0, "bytes": 0, "result": "failed", "reason": "",
        "point": None, "manifest": "", "release": release, "held_until": held_until, "check": None,
    }  # fmt: skip
    with own.alone(kind):
        try:
            require_room(own, next_backup(own, works))
            _taken(own, works, record, began)
        except (Trouble, OSError) as error:
            record["reason"], refused = said(error), isinstance(error, NoRoom)
            _failed(own, works, record, began)
        if of.is_whole(record):
            looked = look(own, works, record)
            record["check"] = looked
            own.write("records", record)
        pruned, notes = prune(own, kind) if of.has_passed(record) else ([], [])
        of.outlast(began)
    metrics.write(own)
    return {"record": record, "pruned": pruned, "notes": notes, "refused": refused}


def _taken(own: Archive, works: Any, record: Record, began: float) -> None:
    manifest = of.written(works.take(record))
    path = f"{own.path}/manifests/{record['id']}.json"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    replace(path, manifest)
    record["manifest"] = hashlib.sha256(manifest.encode()).hexdigest()
    ended(record, began, "taken")
    own.write("records", record)


def given_up(works: Any, record: Record, began: float) -> None:
    """Fill in the record of what failed, whose reason is there, and have nothing of it left behind."""
    ended(record, began, "failed")
    try:
        works.abandon(record)
    except Trouble as trouble:
        record["reason"] += f"; what it left could not be removed: {trouble}"


def _failed(own: Archive, works: Any, record: Record, began: float) -> None:
    given_up(works, record, began)
    try:
        own.write("records", record)
    except OSError as error:  # the disk that is full may be this one
        record["reason"] += f"; it could not be written down: {said(error)}"


def ended(record: Record, began: float, result: str) -> None:
    """Fill in a record when and how it ended; `began` is in seconds since 1970."""
    record["result"], record["ended_at"] = result, of.said(time.time())
    record["duration_s"] = round(time.time() - began, 3)


def look(own: Archive, works: Any, record: Record) -> dict[str, Any]:
    """Return what a check of a backup finds, as the record has it."""
    found = works.check(record)
    result = "passed" if not found else of.POINT if all(one["what"] == of.BEYOND for one in found) else "failed"
    return {"at": of.said(time.time()), "result": result, "findings": found}


def check(own: Archive, kind: str, wanted: str = "") -> list[Record]:
    """Check the newest backup of a set, the one that is `wanted`, or `all`; return their records as they are now."""
    works = engine(own, kind)
    with own.alone(kind, wait=True):
        whole = [record for record in own.records() if record["set"] == kind and of.is_whole(record)]
        if not whole:
            raise Trouble(f"no backup of {kind} is there to be checked: take one (`backup.run`)")
        chosen = whole if wanted == "all" else [of.find(whole, wanted, kind)] if wanted else whole[-1:]
        for record in chosen:
            record["check"] = look(own, works, record)
            own.write("records", record)
    metrics.write(own)
    return chosen


def prune(own: Archive, kind: str) -> tuple[list[str], list[str]]:
    """Drop what the rule lets go of a set, oldest first; return the ids, and what could not be dropped."""
    by_id = {record["id"]: record for record in own.records() if record["set"] == kind}
    gone, notes = [], []
    for name in retention.expired(list(by_id.values()), rule(own), time.time()):
        try:
            engine(own, kind).prune(by_id[name])
            own.forget(by_id[name])
            gone.append(name)
        except (Trouble, OSError) as error:
            notes.append(f"{name} could not be pruned: {said(error)}")
    return gone, notes


def said(error: Exception) -> str:
    """Return an error as a sentence."""
    return f"{error.filename or 'the archive'}: {error.strerror}" if isinstance(error, OSError) else str(error)
