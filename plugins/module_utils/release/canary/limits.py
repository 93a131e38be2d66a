"""What a new release must keep to, from configuration, with the defaults of REL-5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

WAY_OUT = "set errors_ask_percent below errors_back_percent in release_limits, or either to 0"


@dataclass(frozen=True)
class Limits:
    """Percentages are 0 to 100, durations seconds; a limit of 0 for a percentage or `p95_s` never holds anybody up."""

    false_alarms_percent: float = 0.1
    """Of releases that are no worse than the old one, how many may be rolled back by the comparison of both."""
    least_clients: int = 10
    """How many clients a stage must have reached before it may end; with 0 its time alone ends it."""
    least_failing: int = 5
    """How many clients must have seen a failure of the new release before that may send it back."""
    worse_factor: float = 1.5
    """How many times as many clients must see failures: what is smaller is no reason to go back, however sure."""
    slower_factor: float = 2.0
    """How many times as long the new p95 must be; and it must be longer than `slower_than_s`."""
    slower_than_s: float = 0.1
    warm_s: float = 30.0
    """For how long after its first client a release may be slow, while its caches fill."""
    flutter_s: float = 3.0
    """Failures within so short a time are one hiccup: while they are most of what failed, they send nobody back."""
    hang_s: float = 5.0
    """From when on a request that has no answer hangs, and a client that leaves counts as a failure."""
    errors_back_percent: float = 10.0
    errors_back_s: float = 300.0
    errors_ask_percent: float = 5.0
    errors_ask_s: float = 600.0
    p95_ask_s: float = 5.0
    p95_ask_for_s: float = 300.0

    def alpha_errors(self, *, baseline: bool) -> float:
        """Return the chance that the comparison of failures may spend; what is left beside latency's is for what lasts.

        Beside a baseline it is less: among as many clients of either, one event takes the test less far beyond its
        bound, so that it comes nearer to it.
        """
        return self.false_alarms_percent / 100 * (0.49 if baseline else 0.7)

    @property
    def alpha_slow(self) -> float:
        """The chance that latency may spend."""
        return self.false_alarms_percent / 100 * 0.1


def read(options: Mapping[str, Any]) -> Limits:
    """Return limits with those that are given in the place of their defaults; the role's bounds have judged each."""
    standard = Limits()
    given = {name: type(getattr(standard, name))(value) for name, value in options.items() if value is not None}
    return replace(standard, **given)


def refusal(told: Limits) -> str:
    """Return why these limits make no sense together, or nothing."""
    if told.errors_back_percent and told.errors_ask_percent > told.errors_back_percent:
        return "release_limits.errors_ask_percent is above errors_back_percent: nobody would ever be asked"
    return ""
