"""The program of a host whose files are taken: for its timers, for `backup.run` and `backup.restore`, and by hand."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup import source_restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source import Source, said, take

VERBS = ("take", "list", "restore", "back", "end")
EVERY_S = 1.0


class Progress:
    """Lines for people, no more than one a second."""

    def __init__(self) -> None:
        self.next = 0.0

    def __call__(self, line: str) -> None:
        if time.monotonic() >= self.next:
            print(line, file=sys.stderr, flush=True)
            self.next = time.monotonic() + EVERY_S


def run_name() -> str:
    """Return a new name of a run, as decision 1 has it."""
    return f"{of.stamp(time.time())}-{os.urandom(3).hex()}"


def act(given: argparse.Namespace) -> int:
    """Do what was asked; return the exit code."""
    own, run = Source(given.name), given.run or run_name()
    if given.verb == "take":
        record = take(own, given.set, run, json.loads(given.release))
        return tell(given, record, f"{record['id']} {record['result']} {record['reason']}", of.is_whole(record))
    if given.verb == "list":
        names = [name for name in own.engine(given.set).ids() if of.ID.fullmatch(name)]
        return tell(given, {"backups": names}, "\n".join(names), True)
    if given.verb == "restore":
        if bool(given.into) == given.place:
            raise Trouble("a restore goes somewhere: give --into DIRECTORY, or --place for where it was")
        wanted = {"id": given.backup, "engine_id": given.engine_id, "manifest": given.manifest}
        job = source_restore.restore(own, given.set, wanted, given.into, run, Progress())
        aside = f"; what was there lies in {', '.join(job['aside'])}: `back --run {run}`" if job["aside"] else ""
        said_ = f"{job['id']} {job['result']} {job['backup']} {job['reason']}".strip() + aside
        return tell(given, job, said_, job["result"] == "restored")
    if given.verb == "end":
        source_restore.end(own, given.set)
        return tell(given, {"ended": given.set}, f"what was restored of {given.set} is gone", True)
    roots = source_restore.back(own, given.set, given.run)
    return tell(given, {"back": roots}, f"{', '.join(roots)}: as before the restore", True)


def tell(given: argparse.Namespace, told: Record, text: str, good: bool) -> int:
    print(json.dumps(told) if given.json else text.strip())
    return 0 if good else 1


def main() -> int:
    """Read the words, act, and say in one sentence what went wrong."""
    parser = argparse.ArgumentParser(prog="backup-source", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--name", required=True, help="the archive: the environment's name")
    parser.add_argument("--set", default="media", choices=of.FILES)
    parser.add_argument("--run", default="", help="of back: the restore (the last if not said); else this run")
    parser.add_argument("--backup", default="", help="of restore: its id; the newest if not said")
    parser.add_argument("--engine-id", default="", help="of restore: as the catalogue has it")
    parser.add_argument("--manifest", default="", help="of restore: as the catalogue has it")
    parser.add_argument("--into", default="", help="of restore: an empty directory, or one that is not there")
    parser.add_argument("--place", action="store_true", help="of restore: where it was; what is there is kept aside")
    parser.add_argument("--release", default="{}", help="of take: the releases by application, as JSON")
    parser.add_argument("--json", action="store_true", help="print one object")
    try:
        return act(parser.parse_args())
    except (Trouble, OSError) as error:
        print(said(error), file=sys.stderr)
    return 1
