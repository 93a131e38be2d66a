"""PostgreSQL's archive_command on a database's host: each whole file of WAL goes to the archive beside the stream.

It runs as the server's account, in the data directory. Whatever it meets, the database goes on serving: a file that
does not arrive is kept and tried again by PostgreSQL, and past a bound the oldest are let go.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

from ansible_collections.ferryman.ops.plugins.module_utils.backup import ssh, wal
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import SETTINGS

PROGRAM = "/usr/local/lib/ferryman/backup-wal"
ACCOUNT = "postgres"
READY = "pg_wal/archive_status/*.ready"
LIMIT_S = 300  # for one file; PostgreSQL waits for it before it stops
UNITS = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
SUMS = "SHA256SUMS"


def settings(name: str) -> str:
    """Return the path of where the archive is."""
    return f"{SETTINGS}/{name}.wal.json"


def secrets(name: str) -> str:
    """Return the directory of the key."""
    return f"{SETTINGS}/{name}.wal"


def size(text: str) -> int:
    """Return the bytes of a size as max_slot_wal_keep_size takes it (`8GB`; a bare number is MB)."""
    unit = text.lstrip("0123456789")
    return int(text[: len(text) - len(unit)]) * UNITS[unit or "MB"]


def most(keep: str, free: int) -> int:
    """Return the bytes that files that wait may hold back: `keep` (empty: no bound), and no more than is left free."""
    return min(size(keep), free) if keep else free


def is_let_go(name: str, path: str) -> bool:
    """Say, also in the server's log, whether a file is let go: those that wait hold back more than may be."""
    with open(settings(name), encoding="utf-8") as file:
        keep = json.load(file)["keep"]
    waiting, disk = len(glob.glob(READY)), os.statvfs(path)
    if waiting * wal.SEGMENT <= most(keep, disk.f_bavail * disk.f_frsize):
        return False
    held = f"{waiting} files of WAL wait to be archived, more than may ({keep or 'no bound'}) or than is free"
    print(f"{path} is let go: {held}; the archive has it by the stream alone", file=sys.stderr)
    return True


def packed(path: str) -> bytes:
    """Return a file of WAL as `barman put-wal` takes it: a tar of it, and of its checksum."""
    with open(path, "rb") as file:
        content, found = file.read(), os.fstat(file.fileno())
    name, out = os.path.basename(path), io.BytesIO()
    sums = f"{hashlib.sha256(content).hexdigest()} *{name}\n".encode()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for each, text in ((name, content), (SUMS, sums)):
            told = tarfile.TarInfo(each)
            told.size, told.mtime, told.mode = len(text), int(found.st_mtime), 0o600
            tar.addfile(told, io.BytesIO(text))
    return out.getvalue()


def send(name: str, stream: bytes, asked: str = "") -> str:
    """Give a stream to the archive's host; return why it was not taken, empty where it was.

    What is `asked` there is `test` or nothing: the key may do one thing.
    """
    with open(settings(name), encoding="utf-8") as file:
        told = json.load(file)
    own = secrets(name)
    words = ssh.words(f"{own}/key", f"{own}/known_hosts", told["port"]).split()
    words += [f"{told['user']}@{told['address']}", *([asked] if asked else [])]
    try:
        done = subprocess.run(words, input=stream, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"{told['address']} did not take it in {LIMIT_S} s"
    if not done.returncode:
        return ""
    lines = [line for line in (done.stdout + done.stderr).decode(errors="replace").splitlines() if line.strip()]
    return f"{told['address']} did not take it: {' '.join(lines[-2:]) or 'it said nothing'}"


def main() -> int:
    """Send a file of WAL: `backup-wal NAME PATH`, or `backup-wal NAME` to see whether the archive would take one.

    It ends with 1 where it was not taken: with more than 125, PostgreSQL would start its archiver anew each time.
    """
    name, *paths = sys.argv[1:]
    try:
        if not paths:
            why = send(name, b"", "test")
        else:
            why = "" if is_let_go(name, paths[0]) else send(name, packed(paths[0]))
    except (OSError, ValueError, KeyError) as error:
        why = str(error)
    if why:
        print(why, file=sys.stderr)
    return 1 if why else 0
