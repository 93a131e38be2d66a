"""The way from an archive to the host where what it holds is to serve: one key, for the account that owns the cluster.

Whoever lets that key in says where to, and by which keys the host is known (place.py).
"""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Callable, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

ACCOUNT = "postgres"
WEEK_S = 7 * 86400
# The WAL that recovery has read is of no more use.
FRESH = ("--whole-file", "--exclude=/barman_wal")
AGAIN = ("--no-whole-file", "--inplace", "--delete", "--modify-window=-1", "--exclude=/barman_wal")
SAFE = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR")


def key(path: str) -> str:
    """Make a new key, which stays here; return its public half."""
    for old in (path, f"{path}.pub"):
        if os.path.exists(old):
            os.unlink(old)
    archive.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
    with open(f"{path}.pub", encoding="ascii") as file:
        return " ".join(file.read().split()[:2])


def tidy(pattern: str) -> None:
    """Remove the keys of runs that were killed, which open nothing any more."""
    for path in glob.glob(pattern):
        if time.time() - os.stat(path).st_mtime > WEEK_S:
            os.unlink(path)


class Way(NamedTuple):
    """A host as this one reaches it, the directory there, and the key that it has let in."""

    host: str
    port: int
    host_keys: list[str]
    into: str
    key: str

    def know(self) -> None:
        """Write down by which keys the host is known."""
        lines = "".join(f"[{self.host}]:{self.port} {each}\n{self.host} {each}\n" for each in self.host_keys)
        archive.replace(self.known, lines)

    @property
    def known(self) -> str:
        """The file with the host's keys."""
        return f"{self.key}.known_hosts"

    def ssh(self) -> list[str]:
        """Return the words by which the owner of the archive comes there."""
        words = ["ssh", "-p", str(self.port), "-i", self.key, "-o", f"UserKnownHostsFile={self.known}"]
        return [*words, *(word for option in SAFE for word in ("-o", option))]

    def bring(self, directory: str, *how: str) -> None:
        """Bring a directory there."""
        archive.run(self._rsync(directory, *(how or FRESH)))

    def finish(self, directory: str) -> None:
        """Have what came of an earlier state of a directory be as it is now: what differs comes, what is gone goes.

        A file is taken for the same by its size and the nanosecond that it was written at: whoever brought the earlier
        state must not have seen it being written.
        """
        self.bring(directory, *AGAIN)

    @contextlib.contextmanager
    def beside(self, directory: str) -> Iterator[Callable[[], None]]:
        """Bring a directory there beside what else is done; give what waits for its end. With this process it ends."""
        own = ["--reuid", archive.USER, "--regid", archive.USER, "--init-groups", "--pdeathsig", "TERM"]
        words = ["setpriv", *own, *self._rsync(directory, *FRESH)]
        with (
            tempfile.TemporaryFile() as told,
            subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=told, stderr=told, cwd="/", env=archive.AROUND
            ) as process,
        ):

            def arrived() -> None:
                if process.wait():
                    told.seek(0)
                    raise self._not_taken(self.into, told.read())

            try:
                yield arrived
            finally:
                process.terminate()

    def _rsync(self, directory: str, *how: str) -> list[str]:
        words = ["rsync", "--archive", *how, "-e", shlex.join(self.ssh())]
        return [*words, f"{directory}/", f"{ACCOUNT}@{self.host}:{self.into}/"]

    def pour(self, write: Callable[[IO[bytes]], None], path: str) -> None:
        """Have what `write` gives to a stream in a file there."""
        words = [*self.ssh(), f"{ACCOUNT}@{self.host}", f"umask 077; cat > {shlex.quote(path)}"]
        argv = ["runuser", "-u", archive.USER, "--", *words]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/") as process:
            try:
                write(process.stdin)  # type: ignore[arg-type]  # a pipe, as asked for
            finally:
                process.stdin.close()  # type: ignore[union-attr]  # as above
                said = process.stderr.read()  # type: ignore[union-attr]  # as above
            if process.wait():
                raise self._not_taken(path, said)

    def _not_taken(self, path: str, said: bytes) -> Trouble:
        why = " ".join(said.decode(errors="replace").split()) or "it said nothing"
        return Trouble(f"{self.host} did not take {path}, look at its disk and at SSH's way there: {why[-600:]}")

    def forget(self) -> None:
        """Have the key go: it is of one restore."""
        for path in (self.key, f"{self.key}.pub", self.known):
            if os.path.exists(path):
                os.unlink(path)
