"""Once everybody has the new release nothing is compared any more: what failed with it is asked of both once more.

Where it fails with the old slot, too, something that both need is ill. Of all requests that failed some are drawn, so
that a page which is always broken counts as often as it is asked for. Only reads can be asked again, without their
queries and without anybody's cookies: what writes, or is behind a login, counts for what is new's alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Pair
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer

FAILED = re.compile(
    rb'"method":"([^"]*)","scheme":"[^"]*","host":"[^"]*","path":"([^"]*)","protocol":"[^"]*","status":(\d+),'
    rb'"bytes":\d+,"request_bytes":\d+,"request_s":([\d.]+),"arm":"([^"]*)","bucket":"[^"]*","release":"[^"]*",'
    rb'"upstream":"[^"]*","upstream_status":(\w+)'
)
PLAIN = re.compile(rb"/[!#-\[\]-~]*")
MOST = 3
"""So many are asked at a time."""
LIMIT_S = 2.0
TAKES_S = MOST * 2 * LIMIT_S
EVERY_S = 10.0
CLIENT = "192.0.2.1"
"""Whom the application is told that it is asked by: nobody who may do more than others (RFC 5737)."""
Process = tuple[str, int]
Get = Callable[[Process, str, float], Answer]
"""Asks a process for a path within so many seconds."""


class Failed:
    """The requests that failed with `slot`, of the lines of an entry's log: their paths, empty for what is no read, and
    for what nobody answered within `hang_s`. They are those that the verdict counts (`access.failed`).
    """

    def __init__(self, slot: str, hang_s: float) -> None:
        self.slot, self.hang_s = slot.encode(), hang_s
        self.paths: list[str] = []

    def count(self, block: bytes) -> None:
        """Take in a block of whole lines."""
        for method, path, status, request_s, arm, upstream_status in FAILED.findall(block):
            if arm == self.slot and access.failed(status, upstream_status, request_s, self.hang_s):
                again = method == b"GET" and status != access.LEFT and PLAIN.fullmatch(path)
                self.paths.append(path.decode() if again else "")

    def drawn(self, chance: Optional[random.Random] = None) -> list[str]:
        """Return some of them, each as likely as any other."""
        return (chance or random.SystemRandom()).sample(self.paths, min(MOST, len(self.paths)))


def replayed(paths: Iterable[str], new: Sequence[Process], old: Sequence[Process], get: Get) -> Pair:
    """Return of how many failed requests, drawn by their `paths`, it was looked at once more, and how many of them fail
    with a process of either release. Without a process there is nobody to look at.
    """
    if not (new and old):
        return 0, 0
    known: dict[str, bool] = {"": False}
    told = []
    for turn, path in enumerate(paths):
        if path not in known:
            known[path] = all(_fails(get(each[turn % len(each)], path, LIMIT_S)) for each in (new, old))
        told.append(known[path])
    return len(told), sum(told)


def due(at: Optional[float], now: float) -> bool:
    """Say whether it is time again, where it was last done `at`."""
    return at is None or now - at >= EVERY_S


def _fails(answer: Answer) -> bool:
    """Say whether an answer is a failure; one that does not come in time may be a slow one."""
    return (bool(answer.error) and answer.seconds < LIMIT_S) or answer.status >= 500
