"""Append-only files of JSON lines in which every line carries the hash of the one before: journal and ledger.

A chain shows that a line was changed, removed or put in between; it proves nothing against whoever can rewrite the
whole file, so the head of a ledger is kept by the driver too.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Chain:
    """What a file of chained lines says: its `lines`, a `torn` last line (power loss), and what is `wrong` with it."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.torn = ""
        self.wrong = ""

    @property
    def head(self) -> str:
        """The hash of the last line; empty for an empty chain."""
        return str(self.lines[-1].get("hash", "")) if self.lines else ""


def digest(line: Line) -> str:
    """Return the SHA-256 over the canonical JSON of `line` without its own hash."""
    body = {key: value for key, value in line.items() if key != "hash"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def following(chain: Chain, body: Line) -> Line:
    """Return the line that follows in `chain` and says `body`."""
    line = {"format": 1, **body, "seq": len(chain.lines) + 1, "prev": chain.head}
    return {**line, "hash": digest(line)}


def parse(text: str) -> Chain:
    """Return the chain that `text` holds; never raises, since a damaged chain is an answer too."""
    chain = Chain()
    whole = text.split("\n")
    for number, raw in enumerate(whole, start=1):
        if not raw:
            continue
        try:
            line = json.loads(raw)
            problem = "" if isinstance(line, dict) else "is not an object"
        except (ValueError, RecursionError):
            line, problem = {}, "is not JSON"
        if problem and number == len(whole):  # what is whole ends with a line break
            chain.torn = raw
            break
        if not problem:
            problem = _problem(chain, line)
        if problem:
            chain.wrong = chain.wrong or f"line {number} {problem}"
        if isinstance(line, dict) and line:
            chain.lines.append(line)
    return chain


def _problem(chain: Chain, line: Line) -> str:
    version = line.get("format")
    if not isinstance(version, int):
        return "does not say its format"
    if version > 1:
        return "was written by a newer Ferryman (format above 1)"
    if line.get("hash") != digest(line):
        return "does not match its own hash"
    if line.get("prev") != chain.head:
        return "does not follow the line before it"
    if line.get("seq") != len(chain.lines) + 1:
        return f"has sequence number {line.get('seq')}, not {len(chain.lines) + 1}"
    return ""


def read(path: Path) -> Chain:
    """Return the chain in `path`; an empty one where there is no file."""
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return Chain()


def append(path: Path, body: Line) -> Line:
    """Append what `body` says with one write and fsync, and return the line; a torn last line is set aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # the guard and a driver's session may write at the same time
        chain, ending = read(path), _mend(path, descriptor)
        line = following(chain, body)
        _write_whole(descriptor, (ending + json.dumps(line) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return line


def _write_whole(descriptor: int, data: bytes) -> None:
    """Write a line or nothing of it: a disk that fills takes a part without a word."""
    before = os.fstat(descriptor).st_size
    if os.write(descriptor, data) != len(data):
        os.ftruncate(descriptor, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _mend(path: Path, descriptor: int) -> str:
    """Set a torn last line aside and return what must be written before the next one: a line break, or nothing."""
    data = path.read_bytes()
    whole, last = data.rfind(b"\n") + 1, data[data.rfind(b"\n") + 1 :]
    if not last:
        return ""
    if not parse(last.decode(errors="replace")).torn:
        return "\n"  # only its line break is missing
    path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}").write_bytes(last)
    os.ftruncate(descriptor, whole)
    return ""
