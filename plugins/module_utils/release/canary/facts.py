"""What a verdict is given: counts of both arms, by stage and by minute, and what else was asked; always new, then old.

All times are seconds of one clock, and none is read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import evalues
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import Sketch, merged

LEVELS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""Of each client the first request that takes longer than such a time is an event; one of them is near any p95."""
MINUTE_S = 60.0
Pair = tuple[int, int]
"""Of new, and of old."""


@dataclass(frozen=True)
class Draw:
    """Events whose clients had new with the chance `share` (0 to 1), by a hash: that of a stage, or what is left of it.

    Of each client its first failure in a stage, its first wait beyond each level ever, and that it was seen first. A
    client that failed in an earlier stage, with old, has new in this one by another chance: of the buckets that were
    left to old then, some have moved (`again`). One that failed with new stays with it, and says no more.
    """

    share: float
    failing: Pair = (0, 0)
    failed_at: Sequence[float] = ()
    """When those of new failed: what came at one moment may be a hiccup."""
    slow: tuple[Pair, ...] = ((0, 0),) * len(LEVELS_S)
    seen: Pair = (0, 0)


@dataclass(frozen=True)
class Clients:
    """How many clients came to either, and how many of them saw it fail: each once with either."""

    came: Pair = (0, 0)
    failing: Pair = (0, 0)


def again(before: float, now: float) -> float:
    """Return the chance that a client which had old while new had the share `before` has new at the share `now`."""
    return (now - before) / (1 - before)


@dataclass
class Arm:
    """One arm's minute."""

    requests: int = 0
    failed: int = 0
    failing: frozenset[str] = frozenset()
    """The clients that saw a failure."""
    seconds: Sketch = field(default_factory=Sketch)
    _over: dict[float, int] = field(default_factory=dict, repr=False, compare=False)

    def over(self, seconds: float) -> int:
        """Return how many requests took longer than that; asked often of minutes that are over."""
        if seconds not in self._over:
            self._over[seconds] = self.seconds.over(seconds)
        return self._over[seconds]


@dataclass(frozen=True)
class Minute:
    """What came within MINUTE_S from `since` on."""

    since: float
    new: Arm
    old: Arm
    """Of the old release; where there is a baseline, of that alone."""
    rest: Arm = field(default_factory=Arm)
    """Of the old release's other processes, where there is a baseline."""


@dataclass(frozen=True)
class Waiting:
    """Requests in flight for longer than `hang_s`, and how many were answered in the `within_s` before now."""

    hanging: Pair
    answered: Pair
    within_s: float


@dataclass(frozen=True)
class Signal:
    """Something that is asked of both arms beside requests: the login probe, payments, a pool of connections."""

    name: str
    new: Pair
    """How many were good, of how many."""
    old: Pair = (0, 0)
    least_percent: float = 50.0
    """Below it, more surely than by chance, it is bad; and if none is good."""
    least_samples: int = 3
    back: bool = True
    """Whether a bad one sends the release back; else somebody is asked."""
    said: tuple[str, str] = ("", "")
    """What new and old told last, where that is more than good or bad."""

    def bad(self, pair: Pair) -> bool:
        """Say whether such counts are bad: not by a small sample."""
        good, total = pair
        if total < self.least_samples:
            return False
        return not good or evalues.surely_below(good, total, self.least_percent / 100, chance=0.001)

    def below(self, pair: Pair) -> bool:
        """Say whether counts are below what is wanted, be it by chance: enough to say that old is no better."""
        return pair[1] >= self.least_samples and pair[0] * 100 < self.least_percent * pair[1]


@dataclass(frozen=True)
class Evidence:
    """All that is known at `now`."""

    now: float
    since: float
    """When the stage began."""
    until: float
    """When its time is over."""
    share: float
    """Which share of clients has new now, 0 to 1."""
    draws: Sequence[Draw] = ()
    minutes: Sequence[Minute] = ()
    """Since the first client was sent to new, the oldest first, without gaps; the last one may not be over."""
    waiting: Optional[Waiting] = None
    in_stage: Clients = field(default_factory=Clients)
    in_all: Clients = field(default_factory=Clients)
    """Since the first client was sent to new; but for who kept failing before that."""
    signals: tuple[Signal, ...] = ()
    old_probes: Pair = (0, 0)
    """Good answers of the old slot, of all in the last minutes: all that is known of it once it gets no clients."""
    replayed: Pair = (0, 0)
    """Failed requests of new that were looked at once more, and how many of them fail with the old slot, too."""
    baseline: bool = False
    """Whether the old arm is a baseline: processes of the old release that are as young as the new one's."""
    operator: str = ""
    """`abort` or `promote`, as somebody said."""
    who: str = ""
    """Who said so, where that is known."""

    @property
    def of_stage(self) -> Sequence[Minute]:
        """The minutes of the stage, with the one in which it began."""
        return [each for each in self.minutes if each.since + MINUTE_S > self.since]

    def over_minutes(self, seconds: float) -> Sequence[Minute]:
        """Return the minutes that make up the last `seconds` and are over; none where they do not reach so far back."""
        whole = self.minutes
        while whole and whole[-1].since + MINUTE_S > self.now:
            whole = whole[:-1]
        count = round(seconds / MINUTE_S)
        return whole[-count:] if len(whole) >= count else ()


def requests(arms: Iterable[Arm]) -> Pair:
    """Return how many requests failed, of how many."""
    failed = total = 0
    for arm in arms:
        failed += arm.failed
        total += arm.requests
    return failed, total


def clients(arms: Iterable[Arm]) -> int:
    """Return how many clients saw a failure."""
    return len(frozenset[str]().union(*(arm.failing for arm in arms)))


def p95(arms: Iterable[Arm]) -> float:
    """Return the p95 of all requests in seconds; 0 where there are none."""
    return merged(arm.seconds for arm in arms).quantile(0.95) or 0.0
