"""The way from an archive to the host where what it holds is to serve: one key, for the account that owns the cluster.

Whoever lets that key in says where to, and by which keys the host is known (place.py).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import IO, Callable, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

ACCOUNT = "postgres"
SAFE = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR")


def key(path: str) -> str:
    """Make a new key, which stays here; return its public half."""
    for old in (path, f"{path}.pub"):
        if os.path.exists(old):
            os.unlink(old)
    archive.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
    with open(f"{path}.pub", encoding="ascii") as file:
        return " ".join(file.read().split()[:2])


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

    def bring(self, directory: str) -> None:
        """Bring a directory there."""
        words = ["rsync", "--archive", "--whole-file", "-e", shlex.join(self.ssh())]
        archive.run([*words, f"{directory}/", f"{ACCOUNT}@{self.host}:{self.into}/"])

    def pour(self, write: Callable[[IO[bytes]], None], path: str) -> None:
        """Have what `write` gives to a stream in a file there."""
        words = [*self.ssh(), f"{ACCOUNT}@{self.host}", f"umask 077; cat > {shlex.quote(path)}"]
        argv = ["runuser", "-u", archive.USER, "--", *words]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/") as process:
            try:
                write(process.stdin)  # type: ignore[arg-type]  # a pipe, as asked for
            finally:
                process.stdin.close()  # type: ignore[union-attr]  # as above
                said = process.stderr.read().decode(errors="replace")  # type: ignore[union-attr]  # as above
            if process.wait():
                why = " ".join(said.split()) or "it said nothing"
                raise Trouble(f"{self.host} did not take {path}, look at its disk and at SSH's way there: {why}")

    def forget(self) -> None:
        """Have the key go: it is of one restore."""
        for path in (self.key, f"{self.key}.pub", self.known):
            if os.path.exists(path):
                os.unlink(path)
