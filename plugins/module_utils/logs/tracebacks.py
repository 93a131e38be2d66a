"""Tracebacks in a journal: Python writes each as many lines, of which only the first says that it is an error.

A line that begins with blanks belongs to the traceback that its unit is in; the next that does not is the exception,
and ends it. Standard library only: it runs on hosts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Optional

from ansible_collections.ferryman.ops.plugins.module_utils.logs.entries import Entry

HEAD = "Traceback (most recent call last):"
HELD_MAX = 400  # entries that wait for what was before them; a longer traceback keeps its first line's level alone
Placed = tuple[str, Optional[Entry]]  # with its cursor


def forwards(found: Iterable[Placed]) -> Iterator[Placed]:
    """Yield entries in their order, those of a traceback as errors."""
    within: set[str] = set()
    for place, entry in found:
        if entry is not None:
            unit = str(entry.get("unit"))
            if entry["message"] == HEAD:
                within.add(unit)
            elif unit in within:
                if not _is_inside(entry):
                    within.discard(unit)
                _raise(entry)
        yield place, entry


def backwards(found: Iterable[Placed]) -> Iterator[Placed]:
    """Yield entries, the newest first, those of a traceback as errors: each waits until its beginning may have come."""
    waiting: deque[Placed] = deque()
    held: dict[str, list[Entry]] = {}
    for place, entry in found:
        waiting.append((place, entry))
        if entry is not None:
            _hold(held, entry)
        while waiting and (len(waiting) > HELD_MAX or not _is_held(held, waiting[0][1])):
            yield waiting.popleft()
    yield from waiting


def _hold(held: dict[str, list[Entry]], entry: Entry) -> None:
    unit = str(entry.get("unit"))
    if entry["message"] == HEAD:
        for each in held.pop(unit, []):
            _raise(each)
    elif not _is_inside(entry):
        held[unit] = [entry]  # the exception, should what stood before it belong to a traceback
    elif unit in held:
        held[unit].append(entry)


def _is_held(held: dict[str, list[Entry]], entry: Optional[Entry]) -> bool:
    return entry is not None and any(each is entry for each in held.get(str(entry.get("unit")), []))


def _is_inside(entry: Entry) -> bool:
    return not entry["message"] or entry["message"][0] in " \t"


def _raise(entry: Entry) -> None:
    if entry["level"] == "info" and not entry["fields"]:
        entry["level"] = "error"
