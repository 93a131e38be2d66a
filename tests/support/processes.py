"""Which processes there are, of one group or of one parent: what was ended is looked for by its number."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

DYING_S = 5  # a process that was killed dies when it is its turn, which on a busy machine comes later


def every() -> list[Path]:
    """Return the directory below /proc of each process. One may end before it is read, which `Path.glob` takes for a
    failure of its own."""
    return [place for place in Path("/proc").iterdir() if place.name.isdigit()]


def outlived(group: int) -> list[int]:
    """Return the processes of a group, by its number, once those that were killed had their time to die."""
    until = time.monotonic() + DYING_S
    while (found := living(group)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def living(group: int) -> list[int]:
    """Return the processes of a group, by its number; one that ended and was not waited for is none."""
    found = []
    for place in every():
        with suppress(OSError):
            state, _, number = _stat(place)
            if int(number) == group and state != "Z":
                found.append(int(place.name))
    return found


def family(pid: int) -> set[int]:
    """Return a process and all that descend from it."""
    parents = {}
    for place in every():
        with suppress(OSError):
            parents[int(place.name)] = int(_stat(place)[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def send(number: int, pid: int) -> None:
    """Send a signal to a process and all that descend from it; Ansible's workers are in sessions of their own."""
    for each in sorted(family(pid)):
        with suppress(ProcessLookupError):
            os.kill(each, number)


def end(driver: Popen[Any]) -> None:
    """End a process and all that descend from it at once, as when a machine loses its power: none begins another
    meanwhile."""
    send(signal.SIGSTOP, driver.pid)
    send(signal.SIGKILL, driver.pid)
    driver.wait(10)


def _stat(place: Path) -> list[str]:
    # "pid (name) state ppid pgrp ...", and a name may hold spaces and brackets.
    text = (place / "stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()[:3]
