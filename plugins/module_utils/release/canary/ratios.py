"""Counters of an application as a ratio: how many of all payments succeed, how many of all mails bounce.

Counters are read again and again, from every process. What one increased by since it was read last belongs to that
time. One that is lower than it was, or gone, was reset: its process began anew, and all that it has counted since is
the increase, of all its counters alike. A label that comes later began at 0; a process that does is at where it is.

Source of what a reset is: Prometheus, `increase()`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Signal

CHANCE = 0.001
At = Sequence[Mapping[str, float]]
"""What a process is at: by series its counter, and the one that this is a ratio of."""


class Increase(NamedTuple):
    """What the counters of new and of old increased by, until `at` (seconds since 1970): (counted, of all)."""

    at: float
    new: tuple[float, float]
    old: tuple[float, float]


class Ratio:
    """One ratio of both releases, as one entry reads it."""

    def __init__(self) -> None:
        self.before: tuple[dict[str, At], dict[str, At]] = ({}, {})
        self.increases: list[Increase] = []

    def take(self, counts: Sequence[Mapping[str, At]], *, at: float) -> None:
        """Take in what the processes of new and of old are at, by their addresses."""
        new, old = (_increase(before, now) for before, now in zip(self.before, counts))
        for before, now in zip(self.before, counts):
            before.update(now)
        self.increases.append(Increase(at, new, old))

    def within(self, since: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return what both increased by after `since`."""
        lately = [each for each in self.increases if each.at > since]
        return _sum(each.new for each in lately), _sum(each.old for each in lately)


def _increase(before: Mapping[str, At], now: Mapping[str, At]) -> tuple[float, float]:
    """Return what all processes that were there before have counted since."""
    return _sum(_since(before[process], at) for process, at in now.items() if process in before)


def _since(before: At, now: At) -> tuple[float, float]:
    reset = any(is_now.get(name, -1) < was for each, is_now in zip(before, now) for name, was in each.items() if was)
    counted, of = (
        sum(value - (0 if reset else each.get(name, 0)) for name, value in is_now.items())
        for each, is_now in zip(before, now)
    )
    return counted, of


def _sum(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    listed = list(pairs)
    return sum(counted for counted, _ in listed), sum(of for _, of in listed)


def signal(metric: metrics.Metric, ratios: Iterable[Ratio], *, since: float) -> Signal:
    """Return how new and old kept to a ratio's bound after `since`: all that was counted is one sample.

    Several entries read the same processes: the one that has seen most of the new release counts, and no event twice.
    """
    new, old = max((each.within(since) for each in ratios), key=lambda pairs: pairs[0][1])
    least = metric["at_least"] if metric["at_most"] is None else 100 - metric["at_most"]
    return Signal(
        metrics.named(metric),
        _good(metric, new),
        _good(metric, old),
        least_percent=least,
        # Fewer might all be bad by chance alone.
        least_samples=math.ceil(math.log(CHANCE) / math.log1p(-least / 100)),
        back=metric["then"] != "ask",
        said=(_said(metric, new), _said(metric, old)),
    )


def _good(metric: metrics.Metric, pair: tuple[float, float]) -> tuple[int, int]:
    counted, of = round(pair[0]), round(pair[1])
    good = counted if metric["at_most"] is None else of - counted
    return min(max(good, 0), of), of  # two counters are never read at one moment


def _said(metric: metrics.Metric, pair: tuple[float, float]) -> str:
    return metrics.figure(metric, round(100 * pair[0] / pair[1], 1)) if pair[1] else ""
