"""What is drawn anew under the lines that stay, on a terminal, while time passes.

Rich redraws in a thread of its own, and reckons how far the cursor goes up before it holds what it writes from others:
of two who print at one moment, each goes up over what is there already, and lines that were to stay are gone. Here
whoever prints, and who redraws, has the terminal alone from the reckoning to the last byte.
"""

import threading
from collections.abc import Callable
from typing import Any, Self

from rich.console import Console
from rich.live import Live


class Turns(Console):
    """A console of which one thread at a time has the buffer: all that it prints goes through that."""

    def __init__(self, **options: Any) -> None:
        self.turn = threading.RLock()
        super().__init__(**options)

    def __enter__(self) -> Self:
        self.turn.acquire()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            self.turn.release()


class LiveLine:
    """What `draw` returns, under all that its console and stderr print; gone once it is closed.

    It is redrawn `times` a second, and whenever something is printed.
    """

    def __init__(self, console: Turns, draw: Callable[[], Any], times: float) -> None:
        self.console = console
        self.over = threading.Event()
        self.live = Live(
            console=console, get_renderable=draw, auto_refresh=False, transient=True, redirect_stdout=False
        )
        self.live.start()
        threading.Thread(target=self._redraw, args=[1 / times], daemon=True).start()

    def _redraw(self, pause_s: float) -> None:
        while not self.over.wait(pause_s):
            with self.console:  # before what Rich itself locks, as whoever prints has it
                if not self.over.is_set():
                    self.live.refresh()

    def close(self) -> None:
        """Take it away, for good."""
        with self.console:
            self.over.set()
            self.live.stop()
