"""A drill of the database: a server of its own on what was restored, and what PostgreSQL says of it."""

from __future__ import annotations

import time
from contextlib import closing

from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    archive,
    choosing,
    drill,
    job,
    lost,
    postgres,
    rehearsal,
    restore,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.scratch import Scratch

ACKNOWLEDGED_S = 30.0  # a commit that waits for longer is one that nobody acknowledges
EVIDENCE = 4  # lines of a log that stand beside what a check found; the record has more


class OfDatabase(drill.Drill):
    """One drill of set `database`."""

    def __init__(self, own: archive.Archive, kind: str, run: str) -> None:
        super().__init__(own, kind, run)
        self.line: int | None = None  # the timeline on which recovery ends
        self.scratch = Scratch(drill.place_of_database(own), own.settings["database"]["programs"])

    def end(self) -> None:
        """Stop the server, and remove it."""
        self.scratch.end()

    def restored(self) -> None:
        """Restore and find it whole, and then, which nobody waits for in a restore, ask the applications."""
        self.found_whole()
        self.back()
        self._applications()

    def found_whole(self) -> None:
        """Restore, start, compare at the backup's point, and go on to the last that was streamed."""
        self.newest()  # refuses where none has passed
        chosen = choosing.choose(self.own.records(), self.kind, "latest", self.began, self.works.refusal)
        backup, to = restore.along(self.works, *chosen)
        self.record["sets"][self.kind]["backup"] = backup["id"]
        self.line = to.get("line") or of.timeline(backup)
        job.require_room(self.own, self.works.restored_bytes(backup))
        into = self.timed("copy", self.scratch.make)
        marker, began = self._marker(), time.monotonic()
        goal = {**to, "latest": False, "point": True}
        self.timed("copy", lambda: self.works.restore(backup, goal, into))
        copied_s = time.monotonic() - began
        manifest = self.own.manifest(backup)
        self.timed("recover", self._to_the_point)
        self.check("manifest", self.timed("check", lambda: self.scratch.differences(manifest)), _tables(manifest))
        self.timed("recover", self._to_the_end)
        if marker:  # before anything is written here: that would take the numbers of transactions that are lost
            self._rpo(marker, of.reaches(backup), copied_s)
        self.check("amcheck", self.timed("check", self.scratch.amcheck), "every table and index is whole")

    def _to_the_point(self) -> None:
        """Recover to the backup's own point, and stay there: what its manifest tells is to be there just so."""
        self.scratch.start(recovery_target_action="pause")
        self.scratch.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")

    def _to_the_end(self) -> None:
        """Go on to the last that was streamed, and begin to serve."""
        self.scratch.stop()
        self.scratch.start(recovery_target_name="", recovery_target_xid="", recovery_target_action="promote")
        self.scratch.wait_for("select not pg_is_in_recovery()")

    def _applications(self) -> None:
        """Have the applications say whether they are well on it."""
        run = self.record["run"]
        told = self.timed("applications", lambda: rehearsal.ask(self.own.name, self.scratch.directory, run))
        self.record["applications"] = told
        for site, one in told.items():
            if one["result"] in (rehearsal.PASSED, rehearsal.FAILED):
                why = [one["said"], *one["evidence"][-EVIDENCE:]] if one["result"] == rehearsal.FAILED else []
                self.check(f"application {site}", why, one["said"])

    # What would be lost

    def _marker(self) -> lost.Marker | None:
        """Have the source acknowledge a transaction now; None where it does not."""
        try:
            found = postgres.acknowledged(self.works.conninfo, within_s=ACKNOWLEDGED_S)
        except Trouble:
            self.record["rpo_said"] = lost.AWAY
            return None
        if found is None:
            self.record["rpo_said"] = lost.SILENT
        return found

    def _rpo(self, marker: lost.Marker, reaches: float, copied_s: float) -> None:
        """Measure what would be lost; `reaches` is the moment that is there at least, in seconds since 1970."""
        wrong = lost.strayed(marker, self.line)
        if wrong:  # transactions of another history bear the same numbers
            self.record["rpo_said"] = wrong
            return self.check("acknowledged", [wrong], "")
        with closing(postgres.Session(self.scratch.conninfo, "postgres")) as session:
            unknown = int(session.ask("select pg_snapshot_xmax(pg_current_snapshot())"))
            known = [marker.number] if marker.number < unknown else []  # of others PostgreSQL refuses to speak
            committed = postgres.became_of(session, known).get(marker.number) == "committed"
            last = session.ask("select extract(epoch from pg_last_xact_replay_timestamp())")
        there = lost.There(committed, unknown, float(last) if last else reaches)
        lost_s = lost.seconds(marker, there, copied_s)
        wrong = lost.wrong(lost_s, synchronous=self.own.settings["synchronous"])
        self.record["rpo_s"], self.record["rpo_said"] = lost_s, wrong or lost.said(lost_s)
        return self.check("acknowledged", [wrong] if wrong else [], self.record["rpo_said"])


def _tables(manifest: Record) -> str:
    count = sum(len(base["tables"]) for base in manifest["databases"].values())
    rows = sum(table["rows"] for base in manifest["databases"].values() for table in base["tables"].values())
    return f"{count} tables with {rows} rows are as they were"
