"""The program that timers and units run on the archive host."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time

from ansible_collections.ferryman.ops.plugins.module_utils.backup import drill, drills, job, metrics, offsite
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

VERBS = ("run", "check", "archive", "stream", "put-wal", "status", "drill", "offsite")


def run_name() -> str:
    """Return a new name of a run, as decision 1 has it."""
    return f"{of.stamp(time.time())}-{os.urandom(3).hex()}"


def become(own: Archive, verb: str) -> None:
    """Become a program of Barman's: the stream, or, for who comes by the key for that, the taker of a file of WAL."""
    works = job.engine(own, "database")
    if verb == "stream":
        works.stream()
    works.put_wal(test=os.environ.get("SSH_ORIGINAL_COMMAND") == "test")


def act(given: argparse.Namespace) -> int:
    """Do what was asked; return the exit code."""
    own = Archive(given.name)
    if given.verb in ("stream", "put-wal"):
        become(own, given.verb)
    if given.verb == "archive":
        drill.tidy(own)
        job.engine(own, "database").archive_wal()
        metrics.write(own)
    if given.verb == "run":
        told = job.take(own, given.set or "database", run_name(), {})
        record = told["record"]
        good = of.has_passed(record)
        findings = (record["check"] or {}).get("findings", [])
        print(f"{record['id']} {record['result']} {'; '.join(f['said'] for f in findings) or record['reason']}".strip())
        for line in [*(f"pruned {name}" for name in told["pruned"]), *told["notes"]]:
            print(line)
        return 0 if good and not told["notes"] else 1
    if given.verb == "check":
        checked = job.check(own, given.set or "database", given.backup)
        for record in checked:
            print(f"{record['id']} {record['check']['result']}", *(f["said"] for f in record["check"]["findings"]))
        return 0 if all(map(of.has_passed, checked)) else 1
    if given.verb == "drill":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that it still tears down
        made = drills.make(own, [given.set] if given.set else [], run_name())
        for found in made.records:
            lines = [f"{one['name']} {one['result']}: {one['said']}" for one in found["checks"]]
            print("\n".join([f"{found['id']} {found['result']} {found['reason']}".strip(), *lines]))
        for line in made.not_made:
            print(line)
        return 1 if made.wrong else 0
    if given.verb == "offsite":
        sent = offsite.copy(own, run_name())
        record, wrong = sent["record"], offsite.problems(sent["record"])
        print(f"{record['id']} {record['result']} {'; '.join(wrong)}".strip(), *sent["notes"], sep="\n")
        return 1 if wrong or sent["notes"] else 0
    if given.verb == "status":
        print(json.dumps(metrics.write(own), indent=1))
    return 0


def main() -> int:
    """Read the words, act, and say in one sentence what went wrong."""
    parser = argparse.ArgumentParser(prog="backup", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--name", required=True, help="the archive: the environment's name")
    parser.add_argument("--set", default="", choices=of.SETS, help="of drill: all if not said; else database")
    parser.add_argument("--backup", default="", help="of check: an id, or all; the newest if not said")
    try:
        return act(parser.parse_args())
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
    except OSError as error:
        print(job.said(error), file=sys.stderr)
    return 1
