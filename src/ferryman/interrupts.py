"""Ctrl-C, and the SIGTERM of a pipeline: the first asks a run to go back, the second leaves it as it is.

Ansible's processes are in a session of their own, so what a terminal sends reaches this process alone.
"""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ferryman import paths
from ferryman.errors import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GOING_BACK = "interrupted: going back; what is committed by now goes on to its end. Ctrl-C again leaves at once"
AGAIN = "the same command begins again"
LEAVING = "interrupted: leaving"


@contextmanager
def nothing_touched() -> Iterator[None]:
    """Say of an interruption in here that nothing was touched."""
    try:
        yield
    except KeyboardInterrupt:
        raise untouched() from None


def untouched() -> Stop:
    """Return what is said of an interruption before anything was touched."""
    return Stop("interrupted; nothing was touched", hint=AGAIN)


class Interrupts:
    """How often a run was interrupted, and what that asks for; `say` tells people.

    `stop_file` exists from the first time on: it is how a run with a way back is asked to take it (the role's
    `release_stop_file`). None for a run without one, which is left at the first time.
    """

    def __init__(self, say: Callable[[str], None], stop_file: Path | None) -> None:
        self.say = say
        self.stop_file = stop_file
        self.count = 0
        self.told = 0

    def hear(self, _: int, __: FrameType | None) -> None:
        """Count a signal. Nothing is said here: it may have come in the middle of a line."""
        self.count += 1
        if self.stop_file:
            self.stop_file.touch()

    def leave(self) -> bool:
        """Say whether the run is to be left now; asked several times a second, this is where people are told."""
        leaves = self.count > (1 if self.stop_file else 0)
        if self.count > self.told:
            self.told = self.count
            self.say(LEAVING if leaves else GOING_BACK)
        return leaves


@contextmanager
def heard(say: Callable[[str], None], *, way_back: bool) -> Iterator[Interrupts]:
    """Listen for signals during a run; `way_back` says whether it has one."""
    with tempfile.TemporaryDirectory(prefix="stop-", dir=paths.state_directory()) as place:
        found = Interrupts(say, Path(place) / "stop" if way_back else None)
        before = {number: signal.signal(number, found.hear) for number in SIGNALS}
        try:
            yield found
        finally:
            for number, handler in before.items():
                with suppress(TypeError):  # one that was not set from Python
                    signal.signal(number, handler)
