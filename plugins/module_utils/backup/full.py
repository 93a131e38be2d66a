"""What a full drill amounts to: its record, from what was measured on the way, and what would be lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

KINDS = ("database", "media", "config")
"""The sets that a new host gets, in the order in which they are sent; a cache begins empty."""
TOLD = ("run", "began_at", "on", "sets", "parts_s", "rto_s", "checks", "applications", "reason")
"""What whoever made the drill tells of it."""


def chosen(sets: list[str]) -> list[str]:
    """Return the sets of an archive that a new host gets."""
    return [kind for kind in KINDS if kind in sets]


def tarball(into: str, kind: str) -> str:
    """Return where the files of a set arrive on the new host, beside the directory that the database arrives in."""
    return f"{into}.{kind}.tar"


def lost(sets: Mapping[str, Mapping[str, Any]]) -> tuple[float | None, str]:
    """Return what would be lost of any set at most, in seconds, with a sentence; None where of one nobody knows."""
    unknown = [
        f"of {kind}: {one['rpo_said'] or 'it was not restored'}" for kind, one in sets.items() if one["rpo_s"] is None
    ]
    if unknown or not sets:
        return None, "; ".join(unknown) or "nothing was restored"
    kind = max(sets, key=lambda each: float(sets[each]["rpo_s"]))
    return float(sets[kind]["rpo_s"]), f"of {kind}: {sets[kind]['rpo_said']}"


def record(environment: str, host: str, told: Mapping[str, Any], now: float) -> Record:
    """Return the record of a full drill that ended `now` (seconds since 1970); Trouble where a part was not told.

    It has passed where it came to its end, and everything that was looked at was well.
    """
    lacking = [key for key in TOLD if key not in told]
    if lacking:
        raise Trouble(f"a full drill is told without {', '.join(lacking)}: make it by `drill.full`")
    rpo_s, rpo_said = lost(told["sets"])
    well = bool(told["checks"]) and all(one["result"] == "passed" for one in told["checks"])
    passed = well and not told["reason"] and told["rto_s"] is not None
    return {
        "format": of.FORMAT, "id": f"{of.stamp(of.moment(told['began_at']))}-drill-{of.FULL}", "shape": of.FULL,
        "environment": environment, "host": host, **{key: told[key] for key in TOLD}, "ended_at": of.said(now),
        "result": "passed" if passed else "failed", "rpo_s": rpo_s, "rpo_said": rpo_said,
    }  # fmt: skip
