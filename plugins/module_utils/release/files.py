"""The list of files of an artifact (`files.txt`): one line a file, sorted by path.

Its SHA-256 is the artifact's digest.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

LINE = re.compile(r"([0-7]{4}) ([0-9a-f]{64}|->\S+) (\d+) (.+)")
SAFE = "".join(map(chr, range(33, 127))).replace("%", "")


class Entry(NamedTuple):
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
    for path in entries:
        plain(path)
    return "".join(f"{e.mode} {_escaped(e.content)} {e.size} {e.path}\n" for _, e in sorted(entries.items()))


def plain(path: str) -> None:
    """Raise ValueError for a name that a list of lines cannot carry, or that is not UTF-8."""
    if not path or any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 or letter in "\u2028\u2029" for letter in path):
        raise ValueError(f"the name {path!r} holds a control character or a line break")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name {path!r} is not UTF-8") from None


def _escaped(content: str) -> str:
    """Return content as it stands in a line; a link's target may hold anything but what ends the field."""
    return "->" + quote(content[2:], safe=SAFE) if content.startswith("->") else content


def load(text: str) -> dict[str, Entry]:
    """Return the entries of files.txt by path. Raises ValueError for a line that is none, or a path that leaves."""
    entries: dict[str, Entry] = {}
    for line in text.split("\n")[:-1]:
        found = LINE.fullmatch(line)
        if not found:
            raise ValueError(f"{line[:80]!r} is no line of a list of files")
        mode, content, size, path = found.groups()
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ValueError(f"{path!r} leaves the release")
        entries[path] = Entry(path, mode, unquote(content) if content.startswith("->") else content, int(size))
    links = {path for path, entry in entries.items() if entry.link}
    for path in entries:
        parts = path.split("/")
        if links and not links.isdisjoint("/".join(parts[:depth]) for depth in range(1, len(parts))):
            raise ValueError(f"{path!r} lies below a link")
    return entries


def change(before: str, after: str) -> dict[str, list[str]]:
    """Return how one list of files becomes another: the `lines` that are new, the paths that are `gone`."""
    old, new = set(before.split("\n")[:-1]), after.split("\n")[:-1]
    gone = set(map(_path, old)) - set(map(_path, new))
    return {"lines": [line for line in new if line not in old], "gone": sorted(gone)}


def changed(before: str, how: Mapping[str, Sequence[str]]) -> str:
    """Return the list of files that `before` becomes by a `change`; its digest tells whether it is the right one."""
    lines = {_path(line): line for line in [*before.split("\n")[:-1], *how["lines"]]}
    gone = set(how["gone"])
    return "".join(f"{line}\n" for path, line in sorted(lines.items()) if path not in gone)


def _path(line: str) -> str:
    return line.split(" ", 3)[3]


def digest(text: str) -> str:
    """Return the digest of an artifact from the text of its files.txt."""
    return hashlib.sha256(text.encode()).hexdigest()


def differing(directory: Path, entries: Mapping[str, Entry]) -> list[str]:
    """Return the paths that are not in `directory` as `entries` say: changed, of another mode, or gone."""
    return [path for path, entry in entries.items() if not same(directory / path, entry)]


def added(directory: Path, entries: Mapping[str, Entry], *, but: Collection[str] = ()) -> list[str]:
    """Return the paths in `directory` that are not in `entries`, sorted; `but` names links put in beside them.

    What Python keeps compiled is left out: it is made where code runs, and stale the moment that its source changes.
    """
    found = []
    for place, directories, names in os.walk(directory):
        links = [name for name in directories if os.path.islink(os.path.join(place, name))]
        directories[:] = [name for name in directories if name not in links and name != "__pycache__"]
        below = os.path.relpath(place, directory)
        found += [os.path.normpath(os.path.join(below, name)) for name in [*names, *links]]
    return sorted(path for path in found if path not in entries and path not in but)


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
