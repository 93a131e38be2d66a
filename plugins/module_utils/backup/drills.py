"""Drills of the sets of an archive, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import job
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill import Drill
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill_cache import OfCache
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill_database import OfDatabase
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill_files import OfFiles
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

KINDS: dict[str, Callable[[Archive, str, str], Drill]] = {
    "database": OfDatabase, "media": OfFiles, "config": OfFiles, "cache": OfCache,
}  # fmt: skip


class Made(NamedTuple):
    """The records of the drills that were made, and why others were not, in sentences."""

    records: list[Record]
    not_made: list[str]

    @property
    def wrong(self) -> list[str]:
        """Everything that is wrong, in sentences; nothing where all is well."""
        return [said for record in self.records for said in problems(record)] + self.not_made


def make(own: Archive, kinds: Iterable[str], run: str) -> Made:
    """Make a drill of each of some sets, of all that the archive keeps where none is named.

    One that fails stops no other. Trouble, before any begins, where there is no such set.
    """
    wanted = list(dict.fromkeys(kinds)) or list(own.settings["sets"])
    for kind in wanted:
        job.engine(own, kind)
    made = Made([], [])
    for kind in wanted:
        try:
            made.records.append(KINDS[kind](own, kind, run).go())
        except (Trouble, OSError) as error:
            made.not_made.append(f"{kind}: {job.said(error)}")
    return made


def problems(record: Record) -> list[str]:
    """Return why a drill did not pass, in sentences that name its set."""
    said = [f"{one['name']}: {one['said']}" for one in record["checks"] if one["result"] != "passed"]
    if record["reason"]:
        said.append(record["reason"])
    kind = ", ".join(record["sets"])
    return [f"{kind}: {each}" for each in said] if record["result"] != "passed" else []
