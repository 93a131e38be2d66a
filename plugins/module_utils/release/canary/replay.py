"""Once everybody has the new release nothing is compared any more: what failed with it is asked of both once more.

Where it fails with the old slot, too, something that both need is ill. Only reads are asked, without their queries and
without anybody's cookies: what is behind a login, or writes, says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Pair
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer

FAILED = re.compile(
    rb'"method":"GET","scheme":"[^"]*","host":"[^"]*","path":"([!#-\[\]-~]*)","protocol":"[^"]*","status":5\d\d,'
    rb'"bytes":\d+,"request_bytes":\d+,"request_s":[\d.]+,"arm":"([^"]*)"'
)
MOST = 3
"""So many are asked at a time."""
LIMIT_S = 2.0
TAKES_S = MOST * 2 * LIMIT_S
Process = tuple[str, int]
Get = Callable[[Process, str, float], Answer]
"""Asks a process for a path within so many seconds."""


class Failed:
    """The paths that failed last with `slot`, of the lines of an entry's log."""

    def __init__(self, slot: str) -> None:
        self.slot = slot.encode()
        self.paths: dict[str, None] = {}

    def count(self, block: bytes) -> None:
        """Take in a block of whole lines."""
        for told, arm in FAILED.findall(block):
            if arm == self.slot:
                path = told.decode()
                self.paths.pop(path, None)
                self.paths[path] = None

    def last(self) -> list[str]:
        """Return the paths to ask for, the last that failed first."""
        return [*reversed(self.paths)][:MOST]


def replayed(paths: Iterable[str], new: Sequence[Process], old: Sequence[Process], get: Get) -> Pair:
    """Return how many of `paths` fail again with a process of the new release, and how many of those with old."""
    again = also = 0
    if not (new and old):
        return 0, 0
    for turn, path in enumerate(paths):
        if _fails(get(new[turn % len(new)], path, LIMIT_S)):
            again += 1
            also += _fails(get(old[turn % len(old)], path, LIMIT_S))
    return again, also


def _fails(answer: Answer) -> bool:
    return bool(answer.error) or answer.status >= 500
