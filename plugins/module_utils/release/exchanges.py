"""What may be done while a rollback takes the database along, by what `exchange.json` tells: decided, never done.

Whoever asks holds the host's decision until what follows from the answer is done (settling.under_decision).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BEGUN = ("quiet", "exchange")
"""The phases in which the name of the database may be another one's, and what is written now may be given up again."""


def goes_on(told: Mapping[str, Any], *, run: str, phase: str, shifting: bool) -> bool:
    """Say whether `run` has its exchange where it left it, in `phase`; else somebody has undone it.

    `shifting` says whether the shift that the run began is still to be confirmed: the guard ends both as one.
    """
    mine = (told.get("run"), told.get("phase")) == (run, phase)
    return mine and (shifting or phase not in BEGUN)


def may_write(told: Mapping[str, Any]) -> bool:
    """Say whether a job may begin, and clients be let in: what they write stays."""
    return told.get("phase") not in BEGUN
