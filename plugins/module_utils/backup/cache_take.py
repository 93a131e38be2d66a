"""Set `cache`: a snapshot that the server takes by itself, found whole, counted, and laid where borg takes it from."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from ansible_collections.ferryman.ops.plugins.module_utils.backup import space
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.cache import client, scratch, server

FILE = "dump.rdb"


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what the cache says into what a backup says."""
    try:
        yield
    except client.Trouble as trouble:
        raise Trouble(str(trouble)) from None


@contextlib.contextmanager
def snapshot(root: str) -> Iterator[Record]:
    """Have a snapshot of this moment in a directory, for as long as it is taken; give what it holds."""
    with told():
        here = server.of_host()
        with here.client() as asked:
            used = int(asked.info("memory")["used_memory"])
        scratch.require_memory(used)
    for place, needed in ((here.engine.data, 2 * used), (os.path.dirname(root), used)):
        require_room(place, needed)
    path = f"{root}/{FILE}"
    try:
        with told():
            here.save()
            os.makedirs(root, mode=0o700, exist_ok=True)
            shutil.copyfile(here.engine.snapshot, path)
            for each in (root, path):
                shutil.chown(each, here.engine.user, here.engine.user)
            yield {"cache": looked(here, path, f"{os.path.basename(root)}-taken", f"{root}.taken")}
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def looked(here: server.Server, path: str, name: str, directory: str) -> Record:
    """Return what a snapshot holds, once the package's own checker and a server have read all of it."""
    server.run([here.engine.checker, path], here.engine.user)
    reader = scratch.Scratch(here.engine, name, directory)
    try:
        reader.start(path)
        return reader.contents()
    finally:
        reader.end()


def require_room(place: str, needed: int) -> None:
    """Refuse before anything is written where so many bytes do not fit."""
    found = os.statvfs(place)
    room = space.Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
    verdict = space.judge(space.need(needed, None), room, 0, place)
    if not verdict.enough:
        raise Trouble(f"{verdict.said}; nothing was begun: make room, and try again")
