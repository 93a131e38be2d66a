"""Whether a new process is healthy: a pure function over its answers, with their times.

One answer decides nothing: health is `consecutive` good ones, then goodness over a soak; illness is two bad ones in a
row, or a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

BAD_IN_A_ROW = 2
CRASHES = 3  # a process that was started this often before it ever answered will not get well by waiting


class Answer(NamedTuple):
    """What a process answered `at` a time (seconds since it was started).

    `crashes` says how often it had ended by then, `note` is for people.
    """

    at: float
    good: bool
    crashes: int = 0
    note: str = ""


class Verdict(NamedTuple):
    """`passed`, `failed` or `waiting`, and why."""

    result: str
    reason: str = ""


def judge(answers: Sequence[Answer], *, consecutive: int, soak_s: float, timeout_s: float) -> Verdict:
    """Judge a process by its `answers`, in the order of their times. Times are in seconds.

    `consecutive` good answers must come within `timeout_s`; from then on the process must stay good for `soak_s`, and
    be as good at its end as it was at its beginning: one that flutters on gets another `timeout_s`, then it has failed.
    """
    good = bad = 0
    ready_at: float | None = None
    crashes_when_ready = 0
    for answer in answers:
        good, bad = (good + 1, 0) if answer.good else (0, bad + 1)
        if ready_at is None:
            if answer.crashes >= CRASHES:
                return Verdict("failed", f"it ended {answer.crashes} times before it was ready: {answer.note}")
            if good >= consecutive:
                ready_at, crashes_when_ready = answer.at, answer.crashes
            elif answer.at >= timeout_s:
                return Verdict("failed", f"not ready after {timeout_s:g} s: {answer.note}")
        elif answer.crashes > crashes_when_ready:
            return Verdict("failed", f"it was ready and ended {answer.at - ready_at:.1f} s later: {answer.note}")
        elif bad >= BAD_IN_A_ROW:
            return Verdict("failed", f"it was ready and fell ill {answer.at - ready_at:.1f} s later: {answer.note}")
        if ready_at is not None and good >= consecutive and answer.at - ready_at >= soak_s:
            return Verdict("passed", f"ready after {ready_at:.1f} s, healthy for {soak_s:g} s")
        if ready_at is not None and answer.at - ready_at >= soak_s + timeout_s:
            return Verdict("failed", f"it was ready and has fluttered for {answer.at - ready_at:.1f} s: {answer.note}")
    return Verdict("waiting")
