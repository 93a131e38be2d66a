"""Numbers that only rise (mails, failures, payments): how fast, or as a share of what another one rises by.

A counter is read again and again, from every process. What it rose by is added up until a span is over, and a span is
told once: a burst is one bad span, however often somebody looks. Of a process that began anew, as after a restart, all
that it has counted since is what it rose by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics

SPAN_S = 15.0
FEWEST = 10
"""A share of fewer than so many says nothing: the span goes on."""


class Counter:
    """One counter of one release, as one entry reads it."""

    def __init__(self, metric: metrics.Metric) -> None:
        self.metric = metric
        self.before: dict[str, Sequence[float]] = {}
        self.began: Optional[float] = None
        self.risen = [0.0, 0.0]
        self.told = metrics.Reading(None, "nothing to tell yet")
        """What the last whole span came to."""

    def take(self, counts: Mapping[str, Sequence[float]], *, at: float) -> bool:
        """Take in what the processes are at; say whether a span is over by that, and `told` is new."""
        began = self.began = at if self.began is None else self.began
        for process, now in counts.items():
            before = self.before.get(process, now)
            self.risen = [sum_ + _rise(was, is_now) for sum_, was, is_now in zip(self.risen, before, now)]
        self.before.update(counts)
        risen, whole = self.risen
        if at - began < SPAN_S or (self.metric.get("of") and whole < FEWEST):
            return False
        value = 100 * risen / whole if self.metric.get("of") else risen / (at - began)
        self.told = metrics.Reading(metrics.keeps(self.metric, value), metrics.figure(self.metric, value))
        self.began, self.risen = at, [0.0, 0.0]
        return True


def _rise(was: float, is_now: float) -> float:
    return is_now - was if is_now >= was else is_now


class Both:
    """One counter of the new release and of the old one."""

    def __init__(self, metric: metrics.Metric) -> None:
        self.arms = (Counter(metric), Counter(metric))

    def take(self, told: Mapping[str, Any], *, at: float) -> Optional[tuple[metrics.Reading, metrics.Reading]]:
        """Take in what both are at; return how both did in their last spans, where there is news of the new one.

        That it does not answer, or does not know its own counter, is news each time.
        """
        fresh, found = False, []
        for number, (arm, counts) in enumerate(zip(self.arms, told["counts"])):
            if counts is None:
                over, reading = True, metrics.Reading(told["good"][number], told["said"][number])
            else:
                over, reading = arm.take(counts, at=at), arm.told
            fresh = over if number == 0 else fresh
            found.append(reading)
        return (found[0], found[1]) if fresh else None
