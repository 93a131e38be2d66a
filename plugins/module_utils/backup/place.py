"""Putting a restored cluster in the place of the one that serves: the way in, the exchange, and the way back.

Runs on the database's host. What is put in place has run already, elsewhere, and was found whole; here directories
change their names. What served before stays beside it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_server
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, renames, space
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

OWNER = "postgres"
WAY_IN_S = 6 * 3600  # a key that nobody takes back works no longer, but for as long as what it brings may take
SLOW = 5 * 10**6  # bytes a second of slow disks and networks, by which that is reckoned
START_S = 600
RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
OF_A_RECOVERY = ("backup_label", "recovery.signal", "standby.signal")  # a cluster that was stopped in order has none
HOST_KEYS = "/etc/ssh/ssh_host_*_key.pub"


class Place:
    """The cluster on a port, and what lies beside its directory."""

    def __init__(self, port: int, name: str) -> None:
        if not RUN.fullmatch(name):
            raise Trouble(f"{name!r} is no name of a restore: take that of a job")
        self.name = name
        try:
            self.server = postgresql_server.Server(postgresql_server.find(port))
        except postgresql_server.Trouble as trouble:
            raise Trouble(f"{trouble}") from None
        self.data = self.server.cluster.data
        self.incoming, self.before = f"{self.data}.restored-{name}", f"{self.data}.before-{name}"
        self.coming, self.mark = f"{self.data}.coming", f"{self.data}.exchange.json"
        self.keys = os.path.join(pwd.getpwnam(OWNER).pw_dir, ".ssh", "authorized_keys")

    # The way in

    def open(self, public_key: str, needed: int, keep_free: int) -> dict[str, Any]:
        """Let one key in for a while, where there is room for what it brings; return where to, and this host's keys.

        What an earlier restore of this cluster left that was killed goes first: its key, and what came by it.
        """
        self.settle()
        if is_mounted(self.data):
            raise Trouble(f"{self.data} is a disk of its own and cannot be exchanged by renames; nothing was touched: "
                          "put the cluster into a directory of that disk")  # fmt: skip
        for left in glob.glob(f"{self.data}.restored-*"):
            if left != self.incoming:
                self._forget(left)
        beside = os.path.dirname(self.data)
        os.makedirs(beside, exist_ok=True)  # a disk that was lost took it along
        found = os.statvfs(beside)
        room = space.Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
        verdict = space.judge(needed, room, keep_free, beside)
        if not verdict.enough:
            raise Trouble(f"{verdict.said}; nothing was touched: make room on the database's host")
        for path in (self.incoming, os.path.dirname(self.keys)):
            os.makedirs(path, mode=0o700, exist_ok=True)
            shutil.chown(path, OWNER, OWNER)
        until = time.strftime("%Y%m%d%H%M", time.localtime(time.time() + WAY_IN_S + needed / SLOW))
        self._write([*self._lines(self.name), f'restrict,expiry-time="{until}" {public_key} {self._mark(self.name)}'])
        return {"into": self.incoming, "host_keys": host_keys(), "takes": shutil.which("rsync") is not None}

    def close(self, *, everything: bool = False) -> None:
        """Take the key back; with `everything` what came by it, too."""
        if everything:
            self._forget(self.incoming)
        elif os.path.exists(self.keys):
            self._write(self._lines(self.name))

    def _forget(self, incoming: str) -> None:
        """Take back the key of a restore, and what came by it to `incoming`."""
        if os.path.exists(self.keys):
            self._write(self._lines(incoming.rpartition(".restored-")[2]))
        shutil.rmtree(incoming, ignore_errors=True)

    def _mark(self, name: str) -> str:
        return f"ferryman-restore-{name}"

    def _lines(self, but: str) -> list[str]:
        """Return the lines of the file of keys, but for the key of one restore."""
        try:
            with open(self.keys, encoding="utf-8") as file:
                return [line for line in file.read().splitlines() if not line.endswith(f" {self._mark(but)}")]
        except FileNotFoundError:
            return []

    def _write(self, lines: list[str]) -> None:
        with open(os.open(self.keys, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        shutil.chown(self.keys, OWNER, OWNER)

    # The exchange

    def switch(self) -> dict[str, Any]:
        """Serve from what came; where it does not start, from what served before, again. Return where that lies now:
        nowhere where the disk with it was lost."""
        self.settle()
        if not os.path.exists(f"{self.incoming}/PG_VERSION"):
            raise Trouble(f"{self.incoming} holds no cluster: take the restore again (`backup.restore`)")
        left = [name for name in OF_A_RECOVERY if os.path.lexists(f"{self.incoming}/{name}")]
        if left:
            raise Trouble(f"{self.incoming} is not what was found whole, {', '.join(left)} should have gone; nothing "
                          "was touched: take the restore again (`backup.restore`)")  # fmt: skip
        # It was stopped in order, so that PostgreSQL takes all of it to be on the disk already.
        postgresql_server.run(["sync", "--file-system", self.incoming])
        return {"aside": self._exchange(self.incoming, self.before)}

    def back(self) -> dict[str, Any]:
        """Serve from what served before the last restore; return where the restored one lies now.

        A way back that was ended in the middle is brought to its end, and not begun once more, which would be another.
        """
        was = self.settle()
        if was.get("in_place") and ".before-" in os.path.basename(was["from"]):
            self._start()
            return {"aside": was["aside"]}
        kept = sorted(glob.glob(f"{self.data}.before-*"))
        if not kept:
            raise Trouble(f"nothing lies beside {self.data}: no restore was put in place here (`backup.restore` does)")
        return {"aside": self._exchange(kept[-1], kept[-1].replace(".before-", ".undone-"))}

    def _exchange(self, new: str, aside: str) -> str:
        """Serve from `new`; return where what served before lies now, `aside`, or nothing where it was lost.

        The directory is there at every moment, as the old one or the new, where its disk can exchange two names in one
        act: who loses power in the middle serves from the one or the other after it, and `settle` names both then.
        """
        lost = not os.path.lexists(self.data)
        told = {"from": new, "aside": aside, "inode": os.stat(new).st_ino}
        archive.replace(self.mark, json.dumps(told), 0o600)
        _flush(self.mark)
        try:
            os.rename(new, self.coming)
            postgresql_server.run(["systemctl", "stop", self.server.cluster.unit])
            self._take_names(aside)
        except (OSError, postgresql_server.Trouble) as error:
            self.settle()
            raise Trouble(f"the two could not be exchanged, {self._again(lost=lost)}: {error}; mend that and try again "
                          "(`backup.restore`)") from None  # fmt: skip
        try:
            _flush(self.data)
            self._start()
        except (OSError, postgresql_server.Trouble) as trouble:
            with contextlib.suppress(postgresql_server.Trouble):
                postgresql_server.run(["systemctl", "stop", self.server.cluster.unit])
            self._give_back(aside, lost=lost)
            raise Trouble(f"it did not start, {self._again(lost=lost)}: {trouble}; try again, or take another backup "
                          "(`backup.list`)") from None  # fmt: skip
        self.settle()
        return "" if lost else aside

    def _take_names(self, aside: str) -> None:
        """Have what comes and what serves take each other's names; where nothing serves, or a disk can't, by turns."""
        if not os.path.lexists(self.data):
            os.rename(self.coming, self.data)
        elif not renames.exchange(self.coming, self.data):
            os.rename(self.data, aside)
            os.rename(self.coming, self.data)

    def _give_back(self, aside: str, *, lost: bool) -> None:
        """Have both be called as before."""
        if lost:
            os.rename(self.data, self.coming)
        elif not (os.path.lexists(self.coming) and renames.exchange(self.coming, self.data)):
            os.rename(self.data, self.coming)
            os.rename(aside, self.data)
        self.settle()

    def _again(self, *, lost: bool) -> str:
        """Serve from what served before, and say whether it does."""
        if lost:
            return "and nothing was there before"
        try:
            self.server.start()
        except postgresql_server.Trouble as trouble:
            return f"what was there before is in its place again and does not start either ({trouble})"
        return "what served before serves again"

    def settle(self) -> dict[str, Any]:
        """Give both directories of an exchange their names, also of one that was ended in the middle.

        Return what it had written down, with whether what came is `in_place`; nothing where there was no exchange.
        """
        told = _written_down(self.mark)
        if not told:
            return {}
        in_place = os.path.lexists(self.data) and os.stat(self.data).st_ino == told["inode"]
        if not os.path.lexists(self.data) and os.path.lexists(told["aside"]):
            os.rename(told["aside"], self.data)
        if os.path.lexists(self.coming):
            os.rename(self.coming, told["aside"] if in_place else told["from"])
        _flush(self.data)
        os.unlink(self.mark)
        return {**told, "in_place": in_place}

    def _start(self) -> None:
        self.server.start()
        until = time.monotonic() + START_S
        while self.server.sql("select pg_is_in_recovery();").strip() != "f":
            if time.monotonic() > until:
                raise postgresql_server.Trouble(f"it still recovers after {START_S} s: look at its log")
            time.sleep(0.2)


def is_mounted(path: str) -> bool:
    """Say whether something is mounted at a path, be it another directory of the same disk."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounted = {line.split()[4].replace("\\040", " ") for line in file}
    return os.path.realpath(path) in mounted


def _flush(path: str) -> None:
    """Have the name of a path be on the disk, whatever it stands for now."""
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _written_down(path: str) -> dict[str, Any]:
    """Return what an exchange wrote down; nothing where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def host_keys() -> list[str]:
    """Return the public keys by which this host is known to who logs in."""
    known = []
    for path in sorted(glob.glob(HOST_KEYS)):
        with open(path, encoding="ascii") as file:
            known.append(" ".join(file.read().split()[:2]))
    return known
