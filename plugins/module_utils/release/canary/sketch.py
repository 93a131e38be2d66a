"""How long requests took, as counts in bins whose width grows with the value: small, mergeable, of a known error.

DDSketch (Masson, Rim, Lee: A fast and fully-mergeable quantile sketch with relative-error guarantees, VLDB 2019,
arXiv 1908.10693). Values are held between LEAST_S and MOST_S, so there are never more than some 340 bins and nothing
has to be collapsed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Optional

ACCURACY = 0.02
"""A quantile that is told lies at most so far from the true one, as a share of it; below LEAST_S, by LEAST_S."""
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
LEAST_S = 0.001  # nginx tells milliseconds
MOST_S = 600.0
_WIDTH = math.log(GAMMA)


def bin_of(seconds: float) -> int:
    """Return the bin of a duration: bin i holds what is in (GAMMA^(i-1), GAMMA^i] times LEAST_S."""
    return math.ceil(math.log(min(max(seconds, LEAST_S), MOST_S) / LEAST_S) / _WIDTH - 1e-9)


def seconds_of(index: int) -> float:
    """Return the value that is at most ACCURACY away from all that a bin holds."""
    return LEAST_S * 2 * GAMMA**index / (GAMMA + 1)


@dataclass
class Sketch:
    """Counts by bin."""

    bins: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.count_in(bin_of(seconds), 1)

    def count_in(self, index: int, times: int) -> None:
        """Count durations whose bin is known."""
        self.bins[index] = self.bins.get(index, 0) + times

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.bins.values())

    def quantile(self, share: float) -> Optional[float]:
        """Return the duration in seconds that `share` (0 to 1) of all do not exceed; None where nothing was counted."""
        total = self.count
        if not total:
            return None
        left = math.floor(share * (total - 1))
        for index in sorted(self.bins):
            left -= self.bins[index]
            if left < 0:
                return seconds_of(index)
        raise AssertionError("the rank of a quantile is below the count")

    def over(self, seconds: float) -> int:
        """Return how many were longer than `seconds`, give or take what shares its bin."""
        least = bin_of(seconds)
        return sum(times for index, times in self.bins.items() if index > least)

    def told(self) -> dict[str, int]:
        """Return it as JSON has it."""
        return {str(index): self.bins[index] for index in sorted(self.bins)}


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """Return what one sketch would be that had counted all; in whatever order they come."""
    bins: dict[int, int] = {}
    for sketch in sketches:
        for index, times in sketch.bins.items():
            bins[index] = bins.get(index, 0) + times
    return Sketch(bins)


def read(told: Mapping[str, int]) -> Sketch:
    """Return the sketch that `told` tells of."""
    return Sketch({int(index): int(times) for index, times in told.items()})
