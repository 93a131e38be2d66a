"""What people see while work goes on: a live list on a terminal, plain lines elsewhere.

Always on stderr; stdout is for answers.
"""

import sys
import threading
import time
from typing import Any, Protocol

QUIET = ("Validating arguments against arg spec", "Say why")  # Ansible's own steps, which say nothing to people


class Progress(Protocol):
    """Somebody who is told what goes on."""

    def step(self, name: str) -> None:
        """A step begins."""

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


class Lines:
    """One line for each step, with the seconds since the beginning: for pipelines and logs.

    A step that every host skips is over in a moment and is not told: each waits a moment, or for its first result.
    """

    MOMENT_S = 0.1

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.waiting: threading.Timer | None = None

    def step(self, name: str) -> None:
        self._drop()
        if not is_quiet(name):
            self.waiting = threading.Timer(self.MOMENT_S, self._say, [short(name)])
            self.waiting.daemon = True
            self.waiting.start()

    def _drop(self) -> None:
        if self.waiting:
            self.waiting.cancel()
            self.waiting = None

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.1f} s] {text}", file=sys.stderr, flush=True)

    def ended(self, name: str, host: str, result: str) -> None:
        if result == "skipped":
            self._drop()
            return
        if self.waiting and self.waiting.is_alive():
            self._drop()
            self._say(short(name))
        if result != "ok" and not is_quiet(name):
            self._say(f"{short(name)}: {result} on {host}")

    def close(self) -> None:
        self._drop()


class Live:
    """The steps so far, the one that runs with its time, the hosts that it runs on."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self.began = time.monotonic()
        self.done: list[tuple[str, float, str]] = []
        self.now = ""
        self.since = self.began
        self.state = "ok"
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
            table.add_row(Spinner("dots"), f"[bold]{self.now}[/]", f"{time.monotonic() - self.since:.1f} s")
        return table

    def step(self, name: str) -> None:
        if is_quiet(name):
            return
        self._finish()
        self.now, self.since, self.state = short(name), time.monotonic(), "skipped"

    def _finish(self) -> None:
        if self.now and self.state == "skipped":
            self.now = ""
        elif self.now:
            self.done.append((self.now, time.monotonic() - self.since, self.state))
            self.now = ""

    def ended(self, name: str, host: str, result: str) -> None:
        if result == "skipped":
            return
        self.state = result if result != "ok" or self.state == "skipped" else self.state

    def close(self) -> None:
        self._finish()
        self.live.refresh()
        self.live.stop()
