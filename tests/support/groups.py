"""Which processes of a group still live: what was ended is looked for by its number."""

from contextlib import suppress
from pathlib import Path


def living(group: int) -> list[int]:
    """Return the processes of a group, by its number; one that ended and was not waited for is none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, number = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
            if int(number) == group and state != "Z":
                found.append(int(path.parent.name))
    return found
