"""Requests in flight: of which of an entry's connections to the application an answer is due for too long.

A request that nobody answers leaves no line in a log until its client gives up. What the kernel knows of a connection
does: when something was sent on it last, and when something came (`ss -ti`, ss(8); tcp_info's tcpi_last_data_sent and
tcpi_last_data_recv).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

COMMAND = ("ss", "-tinH", "state", "established")
SENT, CAME = (re.compile(rf"\b{name}:(\d+)") for name in ("lastsnd", "lastrcv"))


def waiting(told: str, ports: Collection[tuple[str, int]], *, since_s: float) -> int:
    """Return on how many connections to one of `ports` (address and port) an answer is due for longer than `since_s`.

    `told` is what COMMAND says. Nothing has come since the last thing was sent there; one that is kept open for the
    next request has been answered.
    """
    return sum(there in ports and _due_s(about) > since_s for there, about in _connections(told))


def _connections(told: str) -> Iterator[tuple[tuple[str, int], str]]:
    """Return each connection's other end and what is said about it, which is on the line that follows."""
    lines = iter(told.splitlines())
    for line in lines:
        words = line.split()
        if line[:1].isspace() or len(words) < 4:
            continue
        address, _, port = words[3].rpartition(":")
        address = address.strip("[]").partition("%")[0]
        if port.isdigit():
            yield (address.removeprefix("::ffff:"), int(port)), next(lines, "")


def _due_s(about: str) -> float:
    if "bytes_sent:" not in about:
        return 0.0  # it was opened, and nothing was asked on it
    sent, came = (int(found[1]) if (found := pattern.search(about)) else 0 for pattern in (SENT, CAME))
    # In one tick of the kernel's: then an answer was either quick, or there was none at all.
    if came > sent or (came == sent and "bytes_received:" not in about):
        return sent / 1000
    return 0.0
