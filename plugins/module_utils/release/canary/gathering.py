"""From what entries counted to what a verdict is given: which event is drawn by which chance (decision 21)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.access import First, Tally
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.access import Minute as Counted
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import (
    LEVELS_S,
    MINUTE_S,
    Arm,
    Draw,
    Minute,
    Pair,
    again,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import other

NEVER = -1  # in no stage yet


@dataclass
class Counts:
    """A draw that grows."""

    share: float
    failing: list[int] = field(default_factory=lambda: [0, 0])
    failed_at: list[float] = field(default_factory=list)
    slow: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in LEVELS_S])
    seen: list[int] = field(default_factory=lambda: [0, 0])

    def draw(self) -> Draw:
        """Return it as it is."""
        slow = tuple(map(_pair, self.slow))
        return Draw(self.share, _pair(self.failing), sorted(self.failed_at), slow, _pair(self.seen))


def _pair(counts: Sequence[int]) -> Pair:
    return counts[0], counts[1]


def draws(tally: Tally, *, new: str, shares: Sequence[float], began: Sequence[float]) -> list[Draw]:
    """Return the draws of all stages that have begun: `shares` of the clients from the moments `began` on.

    `new` is the slot that the new release is in; `tally` counts failures by the same stages.
    """
    found = {(stage, NEVER): Counts(share) for stage, share in enumerate(shares)}
    failures: dict[str, dict[int, First]] = {}
    for (kind, client), first in tally.firsts.items():
        word, _, number = kind.partition(" ")
        if word == "failing":
            failures.setdefault(client, {})[int(number)] = first
            continue
        stage = bisect_right(began, first[1]) - 1
        if stage >= 0:
            counts = found[stage, NEVER]
            (counts.slow[int(number)] if word == "slow" else counts.seen)[first[2] != new] += 1
    for stages in failures.values():
        _failures(found, stages, new, shares)
    return [counts.draw() for _, counts in sorted(found.items())]


def _failures(
    found: dict[tuple[int, int], Counts], stages: dict[int, First], new: str, shares: Sequence[float]
) -> None:
    """Count a client's first failure of each stage: in which draw depends on the stage in which it failed before."""
    before = NEVER
    for stage, (logged, _, slot) in sorted(stages.items()):
        if stage == NEVER:
            return  # who failed before there was a new release says little about it
        if stage >= len(shares):
            return  # another entry is ahead by a moment: it counts once this one is there
        share = shares[stage] if before == NEVER else again(shares[before], shares[stage])
        counts = found.setdefault((stage, before), Counts(share))
        counts.failing[slot != new] += 1
        if slot == new:
            counts.failed_at.append(logged)
            return  # it stays with it, and says no more
        before = stage


def minutes(tally: Tally, *, new: str, since: float, now: float) -> list[Minute]:
    """Return the minutes from the one in which the first client was moved to the one that is now, without gaps."""
    first = int(since // MINUTE_S * MINUTE_S)
    return [
        Minute(
            float(begin),
            _arm(tally.minutes.get((begin, new))),
            _arm(tally.minutes.get((begin, other(new)))),
        )
        for begin in range(first, int(now) + 1, int(MINUTE_S))
    ]


def _arm(counted: Counted | None) -> Arm:
    if counted is None:
        return Arm()
    return Arm(counted.requests, counted.failed, frozenset(counted.failing), counted.seconds)


def answered(tally: Tally, *, new: str) -> Pair:
    """Return how many requests each arm answered well."""
    good = [_well(each for (_, slot), each in tally.minutes.items() if (slot == new) == arm) for arm in (True, False)]
    return _pair(good)


def _well(each: Iterable[Counted]) -> int:
    return sum(minute.requests - minute.failed for minute in each)
