"""Copies of a whole archive in a bucket: sent once a day, read there in turns, kept by rule."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import copies, frozen, job, metrics, retention
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collect import checked
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Restic, require_answer
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble


class Copies(Restic):
    """The engine's verbs over an archive: what is taken is all of it."""

    def __init__(self, own: Archive) -> None:
        told = copies.settings(own.name)
        if told is None:
            raise Trouble(f"nothing of {own.name} goes off site: set backup_offsite_repository, then `provision`")
        super().__init__(copies.place(own.name, told), own.name)
        self.own, self.told = own, told
        self.begun = False  # something of a copy may be there

    def known(self) -> list[Record]:
        """Return what the catalogue has of copies, oldest first."""
        return self.own.documents(copies.DOCUMENTS)[0]

    def take(self, record: Record) -> None:
        """Send the archive as it is now, and fill in its record."""
        if not self.is_there():
            raise Trouble(
                f"{self.place.repository}: the repository is gone, or the address is another; to begin a new one, "
                f"remove {copies.settings_file(self.name)} on the archive's host, and provision"
            )
        self.unlock()
        with frozen.frozen(self.own) as holds:
            self.begun = True
            there = [path for path in frozen.PATHS if os.path.isdir(f"{self.own.path}/{path}")]
            found = self.send(record["id"], self.own.path, there)
        record.update(holds=holds, engine_id=found["engine_id"], bytes=found["bytes"])
        read = copies.turn(self.known(), self.told["parts"])
        record["engine_facts"] = {"sent_bytes": found["sent_bytes"], "read": read}

    def check(self, record: Record, *, whole: bool = False) -> list[dict[str, str]]:
        """Read the repository, of its data this copy's part or all; return what is not as it was, or not good."""
        part = "all" if whole else record["engine_facts"]["read"]
        found = [{"what": "bucket", "said": said} for said in self.read(record["engine_id"], part)]
        wanting = copies.wanting(self.own.records(), self.own.settings["sets"])
        return found + [{"what": "archive", "said": said} for said in wanting]

    def prune(self, record: Record) -> None:
        """Drop a copy; what only it held goes with `compact`."""
        self.drop(record["id"])

    def abandon(self, record: Record) -> None:
        """Drop what a copy that failed left behind."""
        if self.begun:
            require_answer(self.place)
            self.drop(record["id"])


def copy(own: Archive, run: str) -> dict[str, Any]:
    """Send a copy, read it there, and prune what may go; return {record, pruned: ids, notes}.

    A failure is in the catalogue of copies, too, with its reason; nothing is pruned then.
    """
    works, began = Copies(own), time.time()
    record, pruned, notes = copies.begun(own.name, began, run), list[str](), list[str]()
    with own.alone(works.kind):
        try:
            works.take(record)
            job.ended(record, began, "taken")
        except (Trouble, OSError) as error:
            record["reason"] = job.said(error)
            job.given_up(works, record, began)
        own.write(copies.DOCUMENTS, record)
        if of.is_whole(record):
            record["check"] = job.look(own, works, record)
            own.write(copies.DOCUMENTS, record)
        if of.has_passed(record):
            pruned, notes = prune(own, works)
    metrics.write(own)
    return {"record": record, "pruned": pruned, "notes": notes}


def check(own: Archive) -> Record:
    """Read all that is in the bucket; return the record of the newest copy as it is now."""
    works = Copies(own)
    with own.alone(works.kind, wait=True):
        record = of.newest(works.known(), works.kind, of.is_whole)
        if record is None:
            raise Trouble("no copy is off site yet: send one (`backup.offsite`)")
        require_answer(works.place)
        works.unlock()
        record["check"] = checked(works.check(record, whole=True))
        own.write(copies.DOCUMENTS, record)
    metrics.write(own)
    return record


def prune(own: Archive, works: Copies) -> tuple[list[str], list[str]]:
    """Drop the copies that the rule lets go, oldest first; return their ids, and what could not be dropped."""
    known = {record["id"]: record for record in works.known()}
    judged = retention.copies(list(known.values()), works.told["keep_days"], time.time())
    expired = [each.id for each in judged if not each.keep]
    gone, notes = [], []
    try:
        for name in expired:
            works.prune(known[name])
            os.unlink(f"{own.path}/{copies.DOCUMENTS}/{name}.json")
            gone.append(name)
        if gone:
            works.compact()
    except (Trouble, OSError) as error:
        notes.append(f"copies that may go are still there: {job.said(error)}")
    return gone, notes


def problems(record: Record) -> list[str]:
    """Return why a copy is not good, in sentences; nothing where it is."""
    findings = [each["said"] for each in (record["check"] or {}).get("findings", [])]
    return findings or ([record["reason"]] if record["reason"] else [])
