"""Whether there is room for a backup or a restore, asked before anything is written."""

from __future__ import annotations

from typing import NamedTuple

DAY_S = 86400
MARGIN = 1.1  # what grows while it is copied


class Room(NamedTuple):
    """What was found of a disk, in bytes; None where nobody could say."""

    free: int | None
    total: int | None


class Verdict(NamedTuple):
    """Whether to go on; `said` is a sentence in either case, `missing` the bytes that are wanting."""

    enough: bool
    said: str
    missing: int


def need(source_bytes: int, last_bytes: int | None) -> int:
    """Return the bytes that the next backup will take: as much as its source, or the last one if that was more.

    An engine that shares data between backups takes less; room that is not needed costs nothing.
    """
    return int(max(source_bytes, last_bytes or 0) * MARGIN)


def floor(total: int, keep_free: int) -> int:
    """Return the bytes that must stay free: `keep_free`, or a tenth of a disk so small that this is less."""
    return min(keep_free, total // 10)


def judge(needed: int, room: Room, keep_free: int, where: str) -> Verdict:
    """Return whether `needed` bytes fit on a disk and leave what must stay free. No data is no room."""
    if room.free is None or room.total is None:
        return Verdict(False, f"{where}: nobody could say how much is free", needed)
    stays = floor(room.total, keep_free)
    missing = needed + stays - room.free
    if missing > 0:
        told = f"{size(needed)} are needed and {size(stays)} must stay free, and {size(room.free)} are free"
        return Verdict(False, f"{where}: {told}: {size(missing)} too little", missing)
    return Verdict(True, f"{where}: {size(room.free)} are free, {size(needed)} are needed", 0)


def days_until_full(free: int, samples: list[tuple[float, int]]) -> float | None:
    """Return in how many days a disk is full, from (moment, bytes used) in the order of time; None: it is not filling.

    The straight line through first and last: what was pruned between them is part of how it goes. Less than a day tells
    nothing of days: the first backups of all sets may come within a minute.
    """
    if len(samples) < 2 or samples[-1][0] - samples[0][0] < DAY_S:
        return None
    (began, first), (ended, last) = samples[0], samples[-1]
    a_day = (last - first) / (ended - began) * DAY_S
    return free / a_day if a_day > 0 else None


def size(count: int) -> str:
    """Return bytes as people read them."""
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count} B"
