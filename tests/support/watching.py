"""A journal of a host, line by line as it is written: over one kept connection, so that a step is known at once."""

import json
import subprocess
import threading
import time
from typing import Any, Self

from tests.support.driving import Driver
from tests.support.site import Site

LATE_S = 2.0
"""How long a line may come after its driver has ended."""


class Journal:
    """What a site's host writes down while somebody watches; `lines` grows."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lines: list[dict[str, Any]] = []
        self.news = threading.Condition()

    def __enter__(self) -> Self:
        # Its standard input ends with us, and with that what follows the file there.
        follow = f"tail --follow=name --lines=0 --sleep-interval=0.05 {self.site.journal_path}"
        argv = self.site.reached(f"{follow} & echo; cat; kill $!")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "\n", "the host is not reached"
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.reader.join(5)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self.news:
                self.lines.append(json.loads(text))
                self.news.notify_all()

    def wait_for(self, step: str, result: str, driver: Driver, *, since: int, timeout_s: float = 60) -> bool:
        """Wait until a step (or its end) is written down behind the first `since` lines; False where it never is."""
        deadline = time.monotonic() + timeout_s
        with self.news:
            while not any((line["step"], line["result"]) == (step, result) for line in self.lines[since:]):
                if driver.process.poll() is not None:
                    deadline = min(deadline, time.monotonic() + LATE_S)
                if time.monotonic() >= deadline:
                    return False
                self.news.wait(0.1)
        return True

    def settled(self, since: int, *, timeout_s: float = 10) -> list[tuple[str, str]]:
        """Return steps and results behind the first `since` lines, where these go on until a run has settled."""
        with self.news:
            self.news.wait_for(lambda: any(line["step"] == "settle" for line in self.lines[since:]), timeout_s)
            return [(line["step"], line["result"]) for line in self.lines[since:]]
