"""What tasks changed, or in check mode would change: read from their results, host by host."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ferryman.runs import Event

Change = dict[str, Any]
SAID = ("changes", "acts", "steps")
"""Where our modules list what they did."""
PACKAGES = re.compile(
    r"^The following (NEW packages|packages) will be (installed|upgraded|REMOVED):\n((?:  .*\n?)+)", re.MULTILINE
)


def change_of(event: Event) -> Change | None:
    """Return what the task of an event changed: {host, role, task, packages, paths, did, diff}; None for nothing."""
    if event.kind != "ok" or not event.result.get("changed"):
        return None
    results = [each for each in event.result.get("results") or [event.result] if each.get("changed")]
    diffs = [each for result in results for each in _diffs(result.get("diff"))]
    return {
        "host": event.host,
        "role": event.role.removeprefix("ferryman.ops."),
        "task": event.task,
        "packages": sorted({name for each in diffs for name in packages(str(each.get("prepared") or ""))}),
        "paths": {path: "changed" if each.get("before") else "new" for each in diffs if (path := _path(each))},
        "did": [str(each) for result in results for key in SAID for each in result.get(key) or [] if _plain(each)],
        "diff": [line for each in diffs for line in _lines(each)],
    }


def _plain(value: Any) -> bool:
    return isinstance(value, str)


def _diffs(told: Any) -> Iterator[Mapping[str, Any]]:
    for each in told if isinstance(told, list) else [told]:
        if isinstance(each, Mapping):
            yield each


def _path(diff: Mapping[str, Any]) -> str:
    header = str(diff.get("after_header") or diff.get("before_header") or "")
    return header.partition(" ")[0] if header.startswith("/") else ""


def packages(text: str) -> list[str]:
    """Return the packages that apt says it would install, upgrade or remove."""
    return [name for found in PACKAGES.finditer(text) for name in found[3].split()]


def _lines(diff: Mapping[str, Any]) -> Iterator[str]:
    before, after = (_text(diff.get(key)).splitlines() for key in ("before", "after"))
    if before == after:
        return
    header = _path(diff)
    if header:
        yield header
    yield from list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True) if value else ""


def in_one_run(found: Iterable[Change]) -> list[Change]:
    """Return changes that check mode has found as they come about when each task sees what those before it did.

    In check mode two tasks may both announce a package; the second finds it there.
    """
    have: dict[str, set[str]] = {}
    left: list[Change] = []
    for change in found:
        there = have.setdefault(change["host"], set())
        new = [name for name in change["packages"] if name not in there]
        there.update(new)
        if new or not change["packages"]:
            left.append({**change, "packages": new})
    return left
