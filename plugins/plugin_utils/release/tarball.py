"""The files of an artifact as a tar: written as they come, and read only where something is wanted.

Python's tarfile takes longer over 2,000 small files than git takes to deliver them, so headers are put together once
and places are reckoned: the members lie in the order of files.txt.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release.files import Entry

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
LARGE = 1 << 33  # bytes; from here on the old form has no room for a size
MUCH = 1 << 24  # bytes in memory at once


def header(name: str, mode: int, size: int) -> bytes:
    """Return what stands before a file's content; the plain old form wherever the name allows it."""
    member = tarfile.TarInfo(name)
    member.mode, member.size = mode, size
    return member.tobuf(tarfile.USTAR_FORMAT if _plain(name) and size < LARGE else tarfile.PAX_FORMAT)


def member(name: str, mode: int, content: bytes) -> bytes:
    """Return a whole member: header, content, and zeros up to the end of its last block."""
    return header(name, mode, len(content)) + content + bytes(-len(content) % BLOCK)


def pick(tar: Path, entries: Mapping[str, Entry], wanted: set[str]) -> Iterator[bytes]:
    """Yield the members of the `wanted` paths; `entries` are all of files.txt, in its order."""
    with tar.open("rb") as stream:
        for path, (place, length) in _places(entries).items():
            if path not in wanted:
                continue
            entry = entries[path]
            stream.seek(place)
            found = stream.read(length)
            if len(found) != length or not found.startswith(header(f"app/{path}", int(entry.mode, 8), entry.size)):
                raise AnsibleError(f"{tar} is damaged at {path}: remove its directory, and the artifact is built anew")
            yield found


def merge(target: Path, entries: Mapping[str, Entry], sources: Mapping[Path, Mapping[str, Entry]]) -> None:
    """Write the files of `entries` to `target`, each from one of `sources` (tar -> what is in it) that has it so."""
    found = {
        path: (tar, *place)
        for tar, members in sources.items()
        for path, place in _places(members).items()
        if entries.get(path) == members[path]
    }
    with ExitStack() as opened, target.open("wb") as out:
        streams = {tar: opened.enter_context(tar.open("rb")) for tar in sources}
        for tar, start, length in _runs(found[path] for path, entry in entries.items() if not entry.link):
            streams[tar].seek(start)
            out.write(streams[tar].read(length))
        out.write(END)


def _places(entries: Mapping[str, Entry]) -> dict[str, tuple[int, int]]:
    """Return where each file's member begins in a tar of just these entries, and how long it is."""
    places, place = {}, 0
    for path, entry in entries.items():
        if entry.link:
            continue
        name = f"app/{path}"
        before = BLOCK if _plain(name) and entry.size < LARGE else len(header(name, 0, entry.size))
        length = before + entry.size + -entry.size % BLOCK
        places[path] = (place, length)
        place += length
    return places


def _runs(pieces: Iterable[tuple[Path, int, int]]) -> Iterator[tuple[Path, int, int]]:
    """Join pieces of one file that follow each other: most of a tree is taken over in a few reads."""
    now: tuple[Path, int, int] | None = None
    for tar, start, length in pieces:
        if now and now[0] == tar and now[1] + now[2] == start and now[2] < MUCH:
            now = (tar, now[1], now[2] + length)
            continue
        if now:
            yield now
        now = (tar, start, length)
    if now:
        yield now


def _plain(name: str) -> bool:
    return len(name) <= tarfile.LENGTH_NAME and name.isascii()
