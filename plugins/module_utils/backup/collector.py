"""A set that another host sends, by the archive's own hands.

A host's key may only append. What it deletes is only a word in the repository, as long as nobody compacts it; so before
anything is written here, what is there is counted against the catalogue.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import shutil
import time
from collections.abc import Iterator

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import SETTINGS, Archive, replace
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

USER = "ferryman-borg"
BASE = "/var/lib/ferryman-borg"


def secrets(name: str) -> str:
    """Return the directory of what the archive needs for its repositories; root reads it alone."""
    return f"{SETTINGS}/{name}.files"


def lock(base: str, name: str) -> str:
    """Return the file that whoever serves an archive's repositories has locked."""
    return f"{base}/{name}.lock"


def place(own: Archive, kind: str) -> borg.Place:
    """Return the repository of a set, by the archive's own hands."""
    return borg.Place(os.path.join(own.path, kind), f"{secrets(own.name)}/passphrase", BASE, USER)


def some(names: list[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class Collector(borg.Borg):
    """A set that another host sends: the engine's verbs over the catalogue of an archive."""

    def __init__(self, own: Archive, kind: str) -> None:
        super().__init__(place(own, kind), kind)
        self.archive, self.kept = own, f"{secrets(own.name)}/{kind}"

    # The engine's seam (decision 14)

    def check(self, record: Record) -> list[dict[str, str]]:
        """Read all that a restore of a backup would read; return what is not as it was written."""
        try:
            manifest = self.archive.manifest(record)
            self.require(record)
        except Trouble as trouble:
            return [{"what": "catalogue", "said": str(trouble)}]
        return self.compare(record, manifest)

    def prune(self, record: Record) -> None:
        """Drop a backup; refused while a delete that this archive did not send is in the repository."""
        with self.exclusively():
            self.require_all()
            self.archive.write("records", {**record, "dropped": True})  # so that one that is killed here is no theft
            self.delete([record["id"], record["id"] + borg.TOLD])

    def is_busy(self) -> bool:
        """Return whether a host is in the repositories now: what it sends is entered later."""
        with open(lock(self.place.base, self.archive.name), "a", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Have no host in the repositories: whoever serves one holds this lock, too (`repositories.lines`).

        A delete that came between the count and the compact would be final.
        """
        with open(lock(self.place.base, self.archive.name), "a", encoding="ascii") as file:
            until = time.monotonic() + borg.LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise Trouble(f"a host has been in {self.place.repository} all the time: try again") from None
                    time.sleep(0.5)
            yield

    def delete(self, names: list[str]) -> None:
        """Drop archives and compact; from then on nothing before that can be gone back to."""
        path = f"{self.place.repository}/transactions"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        super().delete(names)
        last = max(int(os.path.basename(segment)) for segment in glob.glob(f"{self.place.repository}/data/*/*"))
        replace(path, f"transaction {last}, UTC time {of.said(time.time())}\n", 0o600)
        shutil.chown(path, self.place.user)
        self.remember()

    # What was sent

    def known(self) -> list[Record]:
        """Return what the catalogue has of this set."""
        return [record for record in self.archive.records() if record["set"] == self.kind]

    def missing(self, there: dict[str, str] | None = None) -> list[str]:
        """Return the ids of backups that the catalogue knows and the repository does not hold as they were.

        `there` is what it holds, engine ids by name, where it was asked just now.
        """
        there = self.ids() if there is None else there
        kept = [each for each in self.known() if of.is_whole(each) and not each.get("dropped")]
        return [each["id"] for each in kept if there.get(each["id"]) != each["engine_id"]]

    def unsound(self) -> list[str]:
        """Read the whole repository, also what no backup needs any more; return what is not as it was written.

        What borg has committed never changes until this host compacts, so what was there is still there, as long.
        """
        there, found = self.segments(), []
        for name, size in self.remembered().items():
            if there.get(name) != size:
                found.append(f"{self.place.repository}/data/{name} is not as it was written")
        try:
            self.call("check", "--repository-only", self.place.repository)
        except Trouble as trouble:
            found.append(str(trouble))
        return found

    def segments(self) -> dict[str, int]:
        """Return the sizes of what is committed, by its place."""
        base, found = f"{self.place.repository}/data", {}
        indices = glob.glob(f"{self.place.repository}/index.*[0-9]")
        last = max((int(path.rpartition(".")[2]) for path in indices), default=-1)
        for path in glob.glob(f"{base}/*/*"):
            if os.path.basename(path).isdigit() and int(os.path.basename(path)) <= last:
                found[os.path.relpath(path, base)] = os.path.getsize(path)
        return found

    def remembered(self) -> dict[str, int]:
        try:
            with open(f"{self.kept}.segments.json", encoding="ascii") as file:
                return dict(json.load(file))
        except FileNotFoundError:
            return {}

    def remember(self) -> None:
        replace(f"{self.kept}.segments.json", json.dumps(self.segments()), 0o600)

    def require_all(self) -> None:
        """Refuse to write where an archive is gone that this host did not drop: compacting would make that final."""
        gone = self.missing()
        if gone:
            raise Trouble(
                f"{some(gone)} went from {self.place.repository}, and not by this host: nothing is pruned or "
                "compacted. What a client deletes is still there; `undelete` brings it back"
            )

    def key(self) -> bool:
        """Have the repository's key as it was made; return whether it was another.

        A client may write a key into the repository, even one whose key may only append: without this it could take
        the archive away from those who own it.
        """
        path = f"{self.place.repository}/config"
        with open(f"{self.kept}.config", encoding="ascii") as file:
            wanted = file.read()
        found = ""
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii", errors="replace") as file:
            found = file.read()
        if found == wanted:
            return False
        replace(path, wanted, 0o600)
        shutil.chown(path, self.place.user)
        return True
