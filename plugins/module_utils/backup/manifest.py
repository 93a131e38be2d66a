"""What a set held: comparing that with what a restore gave back."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

SNAPSHOT = re.compile(r"(\d+):(\d+):((?:\d+(?:,\d+)*)?)")
COMMITTED, ABORTED, RUNNING = "committed", "aborted", "in progress"


class Difference(NamedTuple):
    """One thing that is not as it was; `kind` is missing, extra, rows, content, files or bytes."""

    where: str
    kind: str
    wanted: str
    found: str

    def __str__(self) -> str:
        words = {"missing": "is not there", "extra": "was not there when the backup was taken"}
        return f"{self.where} {words.get(self.kind) or f'has other {self.kind}: {self.found} for {self.wanted}'}"


def compare(manifest: dict[str, Any], found: dict[str, Any]) -> list[Difference]:
    """Return every difference between what a manifest says and what was found, in the order of names.

    Both hold `databases` and `files`, as in decision 14. What neither can mean to be equal (sizes on disk, moments)
    is not looked at.
    """
    differences = []
    for name, wanted, there in _pairs(manifest.get("databases", {}), found.get("databases", {})):
        if wanted is None or there is None:
            differences.append(_one_sided(f"database {name}", wanted))
            continue
        for table, before, after in _pairs(wanted["tables"], there["tables"]):
            where = f"{name}: table {table}"
            if before is None or after is None:
                differences.append(_one_sided(where, before))
            elif before["rows"] != after["rows"]:
                differences.append(Difference(where, "rows", str(before["rows"]), str(after["rows"])))
            elif before["hash"] != after["hash"]:
                differences.append(Difference(where, "content", before["hash"], after["hash"]))
    for name, wanted, there in _pairs(manifest.get("files", {}), found.get("files", {})):
        if wanted is None or there is None:
            differences.append(_one_sided(f"directory {name}", wanted))
            continue
        for key, kind in (("files", "files"), ("bytes", "bytes"), ("hash", "content")):
            if wanted[key] != there[key]:
                differences.append(Difference(f"directory {name}", kind, str(wanted[key]), str(there[key])))
                break
    return differences


def _pairs(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(name, first.get(name), second.get(name)) for name in sorted({*first, *second})]


def _one_sided(where: str, wanted: Any) -> Difference:
    return Difference(where, "extra" if wanted is None else "missing", "", "")


class Snapshot(NamedTuple):
    """What a transaction sees, as pg_current_snapshot() writes it: all below `low`, none from `high`, not `open`."""

    low: int
    high: int
    open: frozenset[int]


def snapshot(text: str) -> Snapshot:
    """Return a snapshot from `xmin:xmax:xip,...`."""
    found = SNAPSHOT.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no snapshot")
    return Snapshot(int(found[1]), int(found[2]), frozenset(int(number) for number in found[3].split(",") if number))


def in_doubt(seen: Snapshot, after: Snapshot) -> list[int]:
    """Return the transactions that `seen` does not see and that may have committed before the point that came with it.

    `after` is a snapshot taken once the point was written. What it does not see either is still running, or began
    later; whoever waits for those asks again with what became of them (`is_exact`).
    """
    began = range(seen.high, after.high)
    return sorted({*seen.open, *began})


def is_exact(doubtful: list[int], states: dict[int, str]) -> bool:
    """Return whether a snapshot holds just what recovery to its point gives back.

    `states` says of each transaction in doubt what became of it, asked of the source some time after the point: one
    that runs on had not committed before it, one that aborted never does. Unknown is not exact.
    """
    return all(states.get(number) in (ABORTED, RUNNING) for number in doubtful)


def comparable(seen: Snapshot, restored: Snapshot, states: dict[int, str]) -> bool:
    """Return whether a restored server is at the point of a manifest's snapshot.

    `restored` is a snapshot of the restored server, `states` what it says of each transaction from the manifest's
    snapshot on that the snapshot did not see. One that committed there was not counted by the manifest.
    """
    unseen = {*seen.open, *range(seen.high, restored.high)}
    return not any(states.get(number) == COMMITTED for number in unseen)
