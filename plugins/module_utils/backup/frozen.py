"""What an archive holds, as it is at one moment: links to what never changes again, copies of the little rest.

A copy off site may take hours. Whoever writes into the archive is kept out for the seconds that this takes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
import re
import shutil
from collections.abc import Iterator

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup import sealed
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.job import engine
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

DATABASE = "database"
BESIDE = ".offsite"
PATHS = (BESIDE, f"{DATABASE}/{BESIDE}")  # below an archive: two, since what is encrypted is a file system of its own
OF_SETS = ("records", "manifests")
OF_ALL = ("jobs", "drills", "notes", "copies")
# Whoever wrote these writes another file the next time: borg's segments, Barman's base backups, whole files of WAL.
NEVER_CHANGED = re.compile(r"data/\d+/\d+|base/[^/]+/data/.+|wals/[0-9A-F]{16}/.+|streaming/[0-9A-F]{24}")
# Of this moment alone: locks, what is restored, a file of WAL that is being written.
LEFT_OUT = (BESIDE, "scratch", "by-hand", "lock.*", "streaming/*.partial")


@contextlib.contextmanager
def frozen(own: Archive) -> Iterator[list[str]]:
    """Have an archive as it is now in `PATHS` below it; give the ids of the backups that are in it."""
    trees = [f"{own.path}/{path}" for path in PATHS]
    try:
        for tree in trees:
            if os.path.lexists(tree):  # of one that was killed
                shutil.rmtree(tree)
        yield _freeze(own)
    finally:
        for tree in trees:
            shutil.rmtree(tree, ignore_errors=True)


def _freeze(own: Archive) -> list[str]:
    os.mkdir(f"{own.path}/{BESIDE}", 0o700)
    for kind in own.settings["sets"]:
        with undisturbed(own, kind):
            for part in OF_SETS:
                for path in glob.glob(f"{own.path}/{part}/*-{kind}.json"):
                    os.makedirs(f"{own.path}/{BESIDE}/{part}", exist_ok=True)
                    shutil.copy2(path, f"{own.path}/{BESIDE}/{part}/")
            into = f"{own.path}/{PATHS[1]}" if kind == DATABASE else f"{own.path}/{BESIDE}/{kind}"
            mirror(f"{own.path}/{kind}", into)
    for part in OF_ALL:
        if os.path.isdir(f"{own.path}/{part}"):
            mirror(f"{own.path}/{part}", f"{own.path}/{BESIDE}/{part}")
    named = glob.glob(f"{own.path}/{BESIDE}/records/*.json")
    held = {os.path.basename(path)[: -len(".json")] for path in named}
    return [record["id"] for record in own.records() if record["id"] in held and of.is_whole(record)]


@contextlib.contextmanager
def undisturbed(own: Archive, kind: str) -> Iterator[None]:
    """Have nobody write into a set: no backup, no check, no host that sends, no WAL that is archived."""
    with own.alone(kind, wait=True), contextlib.ExitStack() as more:
        if kind == DATABASE:
            sealed.require_open(own)
            more.enter_context(own.alone("wal", wait=True))
        else:
            more.enter_context(engine(own, kind).exclusively())
        yield


def mirror(source: str, into: str) -> None:
    """Have a directory hold what another does, with owners, modes and times, without what is of this moment alone."""
    for directory, names, files in os.walk(source):
        below = os.path.relpath(directory, source)
        names[:] = [name for name in names if not is_left_out(os.path.normpath(f"{below}/{name}"))]
        there = os.path.normpath(f"{into}/{below}")
        os.mkdir(there)
        links = [name for name in names if os.path.islink(f"{directory}/{name}")]
        for name in [*files, *links]:
            path = os.path.normpath(f"{below}/{name}")
            if not is_left_out(path):
                with contextlib.suppress(FileNotFoundError):  # a file of WAL that was whole just now, and has its name
                    _put(f"{source}/{path}", f"{into}/{path}", linked=bool(NEVER_CHANGED.fullmatch(path)))
        _like(directory, there)


def is_left_out(path: str) -> bool:
    """Say whether a path below a set is of this moment alone."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in LEFT_OUT)


def _put(source: str, into: str, *, linked: bool) -> None:
    if not linked:
        shutil.copy2(source, into, follow_symlinks=False)
        _like(source, into)
        return
    try:
        os.link(source, into, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Trouble(
            f"{source} cannot be held for a copy off site ({error.strerror}): a set on a disk of its own, or on one "
            "without hard links: move it to where all of the archive lies"
        ) from None


def _like(source: str, into: str) -> None:
    """Give a file the owner and times of another, and its mode where it is no link."""
    found = os.lstat(source)
    os.chown(into, found.st_uid, found.st_gid, follow_symlinks=False)
    if not os.path.islink(into):
        os.chmod(into, found.st_mode & 0o7777)
        os.utime(into, ns=(found.st_atime_ns, found.st_mtime_ns))
