"""The database's archive as it lies on the disk: encrypted by gocryptfs, and seen in clear where it is opened."""

from __future__ import annotations

import os
import re
import subprocess
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import SETTINGS, Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

PROGRAM = "/usr/bin/gocryptfs"
READER = "/usr/bin/gocryptfs-xray"
# Names of files stay as they are: they tell numbers and times, and a damaged directory takes no names with it.
INIT = ("-init", "-q", "-plaintextnames")
OPEN = ("-q", "-allow_other")
WRONG = "Password incorrect"  # the reader ends with one and the same number for all that it cannot read
MOUNTS = "/proc/self/mounts"
KEY = re.compile(r"\b[0-9a-f]{64}\b")


class Place(NamedTuple):
    """Where all of it is, of the archive `name` in the directory `home`."""

    name: str
    home: str

    @property
    def inside(self) -> str:
        """Where it is seen in clear, for as long as it is open."""
        return f"{self.home}/database"

    @property
    def kept(self) -> str:
        """What lies on the disk."""
        return f"{self.home}/database.sealed"

    @property
    def config(self) -> str:
        """The file that holds the key, which the passphrase opens."""
        return f"{self.kept}/gocryptfs.conf"

    @property
    def secret(self) -> str:
        return f"{SETTINGS}/{self.name}.passphrase"

    @property
    def unit(self) -> str:
        return f"ferryman-backup-{self.name}-open.service"

    def is_mounted(self) -> bool:
        """Say whether it is shown there, also by one that was killed."""
        with open(MOUNTS, encoding="utf-8", errors="replace") as file:
            shown = [line.split()[1:3] for line in file]
        return [self.inside.replace(" ", "\\040"), "fuse.gocryptfs"] in shown

    def is_open(self) -> bool:
        """Say whether it is seen there."""
        return self.is_mounted() and os.path.ismount(self.inside)


def of(own: Archive) -> Place:
    return Place(own.name, own.path)


def shut(own: Archive) -> str:
    """Return why an archive cannot be read or written now, as a sentence; empty where it can."""
    place = of(own)
    if not own.sealed or place.is_open():
        return ""
    return (
        f"{place.kept} is encrypted and not open: `systemctl restart {place.unit}` on the archive's host opens it, "
        f"`journalctl -u {place.unit}` says why it did not"
    )


def require_open(own: Archive) -> None:
    """Refuse to go on where what is written would lie beside what is encrypted."""
    said = shut(own)
    if said:
        raise Trouble(said)


def master_key(config: str, passphrase: str) -> str:
    """Return the key (64 hex digits) that a passphrase opens; empty where it is another's."""
    words = [READER, "-dumpmasterkey", config]
    done = subprocess.run(words, input=f"{passphrase}\n", text=True, capture_output=True, check=False)
    if done.returncode and WRONG in done.stdout + done.stderr:
        return ""
    found = KEY.search(done.stdout)
    if done.returncode or not found:
        raise Trouble(
            f"{config} cannot be read ({done.stderr.strip() or 'no key is in it'}): put back a copy of it, or take the "
            "master key of the paper"
        )
    return found[0]
