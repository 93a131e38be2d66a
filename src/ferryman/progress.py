"""What people see while work goes on: a live list on a terminal, plain lines elsewhere.

Always on stderr; stdout is for answers.
"""

import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

NAMED = 3  # hosts that are named in a line
QUIET = ("Validating arguments against arg spec", "Say why")  # Ansible's own steps, which say nothing to people


class Progress(Protocol):
    """Somebody who is told what goes on."""

    def step(self, name: str) -> None:
        """A step begins."""

    def begun(self, host: str) -> None:
        """The step that was begun last is now done on a host too."""

    def ended(self, name: str, host: str, result: str) -> None:
        """A step ended on a host."""

    def close(self) -> None:
        """Nothing more comes."""


def progress() -> Progress:
    """Return a live list where somebody looks on, else plain lines."""
    return Live() if sys.stderr.isatty() else Lines()


def is_quiet(name: str) -> bool:
    """Say whether a step is none of people's business."""
    return not name or any(quiet in name for quiet in QUIET)


def short(name: str) -> str:
    """Return a task's name without its role."""
    return name.rpartition(" : ")[2]


def named(hosts: Iterable[str]) -> str:
    """Return hosts as they stand behind a step: all of few, some of many."""
    names = list(hosts)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f" ({', '.join(names[:NAMED])}{more})" if names else ""


class Lines:
    """One line for each step, with the seconds since the beginning and the hosts: for pipelines and logs.

    A step that every host skips is over in a moment and is not told: each waits a moment, or for its first result.
    """

    MOMENT_S = 0.1

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.waiting: threading.Timer | None = None
        self.now = ""
        self.hosts: list[str] = []
        self.told = True
        self.turn = threading.Lock()

    def step(self, name: str) -> None:
        self._drop()
        with self.turn:
            self.now, self.hosts, self.told = short(name), [], is_quiet(name)
        self._wait()

    def _wait(self) -> None:
        if not self.told:
            self.waiting = threading.Timer(self.MOMENT_S, self._begin, [self.now])
            self.waiting.daemon = True
            self.waiting.start()

    def _drop(self) -> None:
        if self.waiting:
            self.waiting.cancel()
            self.waiting = None

    def _begin(self, text: str) -> None:
        with self.turn:  # a timer that was too late to be stopped is of a step before this one
            if text == self.now and not self.told:
                self.told = True
                self._say(text + named(self.hosts))

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.1f} s] {text}", file=sys.stderr, flush=True)

    def begun(self, host: str) -> None:
        self.hosts.append(host)

    def ended(self, name: str, host: str, result: str) -> None:
        if result == "skipped":
            self._skipped(name, host)
            return
        self._drop()
        self._begin(short(name))
        if result != "ok" and not is_quiet(name):
            self._say(f"{short(name)}: {result} on {host}")

    def _skipped(self, name: str, host: str) -> None:
        """Leave a host out; where others are at work the step is told all the same."""
        self._drop()
        self.hosts = [each for each in self.hosts if each != host]
        if self.hosts:
            self._wait()

    def close(self) -> None:
        self._drop()


class Live:
    """The steps so far, the one that runs with its time, and the hosts that each runs on."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self.began = time.monotonic()
        self.done: list[tuple[str, float, str]] = []
        self.now = ""
        self.since = self.began
        self.state = "ok"
        self.hosts: list[str] = []
        self.ran: list[str] = []
        self.live = RichLive(
            console=Console(stderr=True), get_renderable=self.draw, refresh_per_second=8, transient=False
        )
        self.live.start()

    def draw(self) -> Any:
        """Return what is on the screen now."""
        from rich.spinner import Spinner
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        for name, seconds, state in self.done[-12:]:
            mark = "[green]✓[/]" if state == "ok" else "[red]✗[/]"
            table.add_row(mark, name, f"[dim]{seconds:.1f} s[/]")
        if self.now:
            text = f"[bold]{self.now}[/][dim]{named(self.hosts)}[/]"
            table.add_row(Spinner("dots"), text, f"{time.monotonic() - self.since:.1f} s")
        return table

    def step(self, name: str) -> None:
        if is_quiet(name):
            return
        self._finish()
        self.now, self.since, self.state = short(name), time.monotonic(), "skipped"
        self.hosts, self.ran = [], []

    def _finish(self) -> None:
        if self.now and self.state == "skipped":
            self.now = ""
        elif self.now:
            self.done.append((self.now + named(self.ran), time.monotonic() - self.since, self.state))
            self.now = ""

    def begun(self, host: str) -> None:
        self.hosts.append(host)

    def ended(self, name: str, host: str, result: str) -> None:
        self.hosts = [each for each in self.hosts if each != host]
        if result == "skipped":
            return
        self.ran.append(host)
        self.state = result if result != "ok" or self.state == "skipped" else self.state

    def close(self) -> None:
        self._finish()
        self.live.refresh()
        self.live.stop()
