"""An archive on its host: settings, catalogue, locks, and programs run as who owns it."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.space import Room

SETTINGS = "/etc/ferryman/backup"
METRICS = "/var/lib/ferryman/metrics"
BARMAN = "/usr/local/lib/ferryman/barman"
REQUIREMENTS = f"{BARMAN}/requirements.txt"
PROGRAM = "/usr/local/lib/ferryman/backup"
USER = "barman"
AROUND = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}  # a program's environment
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def run(words: list[str], text: str = "", user: str = USER, environment: Mapping[str, str] | None = None) -> str:
    """Run a program as the owner of the archive; return what it printed, or raise with its last words."""
    settings = {**AROUND, **(environment or {})}
    argv = words if user == "root" else ["runuser", "-u", user, "--", *words]
    done = subprocess.run(argv, input=text, text=True, capture_output=True, cwd="/", env=settings, check=False)
    if done.returncode:
        said = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
        name = os.path.basename(words[0])
        raise Trouble(f"{name} ended with {done.returncode}: {' '.join(said[-4:]) or 'it said nothing'}")
    return done.stdout


def files(name: str) -> str:
    """Return the path of what an archive knows of the files that others give it."""
    return f"{SETTINGS}/{name}.files.json"


def givers(told: Record) -> dict[str, list[str]]:
    """Return the sets by the host that gives them, of a file from when there was one host, too."""
    return dict(told["hosts"]) if "hosts" in told else {told["host"]: told["sets"]}


class Archive:
    """The archive of an environment; `settings` are those of its file (role backup writes it)."""

    def __init__(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise Trouble(f"{name!r} is no name of an archive: take that of an environment")
        self.name = name
        try:
            with open(f"{SETTINGS}/{name}.json", encoding="utf-8") as file:
                self.settings = of.read(file.read(), file.name)
        except FileNotFoundError:
            raise Trouble(f"this host keeps no archive {name!r}: provision it (group `backup`)") from None
        self.path = os.path.join(self.settings["path"], name)
        with contextlib.suppress(FileNotFoundError), open(files(name), encoding="utf-8") as file:
            for given in givers(of.read(file.read(), file.name)).values():
                self.settings["sets"] += given

    # The catalogue

    def records(self) -> list[Record]:
        """Return every record that can be read, oldest first."""
        return self.documents("records")[0]

    def damaged(self) -> list[str]:
        """Return a sentence for each record that cannot be read."""
        return self.documents("records")[1]

    def documents(self, kind: str) -> tuple[list[Record], list[str]]:
        """Return the documents of a kind (records, drills, jobs) in order, and what is wrong with others."""
        found, wrong = [], []
        for path in sorted(glob.glob(f"{self.path}/{kind}/*.json")):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found.append(of.read(file.read(), path))
            except Trouble as trouble:
                wrong.append(str(trouble))
        return found, wrong

    def write(self, kind: str, told: Record) -> str:
        """Write a document by a rename, and to the disk; return its path."""
        path = f"{self.path}/{kind}/{told['id']}.json"
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        replace(path, of.written(told))
        return path

    def manifest(self, record: Record) -> Record:
        """Return the manifest of a backup; Trouble where it is not the one that was written with it."""
        path = f"{self.path}/manifests/{record['id']}.json"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            raise Trouble(f"{path} is gone: take another backup (`backup.run`)") from None
        if hashlib.sha256(text.encode()).hexdigest() != record["manifest"]:
            raise Trouble(f"{path} is not as it was written: take another backup (`backup.run`)")
        return of.read(text, path)

    def forget(self, record: Record) -> None:
        for kind in ("manifests", "records"):  # a record without a manifest is told as damaged, the reverse never seen
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.path}/{kind}/{record['id']}.json")

    # The disk

    @property
    def sealed(self) -> bool:
        """Whether the database's archive is encrypted, and has to be open before anything is read or written."""
        return bool(self.settings.get("sealed"))

    @property
    def scratch(self) -> str:
        """Where what is restored of the database lies for a while: in clear no more than its archive."""
        return f"{self.path}/database/scratch" if self.sealed else f"{self.path}/scratch"

    def room(self) -> Room:
        """Return what is free on the archive's disk for who writes there."""
        try:
            found = os.statvfs(self.path)
        except OSError:
            return Room(None, None)
        return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)

    # One at a time

    def alone(self, kind: str, wait: bool = False) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of a set, as `alone` does."""
        return alone(self.name, kind, wait)


@contextlib.contextmanager
def alone(name: str, kind: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a set, which the kernel frees with whoever holds it; another that is at work is named."""
    with open(f"/run/lock/ferryman-backup-{name}-{kind}", "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Trouble(f"another run is at work on {kind} of {name}: wait for it, and try again") from None
        yield


def replace(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file by a rename, after it is on the disk: a full disk leaves what was there."""
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
