"""The stream of WAL from a source to its archive: what came, how far behind it is, and what is missing."""

from __future__ import annotations

import glob
import os
import time
from contextlib import closing
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import postgres, wal

STANDBY = "barman_receive_wal"  # the name by which Barman's receiver is known to the source
QUESTION = """select json_build_object(
    'slot', (select row_to_json(s) from (select active, wal_status, restart_lsn from pg_replication_slots
        where slot_name = '{slot}') s),
    'standby', (select row_to_json(r) from (select sync_state, pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) behind,
        extract(epoch from flush_lag) lag from pg_stat_replication where application_name = '{standby}' limit 1) r))"""


def state(conninfo: str, slot: str, home: str) -> dict[str, Any]:
    """Return how the stream is: running, behind_bytes, lag_s (None: nobody knows), sync (the source's own word),
    whether commits wait for it, and a gap in words."""
    with closing(postgres.Session(conninfo, "postgres")) as session:
        found = session.answer(QUESTION.format(slot=slot, standby=STANDBY))
    standby = found["standby"] or {}
    came = received(home)
    return {
        "running": bool(found["slot"] and found["slot"]["active"] and standby),
        "behind_bytes": standby.get("behind"),
        "lag_s": lag(standby, [os.path.getmtime(path) for path in came.values() if os.path.exists(path)], time.time()),
        "sync": standby.get("sync_state") or "",
        "waits": is_awaited(standby),
        "gap": gap(found["slot"], list(came)),
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
    broken_off = glob.glob(f"{home}/wals/*/*.partial")
    whole = set(glob.glob(f"{home}/wals/*/*")) - set(broken_off)
    for path in [*broken_off, *glob.glob(f"{home}/streaming/*"), *sorted(whole)]:
        name = os.path.basename(path).replace(".partial", "")
        if wal.NAME.fullmatch(name):
            found[name] = path
    return found


def archived(home: str) -> dict[str, str]:
    return {name: path for name, path in received(home).items() if not _waits(path)}


def waiting(home: str) -> dict[str, str]:
    """Return the paths of what the stream has not ended yet, or that waits to be archived, by name and in order."""
    return {name: path for name, path in sorted(received(home).items()) if _waits(path)}


def _waits(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) == "streaming"
