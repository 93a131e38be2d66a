"""The files of an artifact as a tar: written as they come, and read only where something is wanted.

Python's tarfile takes longer over 2,000 small files than git takes to deliver them, so headers are put together once
and places are reckoned: the members lie in the order of files.txt.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release.files import Entry

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def header(name: str, mode: int, size: int) -> bytes:
    """Return what stands before a file's content; the plain old form wherever the name allows it."""
    member = tarfile.TarInfo(name)
    member.mode, member.size = mode, size
    return member.tobuf(tarfile.USTAR_FORMAT if _plain(name) and size < 1 << 33 else tarfile.PAX_FORMAT)


def member(name: str, mode: int, content: bytes) -> bytes:
    """Return a whole member: header, content, and zeros up to the end of its last block."""
    return header(name, mode, len(content)) + content + bytes(-len(content) % BLOCK)


def pick(tar: Path, entries: Mapping[str, Entry], wanted: set[str]) -> Iterator[bytes]:
    """Yield the members of the `wanted` paths; `entries` are all of files.txt, in its order."""
    place = 0
    with tar.open("rb") as stream:
        for path, entry in entries.items():
            if entry.link:
                continue
            name = f"app/{path}"
            long = 0 if _plain(name) and entry.size < 1 << 33 else len(header(name, 0, entry.size)) - BLOCK
            length = BLOCK + long + entry.size + -entry.size % BLOCK
            if path in wanted:
                stream.seek(place)
                found = stream.read(length)
                if len(found) != length or not found.startswith(header(name, int(entry.mode, 8), entry.size)):
                    raise AnsibleError(
                        f"{tar} is damaged at {path}: remove its directory, and the artifact is built anew"
                    )
                yield found
            place += length


def _plain(name: str) -> bool:
    return len(name) <= tarfile.LENGTH_NAME and name.isascii()
