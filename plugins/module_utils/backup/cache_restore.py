"""Set `cache` given back: to a server of its own beside everything, or in the place of what serves, which is kept."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil

from ansible_collections.ferryman.ops.plugins.module_utils.backup import files_restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup.cache_take import FILE, require_room, told
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source import Source
from ansible_collections.ferryman.ops.plugins.module_utils.cache import client, contents, scratch, server

LEFT_S = 86400  # one that is left to be looked at ends by itself


class Beside:
    """What is restored beside everything: a file of the server's account, and a server on it."""

    def __init__(self, own: Source, here: server.Server) -> None:
        self.own, self.here, name = own, here, f"{own.name}-restored"
        self.place = f"{scratch.HOME}/{own.name}.restored"
        self.path = f"{self.place}/{FILE}"
        self.server = scratch.Scratch(here.engine, name, f"{scratch.HOME}/{name}")

    def restore(self, record: Record, manifest: Record, say: files_restore.Say) -> None:
        """Write a backup there, and find that a server on it holds what the manifest says."""
        scratch.require_memory(manifest["cache"]["memory_bytes"])
        self.end()
        os.makedirs(self.place, mode=0o700)
        (root,) = manifest["files"]
        files_restore.extract(self.own, record, manifest, {root: self.place}, say)
        os.rename(f"{self.place}{root}/{FILE}", self.path)
        for each in (self.place, self.path):
            shutil.chown(each, self.here.engine.user, self.here.engine.user)
        self.server.start(self.path, LEFT_S)
        wrong = contents.differences(manifest["cache"], self.server.contents())
        if wrong:
            raise Trouble(f"what was restored is not what was taken, take another backup: {'; '.join(wrong)}")

    def end(self) -> None:
        """Take away server and file."""
        self.server.end()
        shutil.rmtree(self.place, ignore_errors=True)


def into(own: Source, record: Record, manifest: Record, directory: str, say: files_restore.Say) -> Record:
    """Leave a server on what was restored; return where it lies, and how to look at it.

    That is the host's one place for it, whatever `directory` says: the server's account has to get there.
    """
    del directory
    with told():
        beside = Beside(own, server.of_host())
        try:
            beside.restore(record, manifest, say)
        except BaseException:
            beside.end()
            raise
    look = f"sudo {beside.here.engine.name}-cli -s {beside.server.socket}"
    return {"into": beside.server.directory, "look": look}


def end(own: Source) -> None:
    """Take away what `into` left."""
    with told():
        Beside(own, server.of_host()).end()


def in_place(own: Source, record: Record, manifest: Record, run: str, say: files_restore.Say) -> Record:
    """Have the cache serve what was restored, and keep aside what it held; return where that lies.

    It is compared beside everything first. Where the server does not start on it, what it held before serves again.
    """
    with told():
        here = server.of_host()
        require_no_log(here)
        beside, new = Beside(own, here), _beside(here, "restored", run)
        for left in glob.glob(_beside(here, "restored", "*")):
            os.unlink(left)
        try:
            beside.restore(record, manifest, say)
            require_room(here.engine.data, os.path.getsize(beside.path))
            shutil.copyfile(beside.path, new)
            shutil.chown(new, here.engine.user, here.engine.user)
        finally:
            beside.end()
        aside = _exchange(here, new, _beside(here, "before", run))
        try:
            here.start()
            require_all(here, contents.total(manifest["cache"]))
        except (client.Trouble, Trouble):
            _back(here, run)
            raise
    return {"aside": aside}


def back(own: Source, run: str) -> list[str]:
    """Have the cache serve what a restore put aside, also where that was killed; return its directory, or nothing."""
    del own
    with told():
        here = server.of_host()
        if not os.path.exists(_beside(here, "before", run)):
            return []
        _back(here, run)
        return [here.engine.data]


def _beside(here: server.Server, what: str, run: str) -> str:
    return f"{here.engine.snapshot}.{what}-{run}"


def _exchange(here: server.Server, new: str, aside: str) -> list[str]:
    """Stop the server, and put a file in the place of its snapshot; return where the one that was there lies now."""
    if here.is_active():
        here.save()  # a disk that is full is seen here, and not while it stops
        here.stop()
    held = os.path.exists(here.engine.snapshot)
    if held:
        os.rename(here.engine.snapshot, aside)
    os.rename(new, here.engine.snapshot)
    return [aside] if held else []


def _back(here: server.Server, run: str) -> None:
    """Let what was put aside serve again; what serves now is kept beside it."""
    if here.is_active():
        here.save()
    here.stop()
    with contextlib.suppress(FileNotFoundError):
        os.rename(here.engine.snapshot, _beside(here, "undone", run))
    with contextlib.suppress(FileNotFoundError):
        os.rename(_beside(here, "before", run), here.engine.snapshot)
    here.start()


def require_no_log(here: server.Server) -> None:
    """Refuse a server that somebody told to write a log of its commands: it would begin with that."""
    if here.is_active():
        with here.client() as asked:
            if asked.info("persistence")["aof_enabled"] != "0":
                raise Trouble(
                    "the cache writes a log of its commands (appendonly), and would begin with that and not with a "
                    "snapshot: `CONFIG SET appendonly no`, then restore"
                )


def require_all(here: server.Server, wanted: int) -> None:
    """Refuse a start that has not read every key of a snapshot; those whose time is over are read, and go."""
    with here.client() as asked:
        told_ = asked.info("persistence")
    found = int(told_["rdb_last_load_keys_loaded"]) + int(told_["rdb_last_load_keys_expired"])
    if found != wanted:
        raise Trouble(
            f"the cache has read {found} keys of {wanted}, so what it held before serves again: take another backup"
        )
