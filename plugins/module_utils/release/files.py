"""The list of files of an artifact (`files.txt`): one line a file, sorted by path.

Its SHA-256 is the artifact's digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file.

    `mode` is 0644 or 0755 as octal digits, `content` its SHA-256, or `->target` for a link, `size` in bytes.
    """

    path: str
    mode: str
    content: str
    size: int

    @property
    def link(self) -> str:
        """The target of a link; empty for a file."""
        return self.content[2:] if self.content.startswith("->") else ""


def dump(entries: Mapping[str, Entry]) -> str:
    """Return the text of files.txt."""
    return "".join(f"{e.mode} {e.content} {e.size} {e.path}\n" for _, e in sorted(entries.items()))


def load(text: str) -> dict[str, Entry]:
    """Return the entries of files.txt by path. Raises ValueError for a path that leaves its directory."""
    entries: dict[str, Entry] = {}
    for line in text.splitlines():
        mode, rest = line.split(" ", 1)
        if rest.startswith("->"):
            target, size, path = rest.rsplit(" 0 ", 1)[0], "0", rest.rsplit(" 0 ", 1)[1]
            content = target
        else:
            content, size, path = rest.split(" ", 2)
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} leaves the release")
        entries[path] = Entry(path, mode, content, int(size))
    return entries


def digest(text: str) -> str:
    """Return the digest of an artifact from the text of its files.txt."""
    return hashlib.sha256(text.encode()).hexdigest()


def differing(directory: Path, entries: Mapping[str, Entry]) -> list[str]:
    """Return the paths that are not in `directory` as `entries` say: changed, of another mode, or gone."""
    return [path for path, entry in entries.items() if not same(directory / path, entry)]


def same(path: Path, entry: Entry) -> bool:
    """Return whether the file at `path` is what `entry` says."""
    try:
        if entry.link:
            return os.readlink(path) == entry.link
        status = os.lstat(path)
        if status.st_size != entry.size or f"{status.st_mode & 0o7777:04o}" != entry.mode:
            return False
        with path.open("rb", buffering=0) as stream:
            return hashlib.sha256(stream.read()).hexdigest() == entry.content
    except OSError:
        return False
