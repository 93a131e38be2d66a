"""A drill of the database: a server of its own on what was restored, and what PostgreSQL says of it."""

from __future__ import annotations

import time
from contextlib import closing

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, drill, job, postgres
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.scratch import Scratch


class OfDatabase(drill.Drill):
    """One drill of set `database`."""

    def __init__(self, own: archive.Archive, kind: str, run: str) -> None:
        super().__init__(own, kind, run)
        self.scratch = Scratch(drill.place(own), own.settings["database"]["programs"])

    def end(self) -> None:
        """Stop the server, and remove it."""
        self.scratch.end()

    def restored(self) -> None:
        """Restore, start, compare at the backup's point, and go on to the last that was streamed."""
        backup = self.newest()
        marker = self._marker()
        job.require_room(self.own, self.works.restored_bytes(backup))
        into = self.timed("copy", self.scratch.make)
        self.timed("copy", lambda: self.works.restore(backup, {"point": True}, into))
        manifest = self.own.manifest(backup)
        self.timed("recover", self._to_the_point)
        self.check("manifest", self.timed("check", lambda: self.scratch.differences(manifest)), _tables(manifest))
        self.timed("recover", self._to_the_end)
        self.check("amcheck", self.timed("check", self.scratch.amcheck), "every table and index is whole")
        self._rpo(marker)
        self.back()

    def _to_the_point(self) -> None:
        """Recover to the backup's own point, and stay there: what its manifest tells is to be there just so."""
        self.scratch.start(recovery_target_action="pause")
        self.scratch.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")

    def _to_the_end(self) -> None:
        """Go on to the last that was streamed, and begin to serve."""
        self.scratch.stop()
        self.scratch.start(recovery_target_name="", recovery_target_xid="", recovery_target_action="promote")
        self.scratch.wait_for("select not pg_is_in_recovery()")

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
