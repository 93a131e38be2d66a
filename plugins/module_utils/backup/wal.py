"""Places in the write-ahead log, and the names of the files that hold them."""

from __future__ import annotations

import re

SEGMENT = 16 * 2**20  # what Debian's clusters have
NAME = re.compile(r"[0-9A-F]{24}")
HEADER = 32  # bytes at the beginning of a file, as far as its system identifier (XLogLongPageHeaderData)
COMMIT = re.compile(r"\btx:\s+(\d+),.*\bdesc: COMMIT(?:_PREPARED (\d+))?\b")


def place(lsn: str) -> int:
    """Return the place in bytes of `0/5000130`."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def written(number: int) -> str:
    """Return a place as PostgreSQL writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def timeline(name: str) -> int:
    return int(name[:8], 16)


def number(name: str) -> int:
    """Return which segment from the beginning of all WAL a file holds."""
    return (int(name[8:16], 16) << 32) // SEGMENT + int(name[16:], 16)


def name(line: int, segment: int) -> str:
    """Return the name of a segment's file on a timeline."""
    a_log = 2**32 // SEGMENT
    return f"{line:08X}{segment // a_log:08X}{segment % a_log:08X}"


def of(line: int, lsn: str) -> str:
    """Return the name of the file in which a place lies."""
    return name(line, place(lsn) // SEGMENT)


def system(header: bytes) -> str:
    """Return the system identifier of the server that wrote a file, which begins with `header`."""
    return str(int.from_bytes(header[24:HEADER], "little"))


def follows(one: str, other: str) -> bool:
    """Say whether a file comes after another on the same timeline."""
    return one[:8] == other[:8] and number(one) > number(other)


def missing(names: list[str], first: str) -> list[str]:
    """Return the files that are not there between `first` and the newest of its timeline, in order."""
    line = timeline(first)
    there = {number(each) for each in names if NAME.fullmatch(each) and timeline(each) == line}
    last = max([*there, number(first)])
    return [name(line, each) for each in range(number(first), last + 1) if each not in there]


def commits(dump: str) -> list[int]:
    """Return the transactions that committed, in the order of the WAL, from what pg_waldump prints."""
    return [int(found[2] or found[1]) for found in map(COMMIT.search, dump.splitlines()) if found]
