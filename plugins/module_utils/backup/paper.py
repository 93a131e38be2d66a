"""The paper copy of an archive's keys: what a person types in again where no server is left, and how."""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect, copies, sealed
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import Collector, secrets
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Place
from ansible_collections.ferryman.ops.plugins.module_utils.backup.job import engine
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

HEAD = """\
PAPER COPY OF THE KEYS OF THE BACKUPS OF {name}
written by Ferryman at {at}

Who has this paper and the archive's disk has all that is encrypted there.
Keep it where the servers are not, and not beside a copy of that disk.
"""
CLEAR = """\
The database's backups are not encrypted, and need no key.
"""
OF_DATABASE = """
SET database, directory {kept}
passphrase, between the marks and without them: >{passphrase}<
fingerprint of gocryptfs.conf: {fingerprint}
master key: {master}

HOW TO OPEN THE DATABASE'S ARCHIVE
On any machine with gocryptfs 2 (Debian: apt install gocryptfs fuse3), as root, in
a directory that every account may enter (/srv, not /root), with that directory
from the archive's disk, here DIRECTORY (its whole path). Type the passphrase and
Enter where it asks:

    mkdir opened
    gocryptfs -ro -allow_other 'DIRECTORY' opened

If its file gocryptfs.conf is lost or damaged (`sha256sum` tells another
fingerprint), the master key opens it without:

    gocryptfs -ro -allow_other -plaintextnames -masterkey=stdin 'DIRECTORY' opened

`opened` is then what Barman wrote. With PostgreSQL of the version that
`cat opened/base/BACKUP/data/PG_VERSION` tells, BACKUP being one of `ls opened/base`:

    cp -a opened/base/BACKUP/data restored
    mkdir wal
    for f in opened/wals/*.history opened/wals/*/* opened/streaming/*; do
      test -s "$f" && cp "$f" "wal/$(basename "$f" .partial)"
    done
    touch restored/recovery.signal
    echo "restore_command = 'cp $PWD/wal/%f %p'" >> restored/postgresql.auto.conf
    chown -R postgres: restored wal

Where /etc/postgresql/VERSION/main/postgresql.conf names its directory, name
`restored`, and start it: it recovers to the last that was streamed. It refuses
fewer connections or workers than it had, and says which setting wants how many.
"""
OFF_SITE = """
OFF SITE, repository {repository}
password, between the marks and without them: >{password}<

HOW TO RESTORE FROM OFF SITE
On any machine with restic 0.14 or newer (Debian: apt install restic), as root, with
a key for the bucket, which its provider gives anew. Type the password where it asks:

    export AWS_ACCESS_KEY_ID='ID' AWS_SECRET_ACCESS_KEY='SECRET'
    restic --repo '{repository}' snapshots
    restic --repo '{repository}' restore latest --host {name} --target came

`came/.offsite` is then what lay on the archive's disk, without the database, and
`came/database/.offsite` what Barman wrote, in clear.
"""
OF_FILES = """
PASSPHRASE of every key of files below, between the marks and without them:

    >{passphrase}<
"""
OF_SET = """
SET {kind}, repository {repository}
id: {id}
fingerprint: {fingerprint}

{typed}
"""
HOW = """
HOW TO RESTORE BY HAND: FILES
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


class Opening(NamedTuple):
    """What opens the database's archive: `kept` is its directory, `fingerprint` the SHA-256 of its gocryptfs.conf."""

    kept: str
    passphrase: str
    fingerprint: str
    master: str


def opening(own: Archive) -> Opening | None:
    """Return what opens the database's archive; None where that lies in clear."""
    if not own.sealed:
        return None
    place = sealed.of(own)
    with open(place.secret, encoding="utf-8") as file:
        secret = file.read().rstrip("\n")
    with open(place.config, "rb") as file:
        fingerprint = hashlib.sha256(file.read()).hexdigest()
    master = sealed.master_key(place.config, secret)
    if not master:
        raise Trouble(f"{place.secret} does not open {place.kept}: `provision` writes the one of the vault")
    parts = [master[start : start + 8] for start in range(0, len(master), 8)]
    return Opening(place.kept, secret, fingerprint, "-".join(parts))


def off_site(own: Archive) -> Place | None:
    """Return the repository of the copies off site; None where none are sent."""
    told = copies.settings(own.name)
    return copies.place(own.name, told) if told else None


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


def text(name: str, found: list[Key], secret: str, database: Opening | None, away: Place | None, now: float) -> str:
    """Return the paper; `secret` opens the keys of files, `away` tells of copies, `now` is in seconds since 1970."""
    told = [HEAD.format(name=name, at=of.said(now))]
    told.append(OF_DATABASE.format(**database._asdict()) if database else CLEAR)
    if away:
        told.append(OFF_SITE.format(name=name, repository=away.repository, password=away.password))
    if found:
        told.append(OF_FILES.format(passphrase=secret))
        told += [OF_SET.format(**key._asdict()) for key in found]
        told.append(HOW)
    return "".join(told)
