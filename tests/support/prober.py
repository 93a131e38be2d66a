"""A client that never stops asking, so that a test can say: it answered all the time."""

import errno
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from tests.support.site import Site

ENOUGH = 10
"""Answers without which nothing is said: half a second of the shortest test, which also deploys."""
ROAD_S = 5.0
"""For so long this machine may hold that there is no way to a host that has come back (ARP gave up on it before)."""

UNAVAILABLE = "ferryman-unavailable"
"""What the entry's own page calls itself that says that nobody is behind it, and to try again."""


def release(body: bytes) -> str:
    """Read what the project's own applications answer to /version."""
    return str(json.loads(body)["release"])


@dataclass
class Prober:
    """Asks a site every `pause_s`, in turn on one kept connection and on a new one; counts the answers by release.

    `path` is what it asks for, `told` reads from the body which release answered.
    `failed` holds what clients would have noticed: an error status, a broken connection, no answer. Where `forgiving`,
    a kept connection that breaks is begun anew without a word, as clients do: for what reloads. `unanswered` counts the
    requests that a host without power gave no answer to (`without_power`).
    """

    site: Site
    pause_s: float = 0.05
    forgiving: bool = False
    path: str = "/version"
    told: Callable[[bytes], str] = release
    releases: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    asked: int = 0
    unanswered: int = 0
    _dark: bool = False
    _cuts: int = 0
    _lit: float = -ROAD_S

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        ended_early = not self._thread.is_alive()
        self._over.set()
        self._thread.join(10)
        # Where the test has failed already, that is what should be read.
        assert kind or not ended_early, "the prober ended before the test did: nobody has asked"

    def _ask_on(self) -> None:
        kept: http.client.HTTPConnection | None = None
        began = time.monotonic()
        while not self._over.is_set():
            fresh, dark, cuts = self.asked % 2 == 1, self._dark, self._cuts
            self.asked += 1
            try:
                if fresh:
                    connection = self.site.connect()
                    self._ask(connection, close=True)
                    connection.close()
                else:
                    kept = kept or self.site.connect()
                    self._ask(kept)
                    kept = kept if kept.sock else None  # nginx ends one after a thousand; the name leads nowhere here
            except Exception as error:  # noqa: BLE001  # whatever it is: a prober that is gone sees no failure
                if not fresh and self.forgiving:
                    kept = None
                    continue
                if not fresh:
                    kept = None
                nobody = isinstance(error, OSError | http.client.HTTPException) or UNAVAILABLE in str(error)
                # What was under way when the power went may hear of it when the host is back already.
                off = dark or self._cuts > cuts or self._has_lost_its_way(error)
                if off and nobody:
                    self.unanswered += 1
                else:
                    when, which = f"{time.monotonic() - began:.2f} s", "new" if fresh else "kept"
                    self.failed.append(f"{when}, {which}: {type(error).__name__} {error}")
            self._over.wait(self.pause_s)

    def _has_lost_its_way(self, error: Exception) -> bool:
        """Say whether this machine itself found no way to a host that has just come back: that one said nothing."""
        unreachable = isinstance(error, OSError) and error.errno == errno.EHOSTUNREACH
        return unreachable and time.monotonic() - self._lit < ROAD_S

    def _ask(self, connection: http.client.HTTPConnection, *, close: bool = False) -> None:
        connection.request("GET", self.path, headers={"Connection": "close"} if close else {})
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise ValueError(f"{reply.status} {body[:120]!r}")
        name = self.told(body)
        self.releases[name] = self.releases.get(name, 0) + 1

    @contextmanager
    def without_power(self) -> Iterator[None]:
        """Let the host be off and come up meanwhile: no answer is no failure, nor is the entry's own page that says so
        while processes start; whatever else is answered must be right."""
        self._dark, self._cuts = True, self._cuts + 1
        try:
            yield
        finally:
            self._dark, self._lit = False, time.monotonic()

    def served_only(self, *releases: str) -> None:
        """Fail unless every request was answered, and by no release but these."""
        assert self.failed == []
        assert sum(self.releases.values()) >= ENOUGH, self.releases
        assert set(self.releases) <= set(releases), self.releases
