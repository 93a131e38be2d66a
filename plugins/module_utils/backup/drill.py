"""A drill: restore into a place of its own, look at everything, measure, tear down, write down and sign."""

from __future__ import annotations

import abc
import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any, Callable

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, job, metrics
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.scratch import Scratch
from ansible_collections.ferryman.ops.plugins.module_utils.cache import scratch as cache

NAMESPACE = "ferryman-drill"  # what a signature is for; `ssh-keygen -Y verify -n` wants it


def key(name: str) -> str:
    """Return where the key lies that an archive's drills are signed with."""
    return f"{archive.SETTINGS}/{name}/drill_ed25519"


def server_name(own: archive.Archive) -> str:
    """Return what the server of an archive's drills of the cache is called."""
    return f"{own.name}-drill"


def place(own: archive.Archive) -> str:
    """Return the directory that drills of files restore into, one at a time."""
    return f"{own.path}/scratch/drill"


def place_of_database(own: archive.Archive) -> str:
    """Return the directory that drills of the database restore into: where the archive is encrypted, so are they."""
    return f"{own.scratch}/drill"


class Drill(abc.ABC):
    """One drill of one set: what was measured and found so far. Each kind of set says how it is restored."""

    def __init__(self, own: archive.Archive, kind: str, run: str) -> None:
        self.own, self.kind, self.began = own, kind, time.time()
        self.works = job.engine(own, kind)
        self.parts: dict[str, float] = {}
        self.record: Record = {
            "format": of.FORMAT, "id": "", "environment": own.name, "host": os.uname().nodename, "run": run,
            "began_at": "", "ended_at": "", "result": "failed", "reason": "",
            "sets": {kind: {"backup": "", "to": "latest"}},
            "rto_s": None, "parts_s": self.parts, "rpo_s": None, "rpo_said": "", "checks": [], "applications": {},
        }  # fmt: skip

    @abc.abstractmethod
    def restored(self) -> None:
        """Restore into `place`, and look at it."""

    @abc.abstractmethod
    def end(self) -> None:
        """Take away what `restored` made."""

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Have nobody change what is restored from."""
        yield

    def go(self) -> Record:
        """Go through it; return its record, which is written and signed, whatever came of it."""
        with self.own.alone("drill"), self.undisturbed():
            self.began = time.time()
            self.record["id"] = f"{of.stamp(self.began)}-drill-{self.kind}"
            self.record["began_at"] = of.said(self.began)
            self.measure()
            failed = [one for one in self.record["checks"] if one["result"] != "passed"]
            if not self.record["reason"] and not failed:
                self.record["result"] = "passed"
            self.record["ended_at"] = of.said(time.time())
            sign(self.own, self.own.write("drills", self.record))
        metrics.write(self.own)
        return self.record

    def measure(self) -> None:
        """Restore, look, and tear down; what came of it, also why it came to no end, is in the record."""
        try:
            try:
                self.restored()
            finally:
                self.end()
        except (Trouble, OSError) as error:
            self.record["reason"] = job.said(error)

    def newest(self) -> Record:
        """Return the backup that is restored, and have the record name it."""
        backup = of.newest(self.own.records(), self.kind, of.is_restorable)
        if backup is None:
            raise Trouble(f"no backup of {self.kind} has passed a check: take one (`backup.run --set {self.kind}`)")
        self.record["sets"][self.kind]["backup"] = backup["id"]
        return backup

    def timed(self, part: str, act: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return act()
        finally:
            self.parts[part] = round(self.parts.get(part, 0.0) + time.monotonic() - began, 3)

    def check(self, name: str, found: list[str], good: str) -> None:
        said = "; ".join(found[:5]) or good
        self.record["checks"].append({"name": name, "result": "failed" if found else "passed", "said": said})

    def back(self) -> None:
        """All is back, and was looked at."""
        self.record["rto_s"] = round(time.time() - self.began, 3)


def tidy(own: archive.Archive) -> None:
    """Take away what a drill that was killed left behind: a server that runs on, files that lie in clear."""
    left = [path for path in {place(own), place_of_database(own)} if os.path.isdir(path)]
    if left:
        with contextlib.suppress(Trouble), own.alone("drill"):  # or one is at work
            cache.stop(server_name(own))
            for path in left:
                Scratch(path, own.settings["database"]["programs"]).end()


def sign(own: archive.Archive, path: str) -> None:
    """Sign a document with the archive's key; the signature lies beside it."""
    if os.path.exists(f"{path}.sig"):
        os.unlink(f"{path}.sig")
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key(own.name), path]
    archive.run(words, user="root")
