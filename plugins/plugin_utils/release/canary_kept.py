"""Which verdicts of a run's stages the ledger keeps: what ended each stage, what held it up, and what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.verdict import NO_DATA, PROMOTE, ROLLBACK

Record = Mapping[str, Any]
ENDS = (PROMOTE, ROLLBACK)
HOLDS = 20
"""So many that end no stage are kept of a run, the last ones: where a rule flutters, a line of the ledger stays one."""


def kept(before: Sequence[Record], record: Record, *, last: Record | None) -> list[Record]:
    """Return what is kept once `record` has come, of a stage whose `last` verdict was another look's.

    What says the same as `last` is no news, and that a stage's time is not over, or few have come yet, never is. What
    ends no stage is kept without its draws, by which nobody was moved.
    """
    if record["verdict"] in ENDS:
        return [*before, record]
    if _waits(record) or (last is not None and _gist(record) == _gist(last)):
        return [*before]
    return _bounded([*before, {key: value for key, value in record.items() if key != "draws"}])


def _waits(record: Record) -> bool:
    return not record["ask"] and (record["rule"] == "time" or record["verdict"] == NO_DATA)


def _gist(record: Record) -> tuple[Any, ...]:
    return record["verdict"], record["rule"], record["ask"]


def _bounded(records: Sequence[Record]) -> list[Record]:
    holds = [at for at, record in enumerate(records) if record["verdict"] not in ENDS]
    surplus = {*holds[:-HOLDS]}
    return [record for at, record in enumerate(records) if at not in surplus]
