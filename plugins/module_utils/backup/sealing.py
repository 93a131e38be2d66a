"""Having the database's archive encrypted: from nothing, over an old disk, or with all that lies there in clear."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, sealed, space
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

DEVICE = "/dev/fuse"
UNITS = "/etc/systemd/system"
OPEN_S = 30
LEAST = 20  # characters, as of the passphrase of files
MOVED = 24  # rsync: some files vanished while it was at work
RIGHT = "the right one is on the paper copy of the keys, and was given at its last setup"


class NotOpening(Trouble):
    """A passphrase that is not the one of what is there."""


class Sealing:
    """One run: what was wished (name, path, passphrase, keep_free_bytes, unit), and what was different."""

    def __init__(self, wished: dict[str, Any], placing: Placing) -> None:
        self.wished, self.placing = wished, placing
        self.place = sealed.Place(wished["name"], os.path.join(wished["path"], wished["name"]))
        self.clear = f"{self.place.inside}.clear"  # what lay there, from the exchange until it is removed
        self.stream = f"ferryman-backup-{wished['name']}-wal.service"
        self.archiving = f"ferryman-backup-{wished['name']}-archive"

    def require(self) -> None:
        """Refuse, before anything is written, what would not open or not fit."""
        if len(self.wished["passphrase"]) < LEAST:
            raise Trouble(
                f"backup_database_passphrase: give it at least {LEAST} characters, since whoever takes the disk away "
                "may guess for years"
            )
        if not os.path.exists(DEVICE):
            raise Trouble(
                f"this host has no {DEVICE}, and backup_database_passphrase wants it: load the kernel's module `fuse`, "
                "or make the container anew with that device; without the passphrase the archive lies in clear"
            )
        self._require_opening()
        if self._lies_in_clear():
            self._require_moving()

    def run(self) -> None:
        """Bring all of it to its state; whoever calls this has called `require`."""
        for path in (archive.SETTINGS, self.wished["path"], self.place.home):
            self.placing.directory(path)
        self.placing.file(self.place.secret, f"{self.wished['passphrase']}\n", 0o600)
        unit = f"{UNITS}/{self.place.unit}"
        if self.placing.file(unit, self.wished["unit"]) and not self.placing.pretend:
            _systemctl("daemon-reload")
        if not os.path.exists(self.place.config):
            self._make()
        if not self.place.is_open():
            self.placing.paths.append(self.place.inside)
            if not self.placing.pretend:
                self._open_or_move()
        self._forget()

    # Refusals

    def _require_opening(self) -> None:
        config = self.place.config
        if not os.path.exists(config):
            if os.path.isdir(self.place.kept):
                raise Trouble(f"{config} is gone: put back a copy of it, or take the master key of the paper")
            return
        if self.placing.pretend and not os.path.exists(sealed.READER):
            return  # it will be asked once that is installed
        if not sealed.master_key(config, self.wished["passphrase"]):
            raise NotOpening(
                f"backup_database_passphrase does not open {self.place.kept}, so nothing was written: {RIGHT}"
            )

    def _lies_in_clear(self) -> bool:
        there = self.place.inside
        return not self.place.is_open() and os.path.isdir(there) and bool(os.listdir(there))

    def _require_moving(self) -> None:
        """Refuse what could not be copied into the encrypted place beside what lies in clear."""
        if os.path.ismount(self.place.inside):
            raise Trouble(
                f"{self.place.inside} is a disk of its own: mount that at {self.place.home}, with what lies in it "
                "below `database`; then try again"
            )
        left = f"{self.place.home}/scratch/restore"
        if os.path.isdir(left):
            raise Trouble(f"{left} holds a restore in clear: `backup.restore --end` takes it away; then try again")
        needed = space.need(bytes_below(self.place.inside) - bytes_below(self.place.kept), None)
        found = os.statvfs(self.place.home)
        room = space.Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
        verdict = space.judge(max(0, needed), room, self.wished["keep_free_bytes"], self.place.home)
        if not verdict.enough:
            raise Trouble(
                f"{verdict.said}; what lies in clear is copied before it is removed, and nothing was touched: make "
                "room, or go without backup_database_passphrase until older backups are pruned"
            )

    # Acts

    def _make(self) -> None:
        """Make it beside its place, so that a kill leaves a whole one there or none."""
        self.placing.paths.append(self.place.kept)
        if self.placing.pretend:
            return
        beside = f"{self.place.kept}.new"
        shutil.rmtree(beside, ignore_errors=True)
        os.mkdir(beside, 0o700)
        archive.run([sealed.PROGRAM, *sealed.INIT, "-passfile", self.place.secret, beside], user="root")
        for path in (beside, f"{beside}/{os.path.basename(self.place.config)}"):
            shutil.chown(path, archive.USER, archive.USER)
        os.rename(beside, self.place.kept)

    def _open_or_move(self) -> None:
        if not self._lies_in_clear():
            self._open()
            return
        with contextlib.ExitStack() as locks:
            for kind in ("database", "scratch", "drill"):
                locks.enter_context(archive.alone(self.wished["name"], kind))
            self._move()

    def _open(self) -> None:
        if self.place.is_mounted():
            release(self.place.inside)  # of one that was killed
        _systemctl("restart", self.place.unit)
        if not self.place.is_open():
            raise Trouble(f"{self.place.kept} did not open: `journalctl -u {self.place.unit}` says why")

    def _move(self) -> None:
        """Copy what lies in clear while all goes on, then stop the stream for what is new, and exchange the two."""
        aside = f"{self.place.inside}.opened"
        running = [unit for unit in (self.stream, f"{self.archiving}.timer") if _is_active(unit)]
        try:
            with shown(self.place, aside):
                copy(self.place.inside, aside, moving=True)
                copy(self.place.inside, aside, "--checksum", moving=True)
                _systemctl("stop", self.stream, f"{self.archiving}.timer", f"{self.archiving}.service")
                copy(self.place.inside, aside)
            os.sync()
            self._exchange()
        finally:
            if running:
                _systemctl("start", *running)

    def _exchange(self) -> None:
        """Have what is encrypted in the place of what lies in clear, or leave that where it is."""
        os.rename(self.place.inside, self.clear)
        try:
            self._open()
        except (Trouble, OSError):
            os.rmdir(self.place.inside)
            os.rename(self.clear, self.place.inside)
            raise

    def _forget(self) -> None:
        """Leave nothing of it in clear: what was copied, and what was streamed of histories that were left."""
        strayed = glob.glob(f"{self.place.home}/barman/streamed-*")
        for path in [*strayed, *glob.glob(glob.escape(self.clear))]:
            self.placing.paths.append(path)
            if self.placing.pretend:
                continue
            if path in strayed:
                shutil.copytree(path, f"{self.place.inside}/{os.path.basename(path)}", dirs_exist_ok=True)
                os.sync()
            shutil.rmtree(path)


@contextlib.contextmanager
def shown(place: sealed.Place, at: str) -> Iterator[None]:
    """Show what is encrypted at another place for a while."""
    release(at)  # of a run that was killed
    os.chmod(DEVICE, 0o666)  # noqa: S103 -- as udev has it, which no container has
    os.makedirs(at, mode=0o700, exist_ok=True)
    shutil.chown(at, archive.USER, archive.USER)
    words = ["runuser", "-u", archive.USER, "--", sealed.PROGRAM, "-fg", *sealed.OPEN, place.kept, at]
    with open(place.secret, "rb") as secret:  # it reads the passphrase from there
        showing = subprocess.Popen(words, stdin=secret, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    until = time.monotonic() + OPEN_S
    try:
        while not os.path.ismount(at):
            if showing.poll() is not None or time.monotonic() > until:
                raise Trouble(
                    f"{place.kept} does not open at {at} (gocryptfs ended with {showing.poll()}); what lies in clear "
                    "was not touched: look at `journalctl -t gocryptfs`, then try again"
                )
            time.sleep(0.05)
        yield
    finally:
        release(at)
        if showing.poll() is None:
            showing.terminate()
        showing.wait()
        os.rmdir(at)


def release(at: str) -> None:
    """Show nothing at a place any more; nothing may be shown there."""
    subprocess.run(["umount", "--lazy", at], stderr=subprocess.DEVNULL, check=False)


def copy(there: str, into: str, *more: str, moving: bool = False) -> None:
    """Have one directory hold what the other does; while files are `moving`, those that vanish are no matter."""
    words = ["rsync", "--archive", "--no-owner", "--no-group", "--hard-links", "--delete"]  # all of it is one account's
    words += [*more, f"{there}/", f"{into}/"]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode and not (moving and done.returncode == MOVED):
        said = " ".join(done.stderr.splitlines()[-2:])
        raise Trouble(
            f"{there} could not be copied into {into}: {said}; what lies in clear was not touched: mend that, then "
            "try again"
        )


def bytes_below(path: str) -> int:
    """Return the bytes of all files below a directory; nothing where there is none, or a file goes meanwhile."""
    count = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                count += os.lstat(os.path.join(place, name)).st_size
    return count


def _systemctl(*words: str) -> None:
    archive.run(["systemctl", *words], user="root")


def _is_active(unit: str) -> bool:
    return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0
