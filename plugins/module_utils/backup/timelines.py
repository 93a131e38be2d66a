"""The histories (timelines) of a server: where it left one for another, and what an archive has of its way.

Who is restored or promoted begins a history of its own in the middle of a file of WAL, and the new history's file of
that number begins with what both have. Its number is the first that no history file is known of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import wal


class Way(NamedTuple):
    """A server's way: its own timeline, and where it left each one before (a place of the WAL in bytes)."""

    line: int
    left: Mapping[int, int]

    def ends(self, flushed: int) -> dict[int, int]:
        """Return up to where each timeline is a part of it, in its order; `flushed` is where it is now."""
        return {**{line: self.left[line] for line in sorted(self.left)}, self.line: flushed}


def read(line: int, text: str) -> Way:
    """Return the way to a timeline from its history file (a line for each one before: number, place, reason).

    Source: PostgreSQL's readTimeLineHistory; timeline 1 has no file.
    """
    told = [words for words in map(str.split, text.splitlines()) if len(words) > 1 and words[0].isdigit()]
    return Way(line, {int(words[0]): wal.place(words[1]) for words in told})


def strayed(waiting: Mapping[str, bool], way: Way, flushed: int) -> list[str]:
    """Return the files of the stream (whether each is whole, by name) from which a receiver could not go on, in order.

    It goes on where the last of them ends, or begins, being a part. That is refused on a timeline that is not on the
    source's way, or was left before there (PostgreSQL's StartReplication).
    """
    ends = way.ends(flushed)
    return [
        name
        for name, whole in sorted(waiting.items())
        if (wal.number(name) + whole) * wal.SEGMENT > ends.get(wal.timeline(name), -1)
    ]


def stranded(waiting: Mapping[str, bool], way: Way, held: int) -> bool:
    """Say whether the source has dropped the file with which a receiver would go on, on a timeline that it left.

    `held` is the number of the first file that it holds. Where a timeline ends, the next one's file is what it sends
    (PostgreSQL's WalSndSegmentOpen), and who wrote much since may have that no more. On its own timeline a slot sees to
    it: there such a gap is another's doing, and is told as one.
    """
    last = max(waiting, default="")
    return bool(last) and wal.timeline(last) != way.line and wal.number(last) + waiting[last] < held


def other(way: Way, known: Mapping[int, Way | None]) -> list[int]:
    """Return the timelines of a way of which an archive knows another history under that number (None: it has none)."""
    so_far = [Way(line, {each: way.left[each] for each in way.left if each < line}) for line in [*way.left, way.line]]
    return sorted(own.line for own in so_far if known.get(own.line) not in (None, own))


def ahead(whole: Iterable[str], way: Way, flushed: int) -> list[str]:
    """Return the files of the source's own timeline that it has not written: then two histories have one number."""
    return sorted(
        name for name in whole if wal.timeline(name) == way.line and (wal.number(name) + 1) * wal.SEGMENT > flushed
    )


def resume(came: Mapping[str, bool], way: Way, flushed: int) -> str:
    """Return the file with which a stream goes on so that nothing of the source's way is missing; empty without any.

    `came` says of each file that is there whether it is whole. Where a timeline is left in the file that comes next,
    that of the following timeline holds all of it.
    """
    ends = way.ends(flushed)
    reached = [
        min((wal.number(name) + whole) * wal.SEGMENT, ends[wal.timeline(name)])
        for name, whole in came.items()
        if wal.timeline(name) in ends and wal.number(name) * wal.SEGMENT <= ends[wal.timeline(name)]
    ]
    if not reached:
        return ""
    segment = max(reached) // wal.SEGMENT
    return wal.name(on(segment, way, flushed), segment)


def on(segment: int, way: Way, flushed: int) -> int:
    """Return the timeline whose file of a segment holds all of it that is of the way."""
    lines = [line for line, end in way.ends(flushed).items() if end // wal.SEGMENT > segment]
    return lines[0] if lines else way.line


def missing(names: Iterable[str], first: str, way: Way) -> list[str]:
    """Return the files that are not there between `first`, on a timeline of the way, and the newest of its last."""
    there = set(names)
    at, wanted = wal.number(first), []
    for line in [each for each in sorted(way.left) if each >= wal.timeline(first)]:
        until = max(at, way.left[line] // wal.SEGMENT)
        wanted += [wal.name(line, segment) for segment in range(at, until)]
        at = until
    last = max([at, *(wal.number(name) for name in there if wal.timeline(name) == way.line)])
    wanted += [wal.name(way.line, segment) for segment in range(at, last + 1)]
    return [name for name in wanted if name not in there]


def refusal(first: str, point: str, way: Way, names: Iterable[str]) -> str:
    """Return why a backup does not lead to the end of a way, empty where it does.

    Its WAL begins with the file `first`, and its point lies at `point`: before it the way must not leave its timeline.
    """
    line = wal.timeline(first)
    if line != way.line and way.left.get(line, -1) < wal.place(point):
        return f"it is of timeline {line}, and timeline {way.line}, which was streamed last, does not go through it"
    gone = missing(names, first, way)
    if gone:
        return f"{len(gone)} files of WAL are missing between it and what was streamed last, the first is {gone[0]}"
    return ""
