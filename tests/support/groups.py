"""Which processes of a group still live: what was ended is looked for by its number."""

import time
from contextlib import suppress
from pathlib import Path

DYING_S = 5  # a process that was killed dies when it is its turn, which on a busy machine comes later


def outlived(group: int) -> list[int]:
    """Return the processes of a group, by its number, once those that were killed had their time to die."""
    until = time.monotonic() + DYING_S
    while (found := living(group)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def living(group: int) -> list[int]:
    """Return the processes of a group, by its number; one that ended and was not waited for is none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, number = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
            if int(number) == group and state != "Z":
                found.append(int(path.parent.name))
    return found
