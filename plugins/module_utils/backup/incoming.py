"""What comes beside the stream: files of WAL that the source's archive_command sends, before they are archived."""

from __future__ import annotations

import glob
import os
import shutil
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import wal, wal_sending

# One row of what the source says of its archiver; the login needs no right for it that it has not got.
QUESTION = """(select json_build_object('mode', current_setting('archive_mode'),
    'command', current_setting('archive_command'), 'last', last_archived_wal, 'failed', failed_count,
    'age_s', extract(epoch from now() - last_archived_time),
    'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)) from pg_stat_archiver)"""


def state(told: dict[str, Any], writing: str) -> dict[str, Any]:
    """Return how files of WAL come beside the stream; `writing` is the file that the source writes now.

    That is on (whether the source sends them), last (the newest that it knows to be here), age_s (of that, None: there
    was none), failed (how often), failing (whether the last try was one), waiting (files; None: nobody knows).
    """
    last = (told["last"] or "")[:24]
    known = bool(wal.NAME.fullmatch(last)) and wal.timeline(last) == wal.timeline(writing)
    return {
        "on": told["mode"] in ("on", "always") and wal_sending.PROGRAM in told["command"],
        "last": told["last"] or "",
        "age_s": told["age_s"],
        "failed": told["failed"],
        "failing": told["failing"],
        "waiting": max(0, wal.number(writing) - wal.number(last) - 1) if known else None,
    }


def here(home: str) -> dict[str, str]:
    """Return the paths of the files that came and are not archived yet, by name."""
    paths = glob.glob(f"{home}/incoming/*")
    return {os.path.basename(path): path for path in paths if wal.NAME.fullmatch(os.path.basename(path))}


def set_aside(home: str, system: str, aside: str) -> list[str]:
    """Move to a directory what is of another server than `system` (empty: nobody knows which is the one)."""
    moved = []
    for name, path in sorted(here(home).items()):
        with open(path, "rb") as file:
            found = wal.system(file.read(wal.HEADER))
        if system and found != system:
            os.makedirs(aside, exist_ok=True)
            shutil.move(path, aside)
            moved.append(name)
    return moved


def refused(home: str) -> list[str]:
    """Return what came and is not of this archive: of another server, or another file of a name that is there."""
    return sorted([*glob.glob(f"{home}/errors/*"), *glob.glob(f"{home}/strange-*/*")])
