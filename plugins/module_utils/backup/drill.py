"""A drill: restore into a place of its own, look at everything, measure, tear down, write down and sign."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import Any, Callable

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, job, metrics, postgres
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.scratch import Scratch

NAMESPACE = "ferryman-drill"  # what a signature is for; `ssh-keygen -Y verify -n` wants it


def key(name: str) -> str:
    """Return where the key lies that an archive's drills are signed with."""
    return f"{archive.SETTINGS}/{name}/drill_ed25519"


class Drill:
    """One drill over set `database`: what was measured and found so far."""

    def __init__(self, own: archive.Archive, run: str) -> None:
        self.own, self.began = own, time.time()
        self.works = job.engine(own, "database")
        self.scratch = Scratch(f"{own.path}/scratch/drill", own.settings["database"]["programs"])
        self.parts: dict[str, float] = {}
        self.record: Record = {
            "format": of.FORMAT, "id": f"{of.stamp(self.began)}-drill", "environment": own.name,
            "host": os.uname().nodename,
            "run": run, "began_at": of.said(self.began), "ended_at": "", "result": "failed", "reason": "", "sets": {},
            "rto_s": None, "parts_s": self.parts, "rpo_s": None, "rpo_said": "", "checks": [],
        }  # fmt: skip

    def go(self) -> Record:
        """Go through it; return its record, which is written and signed, whatever came of it."""
        with self.own.alone("drill"):
            try:
                self._restored()
            except (Trouble, OSError) as error:
                self.record["reason"] = job.said(error)
            finally:
                self.scratch.end()
            failed = [one for one in self.record["checks"] if one["result"] != "passed"]
            if not self.record["reason"] and not failed:
                self.record["result"] = "passed"
            self.record["ended_at"] = of.said(time.time())
            sign(self.own, self.own.write("drills", self.record))
        metrics.write(self.own)
        return self.record

    def _restored(self) -> None:
        backup = of.newest(self.own.records(), "database")
        if backup is None:
            raise Trouble("no backup has passed a check: take one (`backup.run`)")
        self.record["sets"] = {"database": {"backup": backup["id"], "to": "latest"}}
        marker = self._marker()
        job.require_room(self.own, self.works.restored_bytes(backup))
        into = self._timed("copy", self.scratch.make)
        self._timed("copy", lambda: self.works.restore(backup, {"point": True}, into))
        manifest = self.own.manifest(backup)
        self._timed("recover", self._to_the_point)
        self._check("manifest", self._timed("check", lambda: self.scratch.differences(manifest)), _tables(manifest))
        self._timed("recover", self._to_the_end)
        self._check("amcheck", self._timed("check", self.scratch.amcheck), "every table and index is whole")
        self._rpo(marker)
        self.record["rto_s"] = round(time.time() - self.began, 3)

    def _to_the_point(self) -> None:
        """Recover to the backup's own point, and stay there: what its manifest tells is to be there just so."""
        self.scratch.start(recovery_target_action="pause")
        self.scratch.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")

    def _to_the_end(self) -> None:
        """Go on to the last that was streamed, and begin to serve."""
        self.scratch.stop()
        self.scratch.start(recovery_target_name="", recovery_target_xid="", recovery_target_action="promote")
        self.scratch.wait_for("select not pg_is_in_recovery()")

    def _timed(self, part: str, act: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return act()
        finally:
            self.parts[part] = round(self.parts.get(part, 0.0) + time.monotonic() - began, 3)

    def _check(self, name: str, found: list[str], good: str) -> None:
        said = "; ".join(found[:5]) or good
        self.record["checks"].append({"name": name, "result": "failed" if found else "passed", "said": said})

    # What would be lost

    def _marker(self) -> tuple[int, float] | None:
        """Have the source acknowledge a transaction now; return its number and the moment, None where it is away."""
        try:
            with closing(postgres.Session(self.works.conninfo, "postgres")) as session:
                return int(session.ask("select pg_current_xact_id()")), time.time()
        except Trouble:
            return None

    def _rpo(self, marker: tuple[int, float] | None) -> None:
        if marker is None:
            self.record["rpo_said"] = "nobody knows: the source was away, and could not say what it had acknowledged"
            return
        with closing(postgres.Session(self.scratch.conninfo, "postgres")) as session:
            if postgres.became_of(session, [marker[0]]).get(marker[0]) == "committed":
                self.record["rpo_s"] = 0.0
                self.record["rpo_said"] = "everything that was acknowledged before it began is there"
                return
            last = session.ask("select extract(epoch from pg_last_xact_replay_timestamp())")
        if last:
            self.record["rpo_s"] = round(max(0.0, marker[1] - float(last)), 3)
        self.record["rpo_said"] = "what was acknowledged last is not there"


def _tables(manifest: Record) -> str:
    count = sum(len(base["tables"]) for base in manifest["databases"].values())
    rows = sum(table["rows"] for base in manifest["databases"].values() for table in base["tables"].values())
    return f"{count} tables with {rows} rows are as they were"


def sign(own: archive.Archive, path: str) -> None:
    """Sign a document with the archive's key; the signature lies beside it."""
    if os.path.exists(f"{path}.sig"):
        os.unlink(f"{path}.sig")
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key(own.name), path]
    archive.run(words, user="root")
