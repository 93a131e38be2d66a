"""A release's share of the clients in stages: what each stage is, what an entry saw of it, and whether to go on.

`Log` counts what clients got, per arm; `judge` is a pure function over that, and the one place where it is decided.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import shift

ENOUGH = 5
"""So many failures decide nothing yet."""
BAD = 0.1
"""Above this share of failed requests a release is bad (REL-5), unless the other arm is no better."""
SERVER_ERROR = 500
WAY_OUT = "release_stages has growing shares from 1 to 99: all clients come after the last one"


@dataclass
class Arm:
    """What clients of a slot got: answers, and those with a status of 500 and above."""

    requests: int = 0
    errors: int = 0

    @property
    def rate(self) -> float:
        """The share of errors, 0 to 1; of no requests none."""
        return self.errors / self.requests if self.requests else 0.0


def judge(new: Arm, old: Arm) -> str:
    """Return why the release is to go back, by what the clients of both arms got meanwhile; nothing where it is well.

    Where the old release fails as often, something else is at fault.
    """
    if new.errors <= ENOUGH or new.rate <= BAD or new.rate <= 2 * old.rate:
        return ""
    said = f"{new.errors} of {new.requests} requests to the new release failed"
    return f"{said}, {old.errors} of {old.requests} to the old one"


def refusal(told: Iterable[Mapping[str, Any]]) -> str:
    """Return why no release can go through these stages, or nothing."""
    shares = [int(stage["share"]) for stage in told]
    if shares == sorted({*shares}) and all(0 < share < shift.BUCKETS for share in shares):
        return ""
    return f"the shares of release_stages are {', '.join(map(str, shares))}: each must be above the one before"


def share_of(slot: str, percent: int) -> int:
    """Return the share on green that sends `percent` of the clients to `slot`."""
    return percent if slot == "green" else shift.BUCKETS - percent


def expected(slot: str, percent: int) -> dict[int, str]:
    """Return which slot the buckets on both sides of each edge go to, where `slot` has `percent` of the clients."""
    green = share_of(slot, percent)
    return {
        bucket: "green" if bucket < green else "blue"
        for bucket in (0, green - 1, green, shift.BUCKETS - 1)
        if 0 <= bucket < shift.BUCKETS
    }


class Log:
    """The entry's access log from a moment on, also over a rotation by renaming."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.arms: dict[str, Arm] = {"blue": Arm(), "green": Arm()}
        self.rest = b""
        self.at, self.file = 0, 0
        with suppress(OSError):
            seen = path.stat()
            self.at, self.file = seen.st_size, seen.st_ino

    def read(self) -> Mapping[str, Arm]:
        """Count what was written since the last time; return what was counted so far."""
        with suppress(OSError), self.path.open("rb") as stream:
            seen = os.fstat(stream.fileno())
            if seen.st_ino != self.file or seen.st_size < self.at:
                self.at, self.file, self.rest = 0, seen.st_ino, b""
            stream.seek(self.at)
            new = stream.read()
            self.at += len(new)
            *lines, self.rest = (self.rest + new).split(b"\n")
            self._count(lines)
        return self.arms

    def _count(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):
                told: dict[str, Any] = json.loads(line)
                # What the arm itself answered: another one may have helped out.
                status = told["upstream_status"] or told["status"]
                arm = self.arms[str(told["arm"])]
                arm.requests += 1
                arm.errors += int(status) >= SERVER_ERROR
