"""Deletes of a client, undone: a repository that was only appended to goes back to before them.

borg's own way, as its manual has it for append-only mode: the segments after a transaction are taken away.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collect import checked
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import Collector, some
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

TRANSACTION = re.compile(r"^transaction (\d+),", re.MULTILINE)
DERIVED = ("index.*", "hints.*", "integrity.*")  # borg makes them anew from the segments


class Undone(NamedTuple):
    """What an undelete did: the ids that are `back`, and `lost` (sent after the delete); where the rest lies."""

    back: list[str]
    lost: list[str]
    aside: str


def undelete(works: Collector, now: float) -> Undone:
    """Go back to the last transaction at which all that was deleted is there."""
    with works.archive.alone(works.kind), works.exclusively():
        before = works.ids()
        gone = works.missing(before)
        if not gone:
            raise Trouble(f"all that the catalogue knows of {works.kind} is there: keep it as it is")
        path = works.place.repository
        aside = f"{path}.undone-{of.stamp(now)}"
        os.mkdir(aside, 0o700)
        for transaction in sorted(transactions(path), reverse=True):
            take_away(path, aside, transaction)
            forget(works)
            now_there = works.ids()
            lost = {*works.missing(now_there), *(name for name in before.keys() - now_there if of.ID.fullmatch(name))}
            if lost.isdisjoint(gone):
                return _told(works, gone, sorted(lost), aside)
        put_back(path, aside)
        forget(works)
        raise Trouble(
            f"no transaction of {path} holds {some(gone)}: it was compacted, or an older copy lies in its place; "
            "look for another copy of this disk"
        )


def _told(works: Collector, gone: list[str], lost: list[str], aside: str) -> Undone:
    works.remember()
    for record in works.known():
        if record["id"] in gone:
            record["check"] = checked(works.check(record))
        elif record["id"] in lost:
            record["result"], record["reason"] = (
                "failed",
                f"was sent after a delete that was undone; it lies in {aside}",
            )
        else:
            continue
        works.archive.write("records", record)
    return Undone(gone, lost, aside)


def transactions(path: str) -> list[int]:
    """Return the transactions that a repository remembers, by their last segment."""
    try:
        with open(f"{path}/transactions", encoding="ascii", errors="replace") as file:
            return [int(number) for number in TRANSACTION.findall(file.read())]
    except FileNotFoundError:
        return []


def take_away(path: str, aside: str, transaction: int) -> None:
    """Move the segments after a transaction aside."""
    for segment in glob.glob(f"{path}/data/*/*"):
        if int(os.path.basename(segment)) > transaction:
            place = os.path.join(aside, os.path.relpath(segment, path))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.rename(segment, place)


def put_back(path: str, aside: str) -> None:
    for segment in glob.glob(f"{aside}/data/*/*"):
        os.rename(segment, os.path.join(path, os.path.relpath(segment, aside)))
    shutil.rmtree(aside)


def forget(works: Collector) -> None:
    """Drop what is made from the segments, and what this host remembers of how new the repository was."""
    for pattern in DERIVED:
        for each in glob.glob(f"{works.place.repository}/{pattern}"):
            os.unlink(each)
    for each in (f"{works.place.base}/.cache", f"{works.place.base}/.config/borg/security"):
        shutil.rmtree(each, ignore_errors=True)
