"""From what entries counted to what a verdict is given: which event is drawn by which chance (decision 21)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.access import First, Tally
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.access import Minute as Counted
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import (
    LEVELS_S,
    MINUTE_S,
    Arm,
    Clients,
    Draw,
    Minute,
    Pair,
    again,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import BASELINE, other

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


def old_arm(new: str, *, baseline: bool) -> str:
    """Return where those are whom the release in the slot `new` is compared with."""
    return BASELINE if baseline else other(new)


def draws(
    tally: Tally, *, new: str, shares: Sequence[float], began: Sequence[float], baseline: bool = False
) -> list[Draw]:
    """Return the draws of all stages that have begun: `shares` of the clients from the moments `began` on.

    `new` is the slot that the new release is in; `tally` counts failures by the same stages. Beside a baseline, which
    has as many clients, an event of either is a coin as long as both can have as many; what the rest got is no event.
    """
    chances = [(0.5 if share <= 0.5 else 1.0) if baseline else share for share in shares]
    found = {(stage, NEVER): Counts(chance) for stage, chance in enumerate(chances)}
    compared = (new, old_arm(new, baseline=baseline))
    failures: dict[str, dict[int, First]] = {}
    seen: dict[str, First] = {}
    for (kind, client), first in tally.firsts.items():
        if first[2] not in compared and kind != f"failing {NEVER}":
            continue
        word, _, number = kind.partition(" ")
        stage = bisect_right(began, first[1]) - 1
        if word == "failing":
            failures.setdefault(client, {})[int(number)] = first
        elif stage >= 0 and word == "slow":
            found[stage, NEVER].slow[int(number)][first[2] != new] += 1
        elif stage >= 0:
            seen[client] = min(seen.get(client, first), first)
    for _, moment, slot in seen.values():
        found[bisect_right(began, moment) - 1, NEVER].seen[slot != new] += 1
    for stages in failures.values():
        _failures(found, stages, new, None if baseline else shares)
    return [counts.draw() for _, counts in sorted(found.items())]


def _failures(
    found: dict[tuple[int, int], Counts], stages: dict[int, First], new: str, shares: Sequence[float] | None
) -> None:
    """Count a client's first failure of each stage: in which draw depends on the stage in which it failed before.

    Without `shares` that is a baseline's: who failed with either stays there, and says no more.
    """
    begun = {stage for stage, _ in found}
    before = NEVER
    for stage, (logged, _, slot) in sorted(stages.items()):
        if stage == NEVER:
            return  # who kept failing before there was a new release says little about it
        if stage not in begun:
            return  # another entry is ahead by a moment: it counts once this one is there
        if before != NEVER and shares:
            found.setdefault((stage, before), Counts(again(shares[before], shares[stage])))
        counts = found[stage, before]
        counts.failing[slot != new] += 1
        if slot == new:
            counts.failed_at.append(logged)
        if slot == new or not shares:
            return  # it stays with it, and says no more
        before = stage


def clients(tally: Tally, *, new: str, stage: int, baseline: bool = False) -> tuple[Clients, Clients]:
    """Return how many clients came to either arm and how many of them saw it fail: in a stage, and in all so far.

    Who kept failing before there was a new release has not seen it fail.
    """
    arms = (new, old_arm(new, baseline=baseline))
    before = {client for kind, client in tally.firsts if kind == f"failing {NEVER}"}
    found: dict[str, set[tuple[str, str]]] = {"came": set(), "failing": set()}
    lately = {word: set[tuple[str, str]]() for word in found}
    for (kind, client), (_, _, slot) in tally.firsts.items():
        word, _, number = kind.partition(" ")
        if word not in found or slot not in arms or int(number) == NEVER or (word == "failing" and client in before):
            continue
        found[word].add((slot, client))
        if int(number) == stage:
            lately[word].add((slot, client))
    return _clients(lately, arms), _clients(found, arms)


def _clients(found: Mapping[str, Iterable[tuple[str, str]]], arms: Sequence[str]) -> Clients:
    counts = {word: Counter(slot for slot, _ in each) for word, each in found.items()}
    came, failing = (_pair([counts[word][arm] for arm in arms]) for word in ("came", "failing"))
    return Clients(came, failing)


def minutes(tally: Tally, *, new: str, since: float, now: float, baseline: bool = False) -> list[Minute]:
    """Return the minutes from the one in which the first client was moved to the one that is now, without gaps."""
    first, old = int(since // MINUTE_S * MINUTE_S), old_arm(new, baseline=baseline)
    return [
        Minute(
            float(begin),
            _arm(tally.minutes.get((begin, new))),
            _arm(tally.minutes.get((begin, old))),
            _arm(tally.minutes.get((begin, other(new)))) if baseline else Arm(),
        )
        for begin in range(first, int(now) + 1, int(MINUTE_S))
    ]


def _arm(counted: Counted | None) -> Arm:
    if counted is None:
        return Arm()
    return Arm(counted.requests, counted.failed, frozenset(counted.failing), counted.seconds)


def answered(tally: Tally, *, new: str, baseline: bool = False) -> Pair:
    """Return how many requests each arm answered well."""
    arms = (new, old_arm(new, baseline=baseline))
    return _pair([_well(each for (_, slot), each in tally.minutes.items() if slot == arm) for arm in arms])


def _well(each: Iterable[Counted]) -> int:
    return sum(minute.requests - minute.failed for minute in each)
