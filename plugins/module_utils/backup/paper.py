"""The paper copy of an archive's keys: what a person types in again where no server is left, and how."""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import Collector, secrets
from ansible_collections.ferryman.ops.plugins.module_utils.backup.job import engine

HEAD = """\
PAPER COPY OF THE KEYS OF THE BACKUPS OF {name}
written by Ferryman at {at}

Who has this paper and the archive's disk has every file that was backed up.
Keep it where the servers are not, and not beside a copy of that disk.
The database's backups are not encrypted, and need no key.

PASSPHRASE of every key below, between the marks and without them:

    >{passphrase}<
"""
OF_SET = """
SET {kind}, repository {repository}
id: {id}
fingerprint: {fingerprint}

{typed}
"""
HOW = """
HOW TO RESTORE BY HAND
On any machine with borg 1.2 or newer (Debian: apt install borgbackup), in bash,
with the repository of a set from the archive's disk, here in the directory
REPOSITORY (its whole path):

    export BORG_REPO='REPOSITORY'
    export BORG_BASE_DIR="$PWD/borg"
    IFS= read -rs BORG_PASSPHRASE && export BORG_PASSPHRASE
    borg --bypass-lock list --short
    mkdir back && cd back
    borg --bypass-lock extract '::BACKUP'

It asks for nothing: type the passphrase and Enter at `read`. BACKUP is a name
that is listed; the newest stands last, and those with .told only tell of others.
The disk may be read-only: with --bypass-lock borg writes nothing to it. Let
nobody else be at work on it meanwhile.

The key lies in the repository, in its file `config`, and the fingerprint says
whether it is the one of this paper:

    borg key export | sha256sum

If it is another or none, or borg says that the key is missing, type the one of
this paper: what stands after the colon, a line at a time, Enter after each. It is
written into the repository: of a read-only disk, copy that to another first.

    borg key import --paper

If `config` is gone as a whole, write it anew before that, with the id above:

    [repository]
    version = 1
    segments_per_dir = 1000
    max_segment_size = 524288000
    append_only = 0
    storage_quota = 0
    additional_free_space = 0
    id = ID
"""


class Key(NamedTuple):
    """The key of a set's repository: `typed` are borg's lines, `fingerprint` the SHA-256 of the exported key."""

    kind: str
    repository: str
    id: str
    fingerprint: str
    typed: str


def keys(own: Archive) -> list[Key]:
    """Return the key of each repository of an archive, put right where somebody had changed it."""
    return [_key(engine(own, kind)) for kind in own.settings["sets"] if kind in of.FILES]


def _key(works: Collector) -> Key:
    # No host is in it: one that was taken over could put another key there between these lines.
    with works.archive.alone(works.kind, wait=True), works.exclusively():
        collect.keep(works.archive, works.kind, collect.put_right(works), time.time())
        exported = works.call("key", "export", works.place.repository)[0]
        typed = works.call("key", "export", "--paper", works.place.repository)[0].decode("ascii")
    name = exported.split()[1].decode("ascii")
    lines = typed[typed.index("BORG PAPER KEY") :].strip()
    return Key(works.kind, works.place.repository, name, hashlib.sha256(exported).hexdigest(), lines)


def passphrase(own: Archive) -> str:
    """Return what opens the keys, as the archive's own hands open them."""
    with open(f"{secrets(own.name)}/passphrase", encoding="utf-8") as file:
        return file.read().rstrip("\n")


def text(name: str, found: list[Key], secret: str, now: float) -> str:
    """Return the paper; `now` is in seconds since 1970."""
    sets = "".join(OF_SET.format(**key._asdict()) for key in found)
    return HEAD.format(name=name, at=of.said(now), passphrase=secret) + sets + HOW
