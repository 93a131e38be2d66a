"""Where one is in an entry's access log, and what came since: whole lines, of a file that is renamed meanwhile, too.

A place is [(inode, offset), ...] of the files that may still grow, the newest last, as it travels between looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Place = list[tuple[int, int]]
BLOCK = 1 << 20
BEFORE = 16 << 20
"""So much of what was written before the first client is moved says who keeps failing anyway."""
GROWING = 2  # the one that was renamed is written to until the server reopens its log


def beginning(path: Path) -> tuple[Place, Place]:
    """Return the place at which a log stands, and one before it from which it says who keeps failing."""
    with suppress(OSError), path.open("rb") as stream:
        seen = os.fstat(stream.fileno())
        end = _line_end(stream.fileno(), seen.st_size)
        back = max(0, end - BEFORE)
        return [(seen.st_ino, end)], [(seen.st_ino, _line_end(stream.fileno(), back) if back else 0)]
    return [], []


def _line_end(file: int, size: int) -> int:
    """Return where the last whole line that is over by `size` ends."""
    at = size
    while at > 0:
        first = max(0, at - BLOCK)
        cut = os.pread(file, at - first, first).rfind(b"\n")
        if cut >= 0:
            return first + cut + 1
        at = first
    return 0


def read(path: Path, place: Place, count: Callable[[bytes], None], *, until: Place | None = None) -> Place:
    """Hand every whole line since `place` to `count`, in blocks; return the place behind them.

    `until` ends it, in the same file. What was compressed or removed since is gone: it was over two looks before.
    """
    files = _files(path)
    now = [(file, at) for file, at in place if file in files]
    current = next((file for file, name in files.items() if name == path), None)
    if current is not None and current not in [file for file, _ in now]:
        now.append((current, 0))
    ends = dict(until or [])
    return [(file, _rest(files[file], at, count, ends.get(file))) for file, at in now][-GROWING:]


def _files(path: Path) -> dict[int, Path]:
    """Return the log and what it was renamed to, by inode."""
    found: dict[int, Path] = {}
    for each in [*path.parent.glob(f"{path.name}[.-]*"), path]:
        with suppress(OSError):
            if each.suffix != ".gz":
                found[each.stat().st_ino] = each
    return found


def _rest(path: Path, at: int, count: Callable[[bytes], None], end: int | None) -> int:
    with suppress(OSError), path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size < at:  # somebody emptied it
            at = 0
        stream.seek(at)
        left = b""
        while end is None or at + len(left) < end:
            block = stream.read(BLOCK if end is None else min(BLOCK, end - at - len(left)))
            if not block:
                break
            whole, cut, left = (left + block).rpartition(b"\n")
            if cut:
                count(whole + cut)
                at += len(whole) + 1
    return at
