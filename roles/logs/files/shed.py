#!/usr/bin/python3
"""Drop the oldest logs: past their days, where a directory has more than its bytes, and where a disk is nearly full.

A full disk stops what writes to it: a database, an upload. Old logs are what can best be missed, so they go first,
and what is being written last: it is renamed by the writer's own logrotate configuration, then goes as any other.
Days are kept here, too, since logrotate counts them only where it renames: of a log that nothing writes to any more it
would keep the last ones for ever.
Run each minute by ferryman-logs.timer. `decide` and `expired` decide; the rest looks and deletes.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SETTINGS = Path("/etc/ferryman/logs.json")
JOURNALS = Path("/var/log/journal")
STATE = "/run/ferryman-logrotate.state"  # of rotations out of turn; in memory, since the disk may be full
DAY_S = 86400
SHARE = 10  # of a small disk so much (in percent) is enough to be free
ROTATED = re.compile(r"\.\d+(\.gz)?$|-\d{8}(-\d+)?(\.gz)?$")
ARCHIVED = re.compile(r"@.*\.journal$|\.journal~$")  # what journald writes to has no @ in its name


class Log(NamedTuple):
    """A log file: where, how many bytes it takes on the disk, when it was last written to, whether it is done with."""

    path: Path
    size: int
    written: float
    rotated: bool


def floor(keep_free: int, total: int) -> int:
    """Return how many bytes must be free on a disk of `total`."""
    return min(keep_free, total * SHARE // 100)


def decide(logs: Iterable[Log], *, above: int) -> list[Path]:
    """Return the rotated logs that must go so that `above` bytes become free, the oldest first.

    All of them, where that is not enough; never one that is written to.
    """
    doomed: list[Path] = []
    for log in sorted((log for log in logs if log.rotated), key=lambda log: (log.written, log.path)):
        if above <= 0:
            break
        doomed.append(log.path)
        above -= log.size
    return doomed


def expired(logs: Iterable[Log], *, days: int, now: float) -> list[Path]:
    """Return the rotated logs that were last written to more than `days` before `now`; without days (0), none."""
    return [log.path for log in logs if days and log.rotated and log.written < now - days * DAY_S]


def excess(logs: Iterable[Log], max_bytes: int) -> int:
    """Return by how many bytes the logs, those in use too, are too many; 0 or less where they are not."""
    return sum(log.size for log in logs) - max_bytes


def look(paths: Iterable[Path], rotated: re.Pattern[str], device: int | None = None) -> list[Log]:
    """Return the plain files among `paths` as they are now; those on one `device` alone, where one is given."""
    found = []
    for path in paths:
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and device in (None, status.st_dev):
            found.append(Log(path, status.st_blocks * 512, status.st_mtime, bool(rotated.search(path.name))))
    return found


def logs_in(watched: Mapping[str, Any]) -> list[Log]:
    """Return the logs of a watched directory."""
    return look(Path(watched["path"]).iterdir(), ROTATED)


def journals(device: int) -> list[Log]:
    """Return journald's files that lie on a disk."""
    return look(JOURNALS.glob("*/*"), ARCHIVED, device)


def drop(paths: Iterable[Path], why: str) -> None:
    """Delete logs, and say so."""
    for path in paths:
        path.unlink(missing_ok=True)
        print(f"<4>dropped {path}: {why}", flush=True)


def rotate(watched: Mapping[str, Any]) -> None:
    """Have what is written to renamed, so that it can go."""
    words = ["/usr/sbin/logrotate", "--force", "--state", STATE, watched["rotation"]]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:  # it packs something large; what it has renamed so far can go all the same
        print(f"<3>logrotate {watched['rotation']}: it did not end within a minute", flush=True)
        return
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        print(f"<3>logrotate {watched['rotation']}: {said}", flush=True)
    time.sleep(0.5)  # the writer opens its new file when it gets around to it; until then it writes to the old one


def bound(watched: Mapping[str, Any], max_bytes: int) -> None:
    """Keep a directory within its bytes: rotated logs go, then those that are written to."""
    for renamed in (False, True):
        if excess(logs_in(watched), max_bytes) <= 0:
            return
        if renamed:
            rotate(watched)
        logs = logs_in(watched)
        drop(decide(logs, above=excess(logs, max_bytes)), f"more than {max_bytes} bytes of logs")


def relieve(path: Path, every: list[Mapping[str, Any]], keep_free: int) -> None:
    """Have enough of the disk free on which `path` lies: rotated logs go, then those that are written to."""
    device = path.stat().st_dev
    here = [watched for watched in every if Path(watched["path"]).stat().st_dev == device]
    for renamed in (False, True):
        if missing(path, keep_free) <= 0:
            return
        for watched in here if renamed else []:
            rotate(watched)
        logs = [log for watched in here for log in logs_in(watched)] + journals(device)
        drop(decide(logs, above=missing(path, keep_free)), "the disk is nearly full")


def missing(path: Path, keep_free: int) -> int:
    """Return how many bytes more should be free; 0 or less where there are enough."""
    disk = os.statvfs(path)
    return floor(keep_free, disk.f_blocks * disk.f_frsize) - disk.f_bavail * disk.f_frsize


def main() -> int:
    """Look at every directory once."""
    settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
    every = [watched for watched in settings["watched"] if Path(watched["path"]).is_dir()]
    for watched in every:
        days = watched.get("keep_days", 0)
        drop(expired(logs_in(watched), days=days, now=time.time()), f"older than {days} days")
        bound(watched, settings["max_bytes"])
    for path in [*(Path(watched["path"]) for watched in every), JOURNALS]:
        if path.is_dir():
            relieve(path, every, settings["keep_free_bytes"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
