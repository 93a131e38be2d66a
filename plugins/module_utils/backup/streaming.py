"""The stream of WAL from a source to its archive: what came, how far behind it is, and what is missing."""

from __future__ import annotations

import glob
import os
import time
from contextlib import closing
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import incoming, postgres, timelines, wal

PART = ".partial"
STANDBY = "barman_receive_wal"  # the name by which Barman's receiver is known to the source
QUESTION = """select json_build_object(
    'file', pg_walfile_name(pg_current_wal_lsn()),
    'slot', (select row_to_json(s) from (select active, wal_status, restart_lsn from pg_replication_slots
        where slot_name = '{slot}') s),
    'archiver', {archiver},
    'standby', (select row_to_json(r) from (select sync_state, pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) behind,
        extract(epoch from flush_lag) lag from pg_stat_replication where application_name = '{standby}' limit 1) r))"""


def state(conninfo: str, slot: str, home: str) -> dict[str, Any]:
    """Return how the stream is: running, behind_bytes, lag_s (None: nobody knows), sync (the source's own word),
    whether commits wait for it, a gap in words, the timeline that the source is on, what comes beside the stream."""
    with closing(postgres.Session(conninfo, "postgres")) as session:
        found = session.answer(QUESTION.format(slot=slot, standby=STANDBY, archiver=incoming.QUESTION))
    standby = found["standby"] or {}
    came, line = received(home), wal.timeline(found["file"])
    return {
        "running": bool(found["slot"] and found["slot"]["active"] and standby),
        "behind_bytes": standby.get("behind"),
        "lag_s": lag(standby, [os.path.getmtime(path) for path in came.values() if os.path.exists(path)], time.time()),
        "sync": standby.get("sync_state") or "",
        "waits": is_awaited(standby),
        "gap": gap(found["slot"], [name for name in came if wal.timeline(name) == line]),
        "timeline": line,
        "beside": incoming.state(found["archiver"], found["file"]),
    }


def is_awaited(standby: dict[str, Any]) -> bool:
    """Say whether commits wait for a standby: not for one that is async or potential (pg_stat_replication)."""
    return standby.get("sync_state") in ("sync", "quorum")


def lag(standby: dict[str, Any], came: list[float], now: float) -> float | None:
    """Return how many seconds of what the source wrote are not here: by its own word, else since something came."""
    if standby:
        return float(standby["lag"] or 0) if int(standby["behind"] or 0) else 0.0
    return max(0.0, now - max(came)) if came else None


def gap(slot: dict[str, Any] | None, came: list[str]) -> str:
    """Return what of the WAL will never come, in words; empty where all of it does.

    `slot` is what the source remembers of this archive. It knows what was confirmed: an archive that ends before that
    is not the one that confirmed it.
    """
    if slot is None:
        return "the source has no slot for this archive"
    if slot["wal_status"] in ("lost", "unreserved"):
        return f"the source has given up WAL that this archive was to get (its slot is {slot['wal_status']})"
    if slot["restart_lsn"] and came:
        behind = wal.place(slot["restart_lsn"]) // wal.SEGMENT - max(wal.number(name) for name in came)
        if behind > 1:
            return f"the archive ends {behind} files before what it has confirmed: an older one was put in its place"
    return ""


def received(home: str) -> dict[str, str]:
    """Return the path of every file of WAL that came, archived, waiting or in part, by its name.

    A part that was archived is where a history broke off; who goes back to that history streams the same file again,
    and further: then that one counts.
    """
    found = {}
    came = [path for path in lying(home).values() if not _is_empty(path)]  # first: it may be archived meanwhile
    beside = incoming.here(home).values()
    there = glob.glob(f"{home}/wals/*/*")
    broken_off = [path for path in there if path.endswith(PART)]
    for path in [*broken_off, *came, *beside, *sorted(set(there) - set(broken_off))]:
        name = _name(path)
        if wal.NAME.fullmatch(name):
            found[name] = path
    return found


def lying(home: str) -> dict[str, str]:
    """Return the path of every file of WAL that a receiver would find, by its name: also those in which nothing is."""
    return {_name(path): path for path in glob.glob(f"{home}/streaming/*") if wal.NAME.fullmatch(_name(path))}


def whole_or_coming(home: str) -> list[str]:
    """Return the names of the files that are here, but for those of which an archived part is all that came."""
    return [name for name, path in received(home).items() if _waits(path) or not path.endswith(PART)]


def whole(paths: dict[str, str]) -> dict[str, bool]:
    """Return of each file whether it is whole."""
    return {name: not path.endswith(PART) for name, path in paths.items()}


def way(home: str) -> timelines.Way | None:
    """Return the way of the source as the archive knows it: to the timeline that was streamed last.

    None where nothing was streamed. Where the file that tells of it is not there, it leads through no other.
    """
    here = lying(home)  # a receiver always leaves one
    if here:
        newest = max(here, key=lambda name: (wal.number(name), name))
    else:
        there = {name: os.path.getmtime(path) for name, path in received(home).items() if os.path.exists(path)}
        if not there:
            return None
        newest = max(there, key=lambda name: (there[name], name))
    line = wal.timeline(newest)
    return told(home, line) or timelines.Way(line, {})


def told(home: str, line: int) -> timelines.Way | None:
    """Return the way to a timeline as the file here tells it; None where there is none, as of the first."""
    try:
        with open(history(home, line), encoding="ascii", errors="replace") as file:
            return timelines.read(line, file.read())
    except FileNotFoundError:
        return None


def history(home: str, line: int) -> str:
    """Return the path of the file that tells of a timeline: archived, or where it comes to."""
    archived_as = f"{home}/wals/{line:08X}.history"
    return archived_as if os.path.exists(archived_as) else f"{home}/streaming/{line:08X}.history"


def _name(path: str) -> str:
    return os.path.basename(path).replace(PART, "")


def _is_empty(path: str) -> bool:
    try:
        return os.path.getsize(path) == 0
    except FileNotFoundError:  # it was archived meanwhile
        return False


def archived(home: str) -> dict[str, str]:
    return {name: path for name, path in received(home).items() if not _waits(path)}


def waiting(home: str) -> dict[str, str]:
    """Return the paths of what the stream has not ended yet, or that waits to be archived, by name and in order."""
    return {name: path for name, path in sorted(received(home).items()) if _waits(path)}


def _waits(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) in ("streaming", "incoming")
