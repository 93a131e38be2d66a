"""What an entry's access log says of both arms: counts by minute, and of each client when what came first.

The log is the one of role nginx (a line of JSON a request). A line in its usual form is taken apart by one expression,
which is five times as quick as JSON; whatever else there is goes through JSON, or is counted as what it is.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import sketch
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import LEVELS_S, MINUTE_S
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import Sketch

LINE = re.compile(
    rb'"epoch":(\d+)(\.\d+),"level":"\w*","service":"entry","site":"[^"]*","request_id":"[^"]*","method":"[^"]*",'
    rb'"scheme":"[^"]*","host":"[^"]*","path":"[^"]*","protocol":"[^"]*","status":(\d+),"bytes":\d+,'
    rb'"request_bytes":\d+,"request_s":([\d.]+),"arm":"([^"]*)","bucket":"[^"]*","release":"[^"]*","upstream":"[^"]*",'
    rb'"upstream_status":(\w+),"upstream_s":([\w.]+),"upstream_statuses":"[^"]*","upstream_times":"[^"]*",'
    rb'"remote_addr":"([^"]*)"'
)
SECOND, PART, STATUS, REQUEST_S, ARM, UPSTREAM_STATUS, UPSTREAM_S, ADDRESS = range(8)
Row = tuple[bytes, ...]
LEFT = b"499"
"""The status of a request whose client left before it had its answer."""
First = tuple[float, float, str]
"""When it was logged, when the request began, and its slot."""
LONGEST_S = 3600.0
"""What was logged so long after a moment is taken to have begun after it."""
SHORT_S, SHORT = 10, len("9.999")
"""What took less than that is written in so many characters."""
CLIENTS_MOST = 50_000
"""Of so many clients it is kept when they were first seen; those who come later still count as requests."""
LEVELS = len(LEVELS_S)


@dataclass
class Minute:
    """What an arm answered within one."""

    requests: int = 0
    failed: int = 0
    failing: set[str] = field(default_factory=set)
    seconds: Sketch = field(default_factory=Sketch)


@dataclass
class Tally:
    """What was read: `minutes` by when they began and by slot, and first times, by kind and client, with their slot.

    A kind is `came <stage>`, `slow <level>`, or `failing <stage>`, where stage -1 is before the first client was moved
    (`Before`).
    """

    lines: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    minutes: dict[tuple[int, str], Minute] = field(default_factory=dict)
    firsts: dict[tuple[str, str], First] = field(default_factory=dict)


def add(whole: Tally, each: Tally) -> None:
    """Count into `whole` what another piece of a log, or another entry's, says."""
    whole.lines += each.lines
    whole.odd.update(each.odd)
    for key, minute in each.minutes.items():
        there = whole.minutes.setdefault(key, Minute())
        there.requests += minute.requests
        there.failed += minute.failed
        there.failing |= minute.failing
        there.seconds = sketch.merged((there.seconds, minute.seconds))
    for event, first in each.firsts.items():
        whole.firsts[event] = min(whole.firsts.get(event, first), first)


def merged_tally(tallies: Iterable[Tally]) -> Tally:
    """Return what one entry would have counted that had served all; in whatever order they come."""
    whole = Tally()
    for each in tallies:
        add(whole, each)
    return whole


def told(tally: Tally) -> dict[str, Any]:
    """Return a tally as JSON has it; `read` is the way back."""
    return {
        "lines": tally.lines,
        "odd": dict(tally.odd),
        "minutes": [
            [at, slot, each.requests, each.failed, sorted(each.failing), each.seconds.told()]
            for (at, slot), each in sorted(tally.minutes.items())
        ],
        "firsts": [[kind, client, *first] for (kind, client), first in sorted(tally.firsts.items())],
    }


def read(said: Mapping[str, Any]) -> Tally:
    """Return the tally that `said` tells of."""
    return Tally(
        int(said["lines"]),
        Counter(said["odd"]),
        {
            (int(at), slot): Minute(requests, failed, set(failing), sketch.read(seconds))
            for at, slot, requests, failed, failing, seconds in said["minutes"]
        },
        {(kind, client): (logged, began, slot) for kind, client, logged, began, slot in said["firsts"]},
    )


class Reader:
    """Counts blocks of whole lines; `stages` are the moments at which stages began, `hang_s` is the latency limit.

    Clients of the slot `apart` count in minutes alone: they are compared with nobody. How long requests took counts
    only where they began from `warm_until` on, whoever answered.

    Clients are known by a hash of their address under `salt`, which belongs to one release: no address leaves the host.
    """

    def __init__(
        self, salt: bytes, stages: Sequence[float], hang_s: float, *, apart: str = "", warm_until: float = 0.0
    ) -> None:
        self.salt, self.stages, self.hang_s = salt[:64], list(stages), hang_s
        self.apart, self.warm_until = apart.encode(), warm_until
        self.tally = Tally()
        self._ids: dict[bytes, str] = {}
        self._here: set[bytes] = set()  # who came in the last stage
        self._top: dict[bytes, int] = {}
        # By how a duration is written; there are few, and a logarithm for each line would be a fifth of the work.
        self._levels: dict[bytes, int] = {b"null": 0}
        self._bins: dict[bytes, int] = {}

    def count(self, block: bytes) -> None:
        """Count a block of whole lines."""
        rows: list[Row] = LINE.findall(block)
        lines = block.count(b"\n")
        self.tally.lines += lines
        if len(rows) != lines:
            rows = [row for line in block.split(b"\n") if line for row in self._odd(line)]
        if b"" in set(map(itemgetter(ARM), rows)):  # answered by the entry itself: a redirect, a page of maintenance
            self.tally.odd["no arm"] += sum(not row[ARM] for row in rows)
            rows = [row for row in rows if row[ARM]]
        if b"101" in set(map(itemgetter(STATUS), rows)):  # connections that were kept, no answers that were slow
            rows = [_untimed(row) if row[STATUS] == b"101" else row for row in rows]
        if rows and float(rows[0][SECOND]) < self.warm_until + LONGEST_S:
            rows = [_untimed(row) if _began(row) < self.warm_until else row for row in rows]
        by_second = {second: int(int(second) // MINUTE_S * MINUTE_S) for second in set(map(itemgetter(SECOND), rows))}
        minutes = sorted(set(by_second.values()))
        for minute in minutes:
            whole = len(minutes) == 1
            self._minute(minute, rows if whole else [row for row in rows if by_second[row[SECOND]] == minute])

    def _odd(self, line: bytes) -> list[Row]:
        """Return the row of a line that is not in the usual form; none for what is no line of this log."""
        rows: list[Row] = LINE.findall(line)
        if len(rows) == 1:
            return rows
        try:
            said = json.loads(line)
            row = tuple(said[name] for name in ("status", "request_s", "arm", "upstream_status", "upstream_s"))
            second, _, part = f"{float(said['epoch']):.3f}".partition(".")
            words = ["null" if each is None else str(each) for each in row]
            words[1] = f"{float(words[1]):.3f}"
            return [tuple(each.encode() for each in (second, f".{part}", *words, str(said["remote_addr"])))]
        except (ValueError, TypeError, KeyError, RecursionError):
            self.tally.odd["garbage"] += 1
            return []

    def _minute(self, minute: int, rows: list[Row]) -> None:
        levels, top = self._levels, self._top
        for (arm, seconds), times in Counter(map(itemgetter(ARM, UPSTREAM_S), rows)).items():
            there = self.tally.minutes.setdefault((minute, arm.decode()), Minute())
            there.requests += times
            if seconds not in levels:
                value = float(seconds)
                levels[seconds] = sum(value > level for level in LEVELS_S)
                self._bins[seconds] = sketch.bin_of(value)
            if seconds != b"null":
                there.seconds.count_in(self._bins[seconds], times)
        for row in [row for row in rows if row[STATUS] >= LEFT or row[UPSTREAM_STATUS] >= b"500"]:
            if failed(row[STATUS], row[UPSTREAM_STATUS], row[REQUEST_S], self.hang_s):
                self._count_failed(minute, row)
            elif row[STATUS] == LEFT:  # nobody knows what would have come
                self.tally.minutes[minute, row[ARM].decode()].requests -= 1
        if self.apart:
            rows = [row for row in rows if row[ARM] != self.apart]
        self._count_came(rows)
        known = top.get
        for row in [row for row in rows if (high := levels[row[UPSTREAM_S]]) and high > known(row[ADDRESS], 0)]:
            client, level = row[ADDRESS], levels[row[UPSTREAM_S]]
            if self._id(client):
                for each in range(top.get(client, 0), level):
                    self._first(f"slow {each}", row)
            top[client] = level

    def _count_came(self, rows: list[Row]) -> None:
        """Count each client once in each stage; of nearly all rows it is known that they say nothing new."""
        latest, here = len(self.stages) - 1, self._here
        fresh = [row for row in rows if row[ADDRESS] not in here]
        if rows and latest >= 0 and float(rows[0][SECOND]) < self.stages[latest] + SHORT_S + 1:
            fresh = rows  # a block is in order of time but for a moment: these may be an earlier stage's
        elif max(map(len, map(itemgetter(REQUEST_S), rows)), default=0) > SHORT:
            fresh += [row for row in rows if len(row[REQUEST_S]) > SHORT]
        for row in fresh:
            if self._id(row[ADDRESS]):
                stage = self._stage(row)
                self._first(f"came {stage}", row)
                if stage == latest:
                    here.add(row[ADDRESS])

    def _id(self, address: bytes) -> str:
        """Return a client's name; none for those beyond the bound. Of IPv6 the first half, as nginx draws it."""
        if address not in self._ids:
            if len(self._ids) >= CLIENTS_MOST:
                self.tally.odd["clients beyond the bound"] += 1
                return ""
            client = address
            if b":" in address:
                client = int(ipaddress.ip_address(address.decode())).to_bytes(16, "big")[:8]
            self._ids[address] = hashlib.blake2b(client, digest_size=6, key=self.salt).hexdigest()
        return self._ids[address]

    def _count_failed(self, minute: int, row: Row) -> None:
        there = self.tally.minutes[minute, row[ARM].decode()]
        there.failed += 1
        client = self._id(row[ADDRESS])
        if client:
            there.failing.add(client)
        if client and row[ARM] != self.apart:
            self._first(f"failing {self._stage(row)}", row)

    def _stage(self, row: Row) -> int:
        return bisect_right(self.stages, _began(row)) - 1

    def _first(self, kind: str, row: Row) -> None:
        event, logged = (kind, self._ids[row[ADDRESS]]), float(row[SECOND] + row[PART])
        first = (logged, _began(row), row[ARM].decode())
        self.tally.firsts[event] = min(self.tally.firsts.get(event, first), first)


def failed(status: bytes, upstream_status: bytes, request_s: bytes, hang_s: float) -> bool:
    """Say whether the slot that was chosen failed, also where the other one then answered well."""
    if status == LEFT and not b"500" <= upstream_status <= b"599":
        return float(request_s) >= hang_s  # a failure if it had waited for long
    answered = status if upstream_status == b"null" else upstream_status
    return b"500" <= answered <= b"599"


class Before:
    """Counts what was logged between `since` and `until`, when the first client was moved: it says who keeps failing.

    Of a busy entry's log less than that may be there: from its first line on it is counted, too.
    """

    def __init__(self, salt: bytes, since: float, until: float, hang_s: float) -> None:
        self.salt, self.since, self.until, self.hang_s = salt, since, until, hang_s
        self._halves: Reader | None = None

    def count(self, block: bytes) -> None:
        """Count a block of whole lines."""
        if self._halves is None:
            first = LINE.search(block)
            if not first:
                return
            begin = max(self.since, float(first[1 + SECOND]))
            self._halves = Reader(self.salt, [begin, (begin + self.until) / 2, self.until], self.hang_s)
        self._halves.count(block)

    def kept_failing(self) -> Tally:
        """Return, as stage -1, who failed in the first half of the time and in the second again.

        One failure alone happens to whoever asks for much, and the next says as much of the new release as anyone's.
        """
        firsts = self._halves.tally.firsts if self._halves else {}
        return Tally(
            firsts={
                ("failing -1", client): first
                for (kind, client), first in firsts.items()
                if kind == "failing 0" and ("failing 1", client) in firsts
            }
        )


def _untimed(row: Row) -> Row:
    """Return a row that says nothing of how long it took."""
    return (*row[:UPSTREAM_S], b"null", *row[UPSTREAM_S + 1 :])


def _began(row: Row) -> float:
    """Return when a request began: a line is written at its end, and the slot was chosen at its beginning."""
    return float(row[SECOND] + row[PART]) - float(row[REQUEST_S])
