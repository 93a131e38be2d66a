"""What a new release must keep to, from configuration: defaults of REL-5, and refusals that name every wrong value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Percentages are 0 to 100, durations seconds; a limit of 0 for a percentage or `p95_s` never holds anybody up."""

    false_alarms_percent: float = 0.1
    """Of releases that are no worse than the old one, how many may be rolled back by the comparison of both."""
    least_clients: int = 10
    """How many clients a stage must have reached before it may end."""
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

    @property
    def alpha_errors(self) -> float:
        """The chance that failures alone may spend; the rest is latency's."""
        return self.false_alarms_percent / 100 * 0.9

    @property
    def alpha_slow(self) -> float:
        """The chance that latency may spend."""
        return self.false_alarms_percent / 100 * 0.1


LEAST: dict[str, float] = {"least_clients": 1, "least_failing": 2, "worse_factor": 1, "slower_factor": 1}
MOST: dict[str, float] = dict.fromkeys(
    ("errors_back_percent", "errors_ask_percent"), 100.0
)  # a share of what was asked
MOST["false_alarms_percent"] = 5.0  # a test that is wrong more often is none
SERIES = ("errors_back_s", "errors_ask_s", "p95_ask_for_s")  # judged by whole minutes


def read(options: Mapping[str, Any]) -> tuple[Limits, list[str]]:
    """Return limits with the options that differ from their defaults, and a sentence for each that is not right."""
    known = {each.name: each for each in fields(Limits)}
    wrong: list[str] = []
    right: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            wrong.append(f"{name} is no limit of the canary; one of: {', '.join(known)}")
            continue
        whole = isinstance(getattr(Limits, name), int)
        least = LEAST.get(name, 60.0 if name in SERIES else 0.0)
        most = MOST.get(name, 86400.0)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or (whole and value != int(value)) or not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            wrong.append(f"{name} must be {kind} from {least:g} to {most:g}")
            continue
        right[name] = int(value) if whole else float(value)
    limits = Limits(**right)
    if not wrong and limits.errors_back_percent and limits.errors_ask_percent > limits.errors_back_percent:
        wrong.append("errors_ask_percent must not be above errors_back_percent: nobody would ever be asked")
    if not wrong and not limits.false_alarms_percent:
        wrong.append("false_alarms_percent must be more than 0: who never errs never says anything")
    return (limits if not wrong else Limits()), wrong
