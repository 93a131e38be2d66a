"""A restore as a recorded job: which backup, to which moment, where, how long it took, and what came of it."""

from __future__ import annotations

import time
from typing import Any, Callable

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, job, travel
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.choosing import Lives, chosen, moment
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.scratch import Scratch


def along(works: Any, backup: Record, to: dict[str, Any]) -> tuple[Record, dict[str, Any]]:
    """Have recovery go on to the timeline that was streamed last, where `to` is reached on that alone.

    A moment from before the archive followed it is one of the history that was left.
    """
    line = works.line()
    since = moment(to["time"]) if to.get("time") else None
    wanted = to.get("latest") or (since is not None and since >= works.followed_since(line))
    if line in (None, of.timeline(backup)) or not wanted or works.refusal(backup):
        return backup, to
    return backup, {**to, "line": line}


def crossing(backup: Record, to: dict[str, Any]) -> str:
    """Say that recovery goes on from a backup's history to another; empty where it does not."""
    if "line" not in to:
        return ""
    return f"from timeline {of.timeline(backup)} it goes on to {to['line']}, which the source began after this backup"


def key(name: str, run: str) -> str:
    """Return where the key lies by which what a restore made travels to the host where it is to serve."""
    return f"{archive.SETTINGS}/{name}/restore-{run}"


def place_of(own: archive.Archive) -> Scratch:
    """Return where restores of an archive go to."""
    return Scratch(f"{own.scratch}/restore", own.settings["database"]["programs"])


def end(own: archive.Archive) -> None:
    """Take away what a restore left."""
    with own.alone("scratch"):
        place_of(own).end()


class Restore:
    """One restore; `job` is its record."""

    def __init__(self, own: archive.Archive, kind: str, to: str, run: str, lives: Lives) -> None:
        if kind in of.FILES:
            raise Trouble(
                f"{kind} goes to the host that has it: restore it there (`backup-source restore --set {kind}`)"
            )
        self.own, self.began = own, time.time()
        self.works = job.engine(own, kind)
        found = chosen(own.records(), kind, to, self.began, lives, self.works.refusal)
        self.backup, self.to = along(self.works, *found)
        self.scratch = place_of(own)
        self.job: Record = {
            "format": of.FORMAT, "id": run, "set": kind, "environment": own.name, "backup": self.backup["id"],
            "to": to, "into": "scratch", "began_at": of.said(self.began), "ended_at": "", "duration_s": 0.0,
            "result": "failed", "reason": "", "checks": [], "look": "",
            "note": crossing(self.backup, self.to),
        }  # fmt: skip

    def into_scratch(self) -> Record:
        """Restore beside everything else, leave a server there, and return the job, which is written down."""
        return self._recorded(self._shown)

    def _shown(self) -> None:
        self._restored()
        self.job["look"] = f"sudo runuser -u {archive.USER} -- psql -h {self.scratch.socket} -U postgres"

    def begin(self) -> dict[str, Any]:
        """Return what a host must know that is to let this restore in: the key's public half, and the bytes."""
        travel.tidy(key(self.own.name, "*"))
        path = key(self.own.name, self.job["id"])
        return {"public_key": travel.key(path), "bytes": self.works.restored_bytes(self.backup)}

    def away(self, host: str, port: int, host_keys: list[str], into: str) -> Record:
        """Restore here, and bring it to the host that let this one in; return the job, which is written down.

        The backup goes there while it is restored, recovered and looked at here. Once it was found whole and its server
        has stopped, what differs follows: what lies there then is what was found whole.
        """
        way = travel.Way(host, port, host_keys, into, key(self.own.name, self.job["id"]))
        try:
            way.know()
            return self._recorded(lambda: self._brought(way))
        finally:
            way.forget()

    def _brought(self, way: travel.Way) -> None:
        with way.beside(self.works.lies(self.backup)) as arrived:
            self._restored()
            self.scratch.rest()
            arrived()
        way.finish(self.scratch.data)

    def _recorded(self, act: Callable[[], None]) -> Record:
        """Do it alone, and return the job with what came of it, which is written down."""
        with self.own.alone("scratch"):
            try:
                act()
                self.job["result"] = "passed"
            except (Trouble, OSError) as error:
                self.job["reason"] = "; ".join([job.said(error), *of.beyond(self.backup)])
            self.job["ended_at"] = of.said(time.time())
            self.job["duration_s"] = round(time.time() - self.began, 3)
            self.own.write("jobs", self.job)
        return self.job

    def _restored(self) -> None:
        self.scratch.end()
        job.require_room(self.own, self.works.restored_bytes(self.backup))
        self.works.restore(self.backup, self.to, self.scratch.make())
        self.scratch.start(fsync="off")  # this is a copy; where it travels to, it is on the disk before it serves
        self.scratch.wait_for("select not pg_is_in_recovery()")
        found = {}
        if self.to.get("point"):  # before anything is written there: then it is of another moment
            found["manifest"] = self.scratch.differences(self.own.manifest(self.backup))
        found["amcheck"] = self.scratch.amcheck()
        self.job["checks"] = [{"name": name, "result": "failed" if said else "passed"} for name, said in found.items()]
        wrong = [line for said in found.values() for line in said]
        if wrong:
            raise Trouble("; ".join(wrong[:5]))
