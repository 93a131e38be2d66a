"""What a unit's log shows of a failure: the application's own words, each crash once, a trace from its start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

FIELDS = "MESSAGE,PRIORITY,UNIT,INVOCATION_ID,_SYSTEMD_INVOCATION_ID"
NOTICE = 5  # syslog's; what systemd says of every start, stop and restart is less
HEAD = 3  # lines of a trace that was cut short: what it is, and where it began
CUT = "[...]"

Record = Mapping[str, Any]


def lines(unit: str, records: Sequence[Record], *, most: int) -> list[str]:
    """Return at most `most` lines of what journald holds of a unit, the oldest first, each behind the unit's name.

    `records` are its objects (systemd.journal-fields(7)). What systemd says of its starts and stops is shown where the
    application said nothing. Of crashes that say the same, numbers aside, the first is shown.
    """
    own = [record for record in records if "UNIT" not in record]
    kept = [record for record in records if "UNIT" not in record or _priority(record) <= NOTICE] if own else records
    told = [line for run in _different(_runs(unit, kept)) for line in run]
    return [f"{unit}: {line}" for line in _shortened(told, most)]


def _priority(record: Record) -> int:
    return int(record.get("PRIORITY") or NOTICE + 1)


def _runs(unit: str, records: Sequence[Record]) -> list[list[str]]:
    """Return what was said, for each time that systemd started the unit."""
    runs: dict[str, list[str]] = {}
    for record in records:
        run = str(record.get("_SYSTEMD_INVOCATION_ID") or record.get("INVOCATION_ID") or "")
        # systemd begins with the name that stands before each line already.
        said = _text(record.get("MESSAGE")).removeprefix(f"{unit}: ")
        runs.setdefault(run, []).extend(said.splitlines())
    return list(runs.values())


def _different(runs: Sequence[list[str]]) -> list[list[str]]:
    """Return the runs that do not merely repeat, as far as they came, one before them."""
    seen: list[list[str]] = []
    kept = []
    for run in runs:
        words = [re.sub(r"\d+", "0", line) for line in run]  # times, process ids, addresses
        if not any(words == before[: len(words)] for before in seen):
            seen.append(words)
            kept.append(run)
    return kept


def _shortened(told: Sequence[str], most: int) -> list[str]:
    """Return the last lines, `most` (8 or more) of them; what begins within a trace has its beginning before it."""
    start = len(told) - most
    if start <= 0:
        return list(told)
    if not told[start][:1].isspace():
        return list(told[start:])
    began = next((at for at in range(start, -1, -1) if not told[at][:1].isspace()), 0)
    rest = most - HEAD - 1
    return [*told[began : began + HEAD], CUT, *told[-rest:]]


def _text(value: Any) -> str:
    """Return a message: journald writes what is no UTF-8 as numbers, and null for what is very long."""
    if isinstance(value, list):
        return bytes(each for each in value if isinstance(each, int)).decode("utf-8", "replace")
    return str(value or "")
