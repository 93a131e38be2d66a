"""Trees of files: what they hold, by what one can tell that a file is as it was, and how that reads in an archive."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple
from urllib.parse import quote

from ansible_collections.ferryman.ops.plugins.module_utils.backup import manifest as compared
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

SAFE = "".join(map(chr, range(33, 127))).replace("%", "")
BLOCK = 2**20
OWN = ".ferryman-"  # what a restore puts beside people's files
# A file that changed within this time before it was read may change again without showing it: a kernel's clock for
# files goes on in steps (of up to 10 ms), some file systems' in seconds.
GRAIN_NS = 2 * 10**9


class Held(NamedTuple):
    """One file, link or directory: `mode` in octal digits, `content` its SHA-256, `->target`, or `/` of a directory."""

    mode: str
    content: str
    size: int


class Seen(NamedTuple):
    """A file that was read: what it held, its stamp before, and when that reading began (ns since 1970).

    Flat, since there are hundreds of thousands of them, which are made anew before each backup.
    """

    mode: str
    content: str
    size: int
    changed_ns: int
    length: int
    inode: int
    at_ns: int

    @property
    def held(self) -> Held:
        """What it held."""
        return Held(self.mode, self.content, self.size)


def left_out_by(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return what says whether a path is one of those that no backup takes (shell patterns over whole paths)."""
    listed = [fnmatch.translate(pattern) for pattern in patterns]
    matching = re.compile("|".join(listed)).match if listed else lambda path: None
    return lambda path: matching(path) is not None


def walk(root: str, left_out: Iterable[str] = ()) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file, link and directory below a directory, and itself, in order; links are not followed.

    Sockets, pipes and devices hold nothing that can be given back, and what a restore put aside in it is old.
    """
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(root)
        yield root, found
        if stat.S_ISDIR(found.st_mode):
            names = [name for name in os.listdir(root) if not name.startswith(OWN)]
            yield from _walk(root, names, left_out_by(left_out))


def _walk(directory: str, names: list[str], is_left_out: Callable[[str], bool]) -> Iterator[tuple[str, os.stat_result]]:
    start = directory.rstrip("/") + "/"
    for name in sorted(names):
        path = start + name
        if is_left_out(path):
            continue
        try:
            found = os.lstat(path)
            below = os.listdir(path) if stat.S_ISDIR(found.st_mode) else None
        except FileNotFoundError:
            continue  # it went while others were looked at
        if below is not None:
            yield path, found
            yield from _walk(path, below, is_left_out)
        elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            yield path, found


def stamp(found: os.stat_result) -> tuple[int, int, int]:
    """Return by what a file is known to be untouched, as borg does: whoever changes it changes the first."""
    return (found.st_ctime_ns, found.st_size, found.st_ino)


def is_settled(seen: Seen, after: tuple[int, int, int] | None) -> bool:
    """Return whether a file that was read, and has the stamp `after` later, held the same all the time between."""
    return after == seen[3:6] and seen.changed_ns + GRAIN_NS < seen.at_ns


def read(path: str, found: os.stat_result) -> Held:
    """Return what a file, link or directory holds."""
    mode = f"{stat.S_IMODE(found.st_mode):04o}"
    if stat.S_ISDIR(found.st_mode):
        return Held(mode, "/", 0)
    if stat.S_ISLNK(found.st_mode):
        return Held("0777", f"->{os.readlink(path)}", 0)
    with open(path, "rb") as file:
        return Held(mode, *digest(file))


def digest(file: IO[bytes]) -> tuple[str, int]:
    """Return SHA-256 and size of what is left in a file."""
    counted, size = hashlib.sha256(), 0
    while block := file.read(BLOCK):
        counted.update(block)
        size += len(block)
    return counted.hexdigest(), size


def archived(stream: IO[bytes]) -> Iterator[tuple[str, Held]]:
    """Yield the absolute path and content of every member of a tar stream."""
    contents: dict[str, tuple[str, int]] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                path, mode = "/" + member.name.strip("/"), f"{member.mode & 0o7777:04o}"
                if member.isdir():
                    yield path, Held(mode, "/", 0)
                elif member.issym():
                    yield path, Held("0777", f"->{member.linkname}", 0)
                elif member.islnk():
                    yield path, Held(mode, *contents["/" + member.linkname.strip("/")])
                elif member.isreg():
                    file = tar.extractfile(member)
                    contents[path] = digest(file) if file else ("", 0)
                    yield path, Held(mode, *contents[path])
        while stream.read(BLOCK):  # padding behind the end; who writes it must not find the pipe closed
            pass
    except (tarfile.TarError, KeyError) as error:
        raise Trouble(f"what the archive gave cannot be read: {error}") from None


def line(path: str, held: Held) -> str:
    """Return the line of a list of files (decision 1) for a path within its directory."""
    content = "->" + _escaped(held.content[2:]) if held.content.startswith("->") else held.content
    return f"{held.mode} {content} {held.size} {_escaped(path)}\n"


def _escaped(text: str) -> str:
    """Return text in printable ASCII, spaces too: people's files have any bytes in their names."""
    return quote(os.fsencode(text), safe=SAFE)


def total(root: str, held: Iterable[tuple[str, Held]]) -> dict[str, Any]:
    """Return what a manifest says of a directory: files (links too), bytes, hash; `held` has absolute paths in it."""
    start = len(root.rstrip("/")) + 1
    listed = sorted((path[start:] or ".", each) for path, each in held)
    lines = hashlib.sha256()
    for path, each in listed:
        lines.update(line(path, each).encode())
    files = [each for _, each in listed if each.content != "/"]
    return {"files": len(files), "bytes": sum(each.size for each in files), "hash": lines.hexdigest()}


def totals(roots: list[str], held: Iterable[tuple[str, Held]]) -> dict[str, dict[str, Any]]:
    """Return the totals of several directories, none of which lies in another; what lies in none is Trouble."""
    sorted_in: dict[str, list[tuple[str, Held]]] = {root: [] for root in roots}
    starts = [(root, root.rstrip("/") + "/") for root in roots]
    for path, each in held:
        for root, start in starts:
            if path.startswith(start) or path == root:
                sorted_in[root].append((path, each))
                break
        else:
            raise Trouble(f"{path} lies in none of {', '.join(roots)}: take another backup")
    return {root: total(root, found) for root, found in sorted_in.items()}


def below(places: dict[str, str]) -> Iterator[tuple[str, Held]]:
    """Yield what lies in some directories now, by the paths that it had: `places` says where each lies."""
    for root, place in places.items():
        if os.path.isdir(place):
            for path, found in walk(place):
                yield root + path[len(place) :], read(path, found)


def differences(manifest: Record, places: dict[str, str]) -> list[str]:
    """Return what is not as a manifest has it, in sentences; `places` says where each of its directories lies."""
    roots = [root for root, place in places.items() if os.path.isdir(place)]
    there = totals(roots, below(places))
    return [str(each) for each in compared.compare({"files": manifest["files"]}, {"files": there})]


def astray(items: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return what would not stay below the directory it is written to, in sentences.

    `items` are those of an archive as borg lists them: type (`-`, `d`, `l` of a link ...), path, and of a second name
    of a file the first. Who sends an archive chooses them, and borg writes through a link that lies in it.
    """
    listed = list(items)
    links = {path for kind, path, _ in listed if kind == "l"}
    plain = {path for kind, path, _ in listed if kind == "-"}
    found = []
    for kind, path, first in listed:
        parts = path.split("/")
        above = {"/".join(parts[:end]) for end in range(1, len(parts))}
        if path.startswith("/") or ".." in parts or os.path.normpath(path) != path:
            found.append(f"{path} leads out, or is written in another way than it lies")
        elif above & links:
            found.append(f"{path} lies behind the link {min(above & links)}")
        elif kind == "-" and first and first not in plain:
            found.append(f"{path} is another name of {first}, which is no file in it")
    return found


def overlapping(roots: list[str]) -> list[str]:
    """Return a sentence for each directory that lies in another, or is none that can be restored alone."""
    wrong = [f"{root} is no absolute path" for root in roots if os.path.normpath(root) != root or root[:1] != "/"]
    wrong += [f"{root} is the whole system" for root in roots if root == "/"]
    wrong += [f"{a} lies in {b}" for a in roots for b in roots if a != b and a.startswith(b.rstrip("/") + "/")]
    return wrong + [f"{root} is named twice" for root in sorted(set(roots)) if roots.count(root) > 1]
