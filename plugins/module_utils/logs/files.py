"""Reading log files that are rotated by rename: backwards for what was, forwards from where a reader stopped."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import IO, Optional

Mark = dict[str, int]
"""How far a file was read: its inode, and the offset behind the last whole line."""

BLOCK = 1 << 16
LINE_MAX = 1 << 20  # what has no line break for so long is not a log


def family(path: str) -> list[str]:
    """Return a log and what it was renamed to, the newest first: x.log, x.log.1, x.log.2.gz ..."""
    directory, name = os.path.split(path)
    numbered = []
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    for each in names:
        found = re.fullmatch(re.escape(name) + r"\.(\d+)(?:\.gz)?", each)
        if found:
            numbered.append((int(found[1]), each))
    return [
        os.path.join(directory, each) for each in ([name] if name in names else []) + [n for _, n in sorted(numbered)]
    ]


def backwards(path: str, before: Optional[float] = None, until: Optional[Mark] = None) -> Iterator[str]:
    """Return the lines of a log and its older parts, the newest first; not of parts last written before `before`.

    Nor what stands behind the mark `until`: `forwards` goes on from there.
    """
    reached = until is None
    for part in family(path):
        try:
            if before is not None and os.stat(part).st_mtime < before:
                return
            if part.endswith(".gz"):
                yield from _packed(part)
                continue
            with open(part, "rb") as stream:
                end = until["offset"] if until and until["inode"] == os.fstat(stream.fileno()).st_ino else None
                reached = reached or end is not None
                if reached:
                    yield from _lines(stream, end)
        except FileNotFoundError:
            continue  # rotated while it was read: its next name was not listed, and is not there for long


def _packed(part: str) -> Iterator[str]:
    """Unpack it beside, since it is read from its end, and a day's requests are no thing to hold in memory."""
    with tempfile.TemporaryFile() as unpacked:
        with gzip.open(part, "rb") as stream:
            shutil.copyfileobj(stream, unpacked)
        yield from _lines(unpacked)


def _lines(stream: IO[bytes], end: Optional[int] = None) -> Iterator[str]:
    size = stream.seek(0, os.SEEK_END)
    position, rest = size if end is None else min(size, end), b""
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        stream.seek(position)
        first, *others = (stream.read(size) + rest).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in reversed(others) if line)
        rest = first if len(first) < LINE_MAX else b""
    if rest:
        yield rest.decode("utf-8", "replace")


def joined(lines: Iterable[str], is_first: Callable[[str], object], *, backwards: bool = False) -> Iterator[str]:
    """Return what was written at once as one text where it has several lines; `is_first` knows its first line."""
    rest: list[str] = []
    for line in lines:
        if not is_first(line):
            rest.append(line)
        elif backwards:
            yield "\n".join([line, *reversed(rest)])
            rest = []
        else:
            yield from ["\n".join(rest)] if rest else []
            rest = [line]
    if rest and not backwards:
        yield "\n".join(rest)


def mark(path: str) -> Mark:
    """Return the end of a log as it is now, behind its last whole line; just renamed, it is the newest of its parts."""
    for part in family(path):
        if part.endswith(".gz"):
            break
        with suppress(FileNotFoundError), open(part, "rb") as stream:
            return {"inode": os.fstat(stream.fileno()).st_ino, "offset": _whole(stream)}
    return {}


def _whole(stream: IO[bytes]) -> int:
    """Return the offset behind the last line break."""
    position = stream.seek(0, os.SEEK_END)
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        stream.seek(position)
        found = stream.read(size).rfind(b"\n")
        if found >= 0:
            return position + found + 1
    return 0


def forwards(path: str, since: Mark) -> tuple[list[str], Mark]:
    """Return the lines written after `since`, and the mark from which to go on; a rename in between loses nothing.

    What was rotated is found by its inode; a part that is packed or gone meanwhile was read long before, or is lost.
    """
    lines: list[str] = []
    now = dict(since)
    with ExitStack() as stack:
        # All are opened before any is read: what is renamed meanwhile is the same file still.
        parts = _opened(path, stack)
        inodes = [inode for inode, _ in parts]
        begin = since.get("inode")
        index = inodes.index(begin) if begin in inodes else 0
        for inode, stream in reversed(parts[: index + 1]):
            found, now = _rest(inode, stream, since.get("offset", 0) if inode == begin else 0)
            lines += found
    return lines, now


def _opened(path: str, stack: ExitStack) -> list[tuple[int, IO[bytes]]]:
    """Open what is not packed, the newest first, each file once whatever it is called by now."""
    found: dict[int, IO[bytes]] = {}
    for part in family(path):
        if part.endswith(".gz"):
            continue
        with suppress(FileNotFoundError):
            stream = stack.enter_context(open(part, "rb"))  # noqa: SIM115 - the stack closes it
            found.setdefault(os.fstat(stream.fileno()).st_ino, stream)
    return list(found.items())


def _rest(inode: int, stream: IO[bytes], offset: int) -> tuple[list[str], Mark]:
    size = os.fstat(stream.fileno()).st_size
    begun = offset if offset <= size else 0  # shorter than it was: somebody emptied it
    stream.seek(begun)
    data = stream.read(size - begun)
    whole = data[: data.rfind(b"\n") + 1]
    lines = [line.decode("utf-8", "replace") for line in whole.split(b"\n") if line]
    return lines, {"inode": inode, "offset": begun + len(whole)}
