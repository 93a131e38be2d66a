"""A restore of every set as one recorded job, on the archive's host: what was chosen, and what became of each set."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import choosing, job
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

SET = "all"


def begin(own: Archive, to: str, lives: choosing.Lives, into: str, files: list[str], run: str) -> Record:
    """Choose a backup of every set, and write the job down before anything is restored; return it.

    `files` are the sets of files whose hosts are there: of one that nobody gives any more nothing can be given back.
    """
    now = time.time()
    kinds = [kind for kind in own.settings["sets"] if kind in files or kind not in of.FILES]
    leads = job.engine(own, "database").refusal if "database" in kinds else lambda _: ""
    found = choosing.whole(own.records(), kinds, to, now, lives, leads)
    told: Record = {
        "format": of.FORMAT, "id": run, "set": SET, "environment": own.name, "to": to, "into": into,
        "sets": {kind: _of_set(run, kind, *chosen) for kind, chosen in found.items()},
        "began_at": of.said(now), "ended_at": "", "duration_s": 0.0, "result": "started", "reason": "",
    }  # fmt: skip
    own.write("jobs", told)
    return told


def _of_set(run: str, kind: str, record: Record, to: dict[str, Any]) -> Record:
    """Return what is restored of a set: which backup, how the set's own restore is told, and of when it is."""
    is_continuous = record["point"] is not None  # a moment is reached exactly; else the backup is of its own
    moment = to.get("time", "") if is_continuous and not to.get("point") else of.said(of.reaches(record))
    return {
        "backup": record["id"], "engine_id": record["engine_id"], "manifest": record["manifest"],
        "to": to.get("time") or ("latest" if to.get("latest") else record["id"]), "of": moment, "job": f"{run}-{kind}",
        "into": "", "aside": [],
    }  # fmt: skip


def end(own: Archive, run: str, result: str, reason: str, sets: Mapping[str, Mapping[str, Any]]) -> Record:
    """Write down what became of a job, and of each set what its own restore said (into, aside); return it."""
    told = read(own, run)
    for kind, said in sets.items():
        told["sets"][kind].update({key: said[key] for key in ("into", "aside", "look") if said.get(key)})
    ended = time.time()
    took = round(ended - of.moment(told["began_at"]), 3)
    told.update(result=result, reason=reason, ended_at=of.said(ended), duration_s=took)
    own.write("jobs", told)
    return told


def read(own: Archive, run: str) -> Record:
    """Return a job by its name; the last that is in place where `run` is empty."""
    jobs = [one for one in own.documents("jobs")[0] if one["set"] == SET]
    if run:
        jobs = [one for one in jobs if one["id"] == run]
    else:
        jobs = [one for one in jobs if one["into"] == "place" and one["result"] == "restored"]
    if not jobs:
        what = f"has the name {run}" if run else "is in place"
        raise Trouble(f"no restore of all sets {what}, so nothing can go back: look at {own.path}/jobs")
    return max(jobs, key=lambda one: str(one["began_at"]))
