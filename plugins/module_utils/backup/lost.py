"""What of the acknowledged would be lost with the database's disk, as a drill found it: measured, judged, and said."""

from __future__ import annotations

from typing import NamedTuple

ALLOWED_S = 60.0  # where commits do not wait for the archive
LEAST_S = 0.001  # however short: zero says that nothing is lost
AWAY = "nobody knows: the source was away, and could not say what it had acknowledged"
SILENT = "nobody knows: the source acknowledged nothing, since commits wait for an archive that does not answer them"
ALL = "everything that was acknowledged before it began is there"


class Marker(NamedTuple):
    """A transaction that the source acknowledged: its number, and when, by the source's clock (seconds since 1970),
    on which timeline."""

    number: int
    at: float
    line: int = 1


class There(NamedTuple):
    """What was restored knows of it: whether it was `committed`; the number of the `next`, first unknown transaction;
    and when the `last` that is there was committed, by the source's clock.
    """

    committed: bool
    next: int
    last: float


def seconds(marker: Marker, there: There, copied_s: float) -> float:
    """Return how many seconds of what was acknowledged were not there when all of it was copied.

    `copied_s` is how long after the marker that was, at most. What lies between the last that is there and the marker
    may be lost as well, but where every earlier transaction is known there: a server at rest has none.
    """
    if there.committed:
        return 0.0
    before = 0.0 if there.next >= marker.number else max(0.0, marker.at - there.last)
    return max(LEAST_S, round(before + copied_s, 3))


def strayed(marker: Marker, line: int | None) -> str:
    """Return why what was restored up to the end of a timeline cannot hold a marker; empty where it may."""
    if marker.line == line:
        return ""
    return (
        f"the source is on timeline {marker.line}, and what was restored ends on {line}: nothing is there of what was "
        "written since the source began that history; `backup.status` tells of it"
    )


def wrong(lost_s: float, *, synchronous: bool) -> str:
    """Return why that is more than was promised, as a sentence; empty where it is not.

    Where commits wait for the archive nothing that was acknowledged may ever be lost.
    """
    if not lost_s:
        return ""
    if synchronous:
        return (
            "a transaction that was acknowledged before it began is not there, though commits are to wait for the "
            f"archive (backup_synchronous): what was acknowledged in up to {lost_s:.1f} s goes with the database's disk"
        )
    if lost_s > ALLOWED_S:
        return (
            f"what was acknowledged in the last {lost_s:.1f} s is not there, and {ALLOWED_S:.0f} s may be lost: "
            "the stream is too far behind, `backup.status` tells of it"
        )
    return ""


def said(lost_s: float) -> str:
    """Say what a drill measured that found nothing wrong with it."""
    if not lost_s:
        return ALL
    return f"what was acknowledged in up to {lost_s:.1f} s before is not there; {ALLOWED_S:.0f} s may be lost"
