"""The engine of copies off site: restic sends a directory to a bucket, reads it there, and brings it back."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.borg import account, unwritten
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

PROGRAM = "/usr/bin/restic"
CACHE = "/var/cache/ferryman-offsite"
REPOSITORY = re.compile(r"s3:https://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._-]+)+")
NAMED = re.compile(rf"\d{{8}}T\d{{6}}Z-{of.OFFSITE}")
CONNECT_S = 10
SILENT = "look at the address, the network and the provider"
CREDENTIALS = """\
[default]
aws_access_key_id = {place.access_key}
aws_secret_access_key = {place.secret_key}
"""
SETTINGS = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/",
    "TMPDIR": "/var/tmp",  # noqa: S108 -- what is sent is packed there first, and /tmp may be memory
    "RESTIC_PROGRESS_FPS": "0.001",  # nobody watches, and all of it is kept until the end
}
# What restic, the client of S3 in it and the providers say, in the order in which one of them hides another.
MEANT = (
    (("wrong password or no key found",), "backup_offsite_password",
     "the password does not open it: the right one is on the paper copy of the keys"),
    (("Access Denied", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403 Forbidden",
      "Access Key Id you provided does not exist", "does not match the signature you provided"),
     "backup_offsite_secret_key",
     "it refuses the access key: mend backup_offsite_access_key and backup_offsite_secret_key, or what they may do"),
    (("x509:", "tls:"), "",
     "its certificate is not to be trusted: a private authority's goes into backup_offsite_certificate"),
    (("no space left on device", "QuotaExceeded", "InsufficientStorage", "Insufficient Storage"), "",
     "it is full: make room there, or lower backup_offsite_keep_days; nothing was pruned for it"),
    (("repository is already locked", "unable to create lock"), "",
     "another one is at work on it: wait for that; a lock that was left is given up after half an hour"),
    (("connection refused", "no such host", "i/o timeout", "no route to host", "network is unreachable",
      "context deadline exceeded", "connection reset", "server misbehaving"), "",
     f"it does not answer: {SILENT}"),
    (("Internal Error", "InternalError", "internal error", "ServiceUnavailable", "SlowDown"), "",
     "its server failed over it and does not say why: see there whether it is full, and try again"),
)  # fmt: skip
ASKED = "Is there a repository at the following location"  # of whatever keeps it from reading one
GONE = ("The specified key does not exist", "The specified bucket does not exist", "NoSuchKey", "NoSuchBucket")


class Unusable(Trouble):
    """A repository that can't be used; `setting` is the one that is wrong, where it is one."""

    def __init__(self, said: str, setting: str = "") -> None:
        super().__init__(said)
        self.setting = setting


class Nothing(Unusable):
    """There is no repository at all."""


@dataclass(frozen=True)
class Place:
    """A repository in a bucket, and what opens it; `certificate` is that of a private authority (PEM)."""

    repository: str
    password: str = field(repr=False)
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    certificate: str = ""
    region: str = ""


class Snapshot(NamedTuple):
    """A copy as the repository knows it: `id` is restic's, `name` that of the copy."""

    id: str
    name: str

    @property
    def at(self) -> float:
        """When it was begun, in seconds since 1970."""
        return of.moment(self.name.partition("-")[0])


def why(place: Place, code: int, text: str) -> Unusable:
    """Return what restic's last words mean, as an error that names the repository and the way out."""
    for words, setting, meant in MEANT:
        if any(each in text for each in words):
            return Unusable(f"{place.repository}: {meant}", setting)
    if ASKED in text and any(each in text for each in GONE):
        return Nothing(f"{place.repository}: no repository is there")
    said = [line.strip() for line in text.splitlines() if line.strip() and '"message_type":"status"' not in line]
    return Unusable(f"{place.repository}: restic ended with {code}: {' '.join(said[-4:]) or 'it said nothing'}")


def require_answer(place: Place) -> None:
    """Refuse a target that does not answer, at once: restic itself tries for many minutes."""
    url = urllib.parse.urlsplit(place.repository.partition(":")[2])
    try:
        socket.create_connection((url.hostname or "", url.port or 443), CONNECT_S).close()
    except OSError as error:
        said = error.strerror or error
        raise Unusable(f"{place.repository}: it does not answer ({said}): {SILENT}") from None


class Restic:
    """The copies of an archive `name` in a repository."""

    kind = of.OFFSITE

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name = place, name

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[dict[str, str], list[str], list[int]]]:
        """Give the environment, words and descriptors by which restic reads secrets: they are in none of the first two.

        They lie in memory, so that an account that may not read root's files can be handed them, too.
        """
        with contextlib.ExitStack() as held:
            password, keys = (
                held.enter_context(unwritten(text))
                for text in (self.place.password, CREDENTIALS.format(place=self.place))
            )
            paths, words = [password, keys], ["--repo", self.place.repository]
            if self.place.certificate:
                paths.append(held.enter_context(unwritten(self.place.certificate)))
                words += ["--cacert", paths[-1]]
            if self.place.region:
                words += ["--option", f"s3.region={self.place.region}"]
            settings = {**SETTINGS, "RESTIC_PASSWORD_FILE": password, "AWS_SHARED_CREDENTIALS_FILE": keys}
            yield settings, words, [int(path.rpartition("/")[2]) for path in paths]

    def call(self, *words: str, cwd: str = "/", user: str = "root") -> str:
        """Run restic to its end; return what it printed, or raise with what its last words mean."""
        uid, gid = account(user)
        who: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": []} if uid else {}
        with self._opened() as (settings, repository, descriptors):
            kept = ["--no-cache"] if uid else ["--cache-dir", CACHE]  # root's own is no other account's
            done = subprocess.run(
                [PROGRAM, *repository, *kept, *words], env=settings, pass_fds=descriptors, cwd=cwd, umask=0o077,
                capture_output=True, text=True, errors="replace", check=False, **who,
            )  # fmt: skip
        if done.returncode:
            raise why(self.place, done.returncode, f"{done.stdout}\n{done.stderr}")
        return str(done.stdout)

    # The repository

    def is_there(self) -> bool:
        """Say whether a repository is there that the password opens; Unusable where it can't be."""
        require_answer(self.place)
        try:
            self.call("cat", "config", "--no-lock")
        except Nothing:
            return False
        return True

    def initialise(self) -> None:
        """Make the repository, and its bucket."""
        self.call("init")

    def unlock(self) -> None:
        """Take away the locks of runs that were killed."""
        self.call("unlock")

    def snapshots(self) -> list[Snapshot]:
        """Return the copies that are there, oldest first; what others put there is none."""
        listed = json.loads(self.call("snapshots", "--json", "--no-lock", "--host", self.name)) or []
        named = [(one["id"], tag) for one in listed for tag in one.get("tags") or [] if NAMED.fullmatch(tag)]
        return sorted((Snapshot(*each) for each in named), key=lambda each: each.name)

    # The verbs, over what lies in `paths` below a directory

    def send(self, name: str, home: str, paths: list[str]) -> dict[str, Any]:
        """Send directories as a copy of this name; return its engine_id, bytes, and sent_bytes: what was new.

        Links to a file change its ctime, and a mount gives numbers of its own: time and size tell what changed.
        """
        words = ["backup", "--json", "--host", self.name, "--tag", name, "--ignore-ctime", "--ignore-inode"]
        lines = self.call(*words, *paths, cwd=home).splitlines()
        told = next(json.loads(line) for line in reversed(lines) if '"summary"' in line)
        found = [each.id for each in self.snapshots() if each.name == name]
        if len(found) != 1:
            raise Unusable(f"{self.place.repository}: {name} was sent, and is there {len(found)} times")
        return {"engine_id": found[0], "bytes": told["total_bytes_processed"], "sent_bytes": told["data_added"]}

    def read(self, snapshot: str, part: str) -> list[str]:
        """Read the repository's structure, and of its data a `part` (as 3/28; all); return what is not as it was.

        The structure alone first: of a file that is cut or gone it knows at once, where reading tries for minutes.
        """
        if snapshot not in [each.id for each in self.snapshots()]:
            return [f"{self.place.repository}: the copy is gone from it, and this host did not drop it"]
        reading = ["--read-data"] if part == "all" else [f"--read-data-subset={part}"]
        try:
            self.call("check")
            self.call("check", *reading)
        except Unusable as trouble:
            return [str(trouble)]
        return []

    def bytes_of(self, snapshot: str) -> int:
        """Return the bytes that a restore of a copy takes."""
        told = self.call("stats", "--json", "--no-lock", "--mode", "restore-size", snapshot)
        return int(json.loads(told)["total_size"])

    def bring(self, snapshot: str, into: str, path: str, user: str) -> None:
        """Write one directory of a copy below another as an account, and read it again there."""
        words = ["restore", snapshot, "--no-lock", "--verify", "--include", f"/{path}", "--target", into]
        self.call(*words, user=user)

    def drop(self, name: str) -> None:
        """Drop a copy, where it is there; what only it held goes with `compact`."""
        gone = [each.id for each in self.snapshots() if each.name == name]
        if gone:
            self.call("forget", *gone)

    def compact(self) -> None:
        """Remove what no copy needs any more."""
        self.call("prune")
