"""What is known of a backup: its names, its record, and whether somebody has found it good."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import wal

FORMAT = 1
FILES = ("media", "config", "cache")
SETS = ("database", *FILES)
FULL = "full"  # what a drill of everything on a new host is called where a set would be named
OFFSITE = "offsite"  # what a copy of all sets is called where a set would be named
POINT = "point"  # what a check says of a backup that leads to its own point, and no further: WAL after it is missing
BEYOND = "beyond"  # what such a finding is of
STAMP = "%Y%m%dT%H%M%SZ"
ID = re.compile(rf"(\d{{8}}T\d{{6}}Z)-({'|'.join(SETS)})")

Record = dict[str, Any]


class Trouble(Exception):
    """What ends the work, as one sentence for people."""


def stamp(moment: float) -> str:
    """Return a moment (seconds since 1970) as names carry it."""
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime(STAMP)


def said(moment: float) -> str:
    """Return a moment (seconds since 1970) in RFC 3339, UTC."""
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """Return seconds since 1970 for what `said` or `stamp` wrote; ValueError for anything else."""
    form = "%Y-%m-%dT%H:%M:%SZ" if "-" in text else STAMP
    return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc).timestamp()


def name(kind: str, now: float) -> str:
    """Return the id of a backup of the set `kind` that begins now."""
    if kind not in SETS:
        raise Trouble(f"there is no set {kind!r}: take one of {', '.join(SETS)}")
    return f"{stamp(now)}-{kind}"


def outlast(began: float) -> None:
    """Wait until the second is over in which a backup began: by it alone its name differs from that of the next one."""
    time.sleep(min(1.0, max(0.0, int(began) + 1 - time.time())))


def taken_at(record: Record) -> float:
    """Return when a backup began, in seconds since 1970."""
    return moment(record["began_at"])


def reaches(record: Record) -> float:
    """Return the moment (seconds since 1970) that it holds: its point, or its begin where an engine knows no points."""
    return moment(record["point"]["at"]) if record["point"] else taken_at(record)


def timeline(record: Record) -> int | None:
    """Return the timeline of a server that a backup is of; None where its engine knows none."""
    first = (record.get("engine_facts") or {}).get("begin_wal")
    return wal.timeline(first) if first else None


def is_whole(record: Record) -> bool:
    """Return whether it was taken to its end."""
    return bool(record["result"] == "taken")


def stored(record: Record) -> int:
    """Return the bytes that a backup took of the archive's disk: what was new, where an engine shares the rest."""
    return int((record.get("engine_facts") or {}).get("sent_bytes") or record["bytes"])


def has_passed(record: Record) -> bool:
    """Return whether its last check found nothing wrong; never looked at is not good."""
    return is_whole(record) and bool(record["check"]) and record["check"]["result"] == "passed"


def is_restorable(record: Record) -> bool:
    """Return whether its last check found it whole up to its own point; what came after it may not be there."""
    return has_passed(record) or (is_whole(record) and bool(record["check"]) and record["check"]["result"] == POINT)


def beyond(record: Record) -> list[str]:
    """Return what its check says of how far a restore of it gets, where that is no further than its own point."""
    return [each["said"] for each in (record["check"] or {}).get("findings", []) if each["what"] == BEYOND]


def has_failed_check(record: Record) -> bool:
    return is_whole(record) and bool(record["check"]) and record["check"]["result"] == "failed"


def newest(records: list[Record], kind: str, good: Any = has_passed) -> Record | None:
    """Return the newest record of a set that is `good` (by default: has passed its check), or None."""
    fitting = [record for record in records if record["set"] == kind and good(record)]
    return max(fitting, key=taken_at, default=None)


def last_drill(drills: list[Record], kind: str) -> Record | None:
    """Return the last drill of a set, or of `full`, or None; one that names none was of the database.

    A full drill says nothing of a set alone: it may have failed for its host, and a set's own is made each month.
    """
    fitting = [one for one in drills if kind in ([FULL] if is_full(one) else one["sets"] or SETS[:1])]
    return max(fitting, key=taken_at, default=None)


def is_full(drill: Record) -> bool:
    """Return whether a drill was one of everything, on a new host."""
    return bool(drill.get("shape") == FULL)


def digest(told: Record) -> str:
    """Return the SHA-256 over a document's canonical JSON, its own `digest` aside."""
    rest = {key: value for key, value in told.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def written(told: Record) -> str:
    """Return a document as it is written down, with its digest."""
    return json.dumps({**told, "digest": digest(told)}, indent=1) + "\n"


def read(text: str, source: str) -> Record:
    """Return a record (or another document of ours) from its text; Trouble says what is wrong with it."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("format"), int):
        raise Trouble(f"{source} is damaged: move it aside, the other backups are told by their own")
    if told["format"] > FORMAT:
        raise Trouble(
            f"{source} was written by a newer Ferryman (format {told['format']}, this one reads {FORMAT}): upgrade"
        )
    if told.get("digest") != digest(told):
        raise Trouble(f"{source} is not as it was written: move it aside, the other backups are told by their own")
    return told


def find(records: list[Record], wanted: str, kind: str) -> Record:
    """Return the one backup of a set that `wanted` names: an id, or the beginning of one."""
    of_set = [record for record in records if record["set"] == kind]
    fitting = [record for record in of_set if record["id"].startswith(wanted)]
    if len(fitting) != 1:
        what = f"{wanted!r} names no backup of {kind}" if not fitting else f"{wanted!r} names {len(fitting)} backups"
        raise Trouble(f"{what}; `backup.list` shows them")
    return fitting[0]
