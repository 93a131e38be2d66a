"""An archive brought back from off site to a host that has none: all of it, or nothing of it is in place."""

from __future__ import annotations

import glob
import json
import os
import shutil
import time
from typing import Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, choosing, copies, frozen, job, space
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Restic, Snapshot
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

COMING = ".coming.json"  # which copy is being brought: it is taken up again after a run that was cut off
HOLDING = (*frozen.OF_SETS, *frozen.OF_ALL, frozen.DATABASE, *of.FILES)


class Wished(NamedTuple):
    """What is asked for: the archive's name, where it lies, up to when, and what must stay free there."""

    name: str
    path: str
    to: str
    keep_free_bytes: int

    @property
    def home(self) -> str:
        return os.path.join(self.path, self.name)


def chosen(found: list[Snapshot], to: str) -> Snapshot:
    """Return the copy that is meant: the latest, one by the beginning of its name, or the last up to a moment."""
    if not found:
        raise Trouble("no copy of this archive is there: look at backup_offsite_repository and backup_name")
    if to == "latest":
        return found[-1]
    moment = choosing.moment(to)
    if moment is None:
        named = [each for each in found if each.name.startswith(to)]
    else:
        named = [each for each in found if each.at <= moment][-1:]
    if len(named) != 1:
        there = ", ".join(each.name for each in found)
        raise Trouble(f"{to!r} means {len(named) or 'no'} copies: take one of {there}")
    return named[0]


def occupied(home: str) -> list[str]:
    """Return the directories of an archive in which something lies already."""
    found = []
    for name in HOLDING:
        path = f"{home}/{name}"
        if os.path.isdir(path) and set(os.listdir(path)) - {frozen.BESIDE}:
            found.append(path)
    return found


def bring(works: Restic, wished: Wished, run: str) -> Record:
    """Bring an archive back from the copy that is wished for; return the job, which is written down.

    What comes lies beside its place until all of it was read again; then it is renamed. Trouble where an archive lies
    there, or where there is no room; then nothing was touched.
    """
    with archive.alone(wished.name, Restic.kind):
        began, home = time.time(), wished.home
        coming = _coming(home)
        if not coming:
            _require_nothing(home)
        copy = chosen(works.snapshots(), coming.get("copy", wished.to))
        if not coming.get("came"):
            _require_room(works.bytes_of(copy.id), wished)
            _note(home, {"copy": copy.name, "came": False})
            _come(works, copy, home)
            _note(home, {"copy": copy.name, "came": True})
        _place(home)
        told = _job(wished, copy, run, began)
        _write(home, "jobs", told)
        _write(home, copies.DOCUMENTS, _known(wished.name, copy, told["holds"], run))
        os.unlink(f"{home}/{COMING}")
    return told


def _coming(home: str) -> dict[str, Any]:
    try:
        with open(f"{home}/{COMING}", encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def _note(home: str, told: dict[str, Any]) -> None:
    archive.replace(f"{home}/{COMING}", json.dumps(told), 0o600)


def _require_nothing(home: str) -> None:
    there = occupied(home)
    if there:
        raise Trouble(
            f"an archive lies here already ({', '.join(there)}), and nothing was touched: take a host "
            f"that has none, before it is provisioned; or stop the units of this one, and move {home} aside"
        )


def _require_room(needed: int, wished: Wished) -> None:
    found = os.statvfs(wished.home)
    room = space.Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
    verdict = space.judge(needed, room, wished.keep_free_bytes, wished.home)
    if not verdict.enough:
        raise Trouble(f"{verdict.said}; nothing was touched: give the host a larger disk for backup_path")


def _come(works: Restic, copy: Snapshot, home: str) -> None:
    """Write what a copy holds beside its place: the database's part as its account, which alone may give it away."""
    for path, user in zip(frozen.PATHS, ("root", archive.USER)):
        shutil.rmtree(f"{home}/{path}", ignore_errors=True)
        works.bring(copy.id, home, path, user)


def _place(home: str) -> None:
    """Rename what came into its place; what of it is there already was renamed by a run that was cut off."""
    for path in frozen.PATHS:
        came = f"{home}/{path}"
        for name in sorted(os.listdir(came)) if os.path.isdir(came) else []:
            there = f"{os.path.dirname(came)}/{name}"
            if os.path.isdir(there) and not os.listdir(there):
                os.rmdir(there)
            os.rename(f"{came}/{name}", there)
        if os.path.isdir(came):
            os.rmdir(came)


def _job(wished: Wished, copy: Snapshot, run: str, began: float) -> Record:
    listed = sorted(glob.glob(f"{wished.home}/records/*.json"))
    told = {
        "format": of.FORMAT, "id": run, "set": Restic.kind, "environment": wished.name, "backup": copy.name,
        "to": wished.to, "into": wished.home, "began_at": of.said(began), "result": "failed", "reason": "",
        "holds": [os.path.basename(path)[: -len(".json")] for path in listed], "of": of.said(copy.at),
    }  # fmt: skip
    job.ended(told, began, "restored")
    return told


def _known(name: str, copy: Snapshot, holds: list[str], run: str) -> Record:
    """Return the record of the copy itself, which is younger than the catalogue in it."""
    record = copies.begun(name, copy.at, run)
    record.update(id=copy.name, engine_id=copy.id, result="taken", ended_at=record["began_at"], holds=holds)
    return record


def _write(home: str, kind: str, told: Record) -> None:
    os.makedirs(f"{home}/{kind}", mode=0o755, exist_ok=True)
    archive.replace(f"{home}/{kind}/{told['id']}.json", of.written(told))
