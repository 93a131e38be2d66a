"""What a directory holds, exchanged for something else by renames: the directory itself stays, and what runs in it.

Whoever has it mounted for itself (a service with `ReadWritePaths=`) goes on with the new content.
"""

from __future__ import annotations

import os
import shutil

from ansible_collections.ferryman.ops.plugins.module_utils.backup import tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

NEW, ASIDE, UNDONE = "restored", "before", "undone"
PART = ".part"  # what has not all been put aside yet


def beside(root: str, what: str, run: str) -> str:
    """Return where something waits: in the directory itself, so on its disk, by a name that no backup takes."""
    return os.path.join(root, f"{tree.OWN}{what}-{run}")


def require_one_disk(root: str) -> None:
    """Refuse a directory that holds others' disks: they can't be exchanged by renames."""
    mounts = [path for path, found in tree.walk(root) if path != root and os.path.ismount(path) and found]
    if mounts:
        raise Trouble(f"{', '.join(mounts)} is a disk of its own: restore elsewhere (`--into`), and copy what you want")


def swap(root: str, run: str, left_out: list[str]) -> None:
    """Put aside all that a directory holds, but what is left out of its backups, and what was restored in its place."""
    aside, new = beside(root, ASIDE, run), beside(root, NEW, run) + root
    _directory(aside + PART, root)
    move(root, aside + PART, left_out, tree.OWN)
    os.rename(aside + PART, aside)  # from here on, what lies in the directory is new
    move(new, root, left_out)
    _like(root, new)


def unswap(root: str, run: str, left_out: list[str]) -> bool:
    """Put back what lies aside, and aside what is there now; return whether there was anything to put back.

    It may have been begun before, as the exchange may: whoever was killed in the middle is gone back from.
    """
    aside, undone = beside(root, ASIDE, run), beside(root, UNDONE, run)
    if os.path.isdir(aside + PART):  # nothing that was restored is in place yet
        aside += PART
    elif os.path.isdir(aside):
        _directory(undone, root)
        move(root, undone, left_out, tree.OWN)
        os.rename(aside, aside + PART)
        aside += PART
    else:
        return False
    move(aside, root, [])
    _like(root, aside)
    for path, _, _ in os.walk(aside, topdown=False):
        os.rmdir(path)
    shutil.rmtree(beside(root, NEW, run), ignore_errors=True)
    return True


def unfinished(root: str) -> list[str]:
    """Return the runs whose exchange of a directory was ended in the middle."""
    names = os.listdir(root) if os.path.isdir(root) else []
    aside, new = f"{tree.OWN}{ASIDE}-", f"{tree.OWN}{NEW}-"
    parts = {name[len(aside) : -len(PART)] for name in names if name.startswith(aside) and name.endswith(PART)}
    begun = {name[len(new) :] for name in names if name.startswith(new)}
    return sorted(parts | {run for run in begun if f"{aside}{run}" in names})


def move(source: str, target: str, left_out: list[str], own: str = "") -> None:
    """Move all that a directory holds into another, but what is left out; whole directories where that goes."""
    is_left_out = tree.left_out_by(left_out)
    for name in sorted(os.listdir(source)):
        here, there = os.path.join(source, name), os.path.join(target, name)
        if (own and name.startswith(own)) or is_left_out(here):
            continue
        is_directory = os.path.isdir(here) and not os.path.islink(here)
        if is_directory and (os.path.isdir(there) or _holds(here, left_out)):
            _directory(there, here)
            move(here, there, left_out)
        else:
            os.rename(here, there)


def _holds(directory: str, left_out: list[str]) -> bool:
    is_left_out = tree.left_out_by(left_out)
    return bool(left_out) and any(
        is_left_out(os.path.join(parent, name))
        for parent, directories, files in os.walk(directory)
        for name in (*directories, *files)
    )


def _directory(path: str, like: str) -> None:
    """Have a directory with the owner, mode and times of another."""
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)
        _like(path, like)


def _like(path: str, other: str) -> None:
    found = os.stat(other)
    os.chown(path, found.st_uid, found.st_gid)
    shutil.copystat(other, path)
