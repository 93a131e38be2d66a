"""A restore on the host that gave the backup, as a recorded job: into a place of its own, in place, and back."""

from __future__ import annotations

import time

from ansible_collections.ferryman.ops.plugins.module_utils.backup import cache_restore, files_restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source import Source, said


def restore(own: Source, kind: str, wanted: Record, into: str, run: str, say: files_restore.Say) -> Record:
    """Restore a backup into an empty directory, or (`into` is empty) in place; return the job, which is written down.

    `wanted` says which one: `id`, and, where the archive's catalogue was asked, `engine_id` and `manifest`, by which
    an archive in another's place and a manifest that was changed are told.
    """
    began = time.time()
    job: Record = {
        "format": of.FORMAT, "id": run, "set": kind, "backup": wanted["id"], "into": into, "result": "failed",
        "reason": "", "began_at": of.said(began), "ended_at": "", "duration_s": 0.0, "bytes": 0, "aside": [],
    }  # fmt: skip
    with own.alone(kind):
        own.write("jobs", {**job, "result": "started"})
        try:
            record, manifest = files_restore.told(own, kind, wanted)
            job["backup"] = record["id"]
            job["bytes"] = sum(one["bytes"] for one in manifest["files"].values())
            works = cache_restore if kind == "cache" else files_restore
            if into:
                job.update(works.into(own, record, manifest, into, say))
            else:
                job.update(works.in_place(own, record, manifest, run, say))
            job["result"] = "restored"
        except (Trouble, OSError) as error:
            job["reason"] = said(error)
        job["ended_at"], job["duration_s"] = of.said(time.time()), round(time.time() - began, 3)
        own.write("jobs", job)
    return job


def back(own: Source, kind: str, run: str) -> list[str]:
    """Put back what a restore of a set in place put aside, also one that was killed; return the directories.

    It is the last one where `run` is empty. What was restored, and what was written since, is kept beside it.
    """
    with own.alone(kind):
        jobs = [job for job in own.documents("jobs")[0] if job["set"] == kind]
        known = [job["id"] for job in sorted(jobs, key=_began) if job["aside"] and job["result"] == "restored"]
        run = run or (known[-1] if known else "")
        done = _back(own, kind, run) if run else []
        if not done:
            what = f"the restore {run!r} of {kind} has nothing aside that could come back"
            raise Trouble(f"{what}: name one of: {', '.join(known) or 'none'}")
        for job in jobs:
            if job["id"] == run:
                own.write("jobs", {**job, "result": "taken back"})
    return done


def _back(own: Source, kind: str, run: str) -> list[str]:
    return cache_restore.back(own, run) if kind == "cache" else files_restore.back(own, kind, run)


def end(own: Source, kind: str) -> None:
    """Take away what a restore left to be looked at."""
    if kind != "cache":
        raise Trouble(f"{kind} was restored into a directory: remove that where you need it no more")
    with own.alone(kind):
        cache_restore.end(own)


def _began(job: Record) -> str:
    return str(job["began_at"])
