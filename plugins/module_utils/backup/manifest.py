"""What a set held: comparing that with what a restore gave back."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

SNAPSHOT = re.compile(r"(\d+):(\d+):((?:\d+(?:,\d+)*)?)")
COMMITTED = "committed"


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


class Point(NamedTuple):
    """Where recovery stops to give back what a snapshot saw: before the commit of `before`, or (None) at the point by
    name. Where it is not `exact`, no place of the WAL is just that; then another snapshot is tried.
    """

    before: int | None
    exact: bool


def place(seen: list[Snapshot], commits: list[int]) -> Point:
    """Return where recovery stops, for the snapshots of all databases.

    `commits` are the transactions whose commits stand in the WAL up to the named point, in its order, from well before
    the snapshots. A commit that is written shows itself a moment later (it waits for the disk, or for a standby), so a
    snapshot may lack some; what it saw is one place of the WAL as long as none that it saw comes after one that it did
    not.
    """
    unseen = [number for number in commits if not all(_sees(each, number) for each in seen)]
    if not unseen:
        return Point(None, True)
    after = commits[commits.index(unseen[0]) :]
    return Point(unseen[0], not any(_sees(each, number) for each in seen for number in after))


def _sees(seen: Snapshot, number: int) -> bool:
    return number < seen.high and number not in seen.open


def comparable(seen: Snapshot, restored: Snapshot, states: dict[int, str]) -> bool:
    """Return whether a restored server holds no transaction that a manifest's snapshot did not see.

    `restored` is a snapshot of the restored server, `states` what it says became of each of `unseen_by`.
    """
    return not any(states.get(number) == COMMITTED for number in unseen_by(seen, restored))


def unseen_by(seen: Snapshot, restored: Snapshot) -> list[int]:
    """Return the transactions that `restored` may hold and `seen` does not see."""
    return sorted({*seen.open, *range(seen.high, restored.high)})
