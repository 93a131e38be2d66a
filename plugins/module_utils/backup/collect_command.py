"""The program of an archive's host for the files of others: enters what came, checks, prunes; takes back deletes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, metrics
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collect import collect
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import Collector
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.undelete import undelete

VERBS = ("collect", "undelete")


def whole(own: Archive, kinds: Iterable[str] = of.FILES, *, wait: bool = False) -> dict[str, list[Any]]:
    """Enter and check what came of some sets, prune them, and tell those who watch; `notes` is what is wrong.

    While a host sends, nothing is looked at but where it is to `wait`, and nothing is pruned: the next run does it.
    """
    done: dict[str, list[Any]] = {"entered": [], "pruned": [], "notes": []}
    for works in [Collector(own, kind) for kind in kinds if kind in own.settings["sets"]]:
        if wait or not works.is_busy():
            for key, what in collected(works, time.time()).items():
                done[key] += what
    metrics.write(own)
    return done


def collected(works: Collector, now: float) -> dict[str, list[Any]]:
    """Enter, check and prune one set."""
    with works.archive.alone(works.kind, wait=True):
        told = collect(works, now)
        for record in told["entered"]:
            if not of.is_whole(record):
                told["notes"].append(f"{record['id']} failed: {record['reason']}")
            told["notes"] += [f"{record['id']}: {each['said']}" for each in (record["check"] or {}).get("findings", [])]
        pruned, kept = ([], []) if works.is_busy() else job.prune(works.archive, works.kind)
    return {"entered": told["entered"], "pruned": pruned, "notes": told["notes"] + kept}


def act(given: argparse.Namespace) -> int:
    """Do what was asked; return the exit code."""
    own = Archive(given.name)
    if given.verb == "undelete":
        done = undelete(Collector(own, given.set), time.time())
        print(f"there again: {', '.join(done.back)}; lost: {', '.join(done.lost) or 'none'}; aside: {done.aside}")
        metrics.write(own)
        return 0
    told = whole(own)
    lines = [f"{record['id']} {record['result']}" for record in told["entered"]]
    for line in [*lines, *(f"pruned {name}" for name in told["pruned"]), *told["notes"]]:
        print(line)
    return 1 if told["notes"] else 0


def main() -> int:
    """Read the words, act, and say in one sentence what went wrong."""
    parser = argparse.ArgumentParser(prog="backup-files", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--name", required=True, help="the archive: the environment's name")
    parser.add_argument("--set", default="media", choices=of.FILES, help="of undelete")
    try:
        return act(parser.parse_args())
    except (Trouble, OSError) as error:
        print(job.said(error) if isinstance(error, OSError) else error, file=sys.stderr)
    return 1
