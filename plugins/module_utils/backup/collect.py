"""What hosts have sent into their repositories: entered into the catalogue, checked, kept by the archive's own rule."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive, replace
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import Collector
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

ORPHAN_S = 86400  # an archive that nobody has told of by then was given up
NOTED_S = 86400
AHEAD_S = 3600  # a clock that is further ahead is wrong


def collect(works: Collector, now: float) -> dict[str, Any]:
    """Enter and check what came since; return the `entered` records, and `notes` of what is wrong."""
    entered, notes = [], put_right(works)
    names = works.ids()
    known = {record["id"] for record in works.known()}
    for name in sorted(names):
        told = name[: -len(borg.TOLD)]
        if name.endswith(borg.TOLD) and told not in known:
            try:
                entered.append(enter(works, told, names, now))
            except Trouble as trouble:
                notes.append(f"{name} is not entered: {trouble}")
    if entered:
        wrong = works.unsound()
        notes += wrong
        if not wrong:
            works.remember()
    gone = note_missing(works, names)
    notes += [f"{each} went from the repository, and not by this host" for each in gone]
    lost = orphans(set(names), known, now)
    if lost and not gone and not works.is_busy():
        with works.exclusively():
            works.require_all()
            works.delete(lost)
    keep(works.archive, works.kind, notes, now)
    return {"entered": entered, "notes": notes}


def put_right(works: Collector) -> list[str]:
    """Have the repository's configuration as it was made; return what is to be noted."""
    said = f"somebody had changed the configuration of {works.place.repository}; it is as it was made again"
    return [said] if works.key() else []


def keep(own: Archive, kind: str, notes: list[str], now: float) -> None:
    """Have what is wrong told for a day, also where it was put right at once: it was somebody's work."""
    told: list[Record] = next((each["notes"] for each in own.documents("notes")[0] if each["id"] == kind), [])
    kept = [each for each in told if of.moment(each["at"]) > now - NOTED_S and each["said"] not in notes]
    kept += [{"at": of.said(now), "said": each} for each in notes]
    if kept != told:
        own.write("notes", {"format": of.FORMAT, "id": kind, "notes": kept})


def enter(works: Collector, name: str, names: dict[str, str], now: float) -> Record:
    """Enter one backup that was told, once what it says of itself is so, and check it."""
    own = works.archive
    record, manifest = works.told(name)
    wrong = problems(record, name, works.kind, own.name, names, manifest, now)
    if wrong:
        raise Trouble("; ".join(wrong))
    if of.is_whole(record):
        os.makedirs(f"{own.path}/manifests", exist_ok=True)
        replace(f"{own.path}/manifests/{name}.json", manifest)
        record["check"] = checked(works.compare(record, of.read(manifest, f"the manifest of {name}")))
    own.write("records", record)
    return record


def checked(findings: list[dict[str, str]]) -> Record:
    """Return what a check found, as a record has it."""
    return {"at": of.said(time.time()), "result": "failed" if findings else "passed", "findings": findings}


def problems(
    record: Record, name: str, kind: str, environment: str, names: dict[str, str], manifest: str, now: float
) -> list[str]:
    """Return what a record says of itself that is not so. Who sent it may have been anybody with the host's key."""
    wanted = {"id": name, "set": kind, "environment": environment, "engine": "borg", "check": None}
    wrong = [f"its {key} is {record.get(key)!r}" for key, value in wanted.items() if record.get(key) != value]
    found = of.ID.fullmatch(name)
    if not found or found[2] != kind:
        return [*wrong, f"{name!r} is no name of a backup of {kind}"]
    if record.get("began_at") != of.said(of.moment(found[1])):
        wrong.append("it began at another moment than its name says")
    if of.moment(found[1]) > now + AHEAD_S:
        wrong.append("it began in the future: set that host's clock")
    if record.get("result") not in ("taken", "failed"):
        wrong.append(f"its result is {record.get('result')!r}")
    elif of.is_whole(record):
        if names.get(name) != record.get("engine_id"):
            wrong.append("its archive is not there, or another one")
        if hashlib.sha256(manifest.encode()).hexdigest() != record.get("manifest"):
            wrong.append("its manifest is another one")
        else:
            wrong += _of_manifest(manifest, name)
    return wrong


def _of_manifest(text: str, name: str) -> list[str]:
    try:
        told = of.read(text, "its manifest")
    except Trouble as trouble:
        return [str(trouble)]
    whole = told.get("id") == name and isinstance(told.get("files"), dict) and told["files"]
    return [] if whole else ["its manifest tells of nothing"]


def note_missing(works: Collector, names: dict[str, str]) -> list[str]:
    """Write down of each backup that is gone that it can't be restored; return their ids."""
    gone = works.missing(names)
    for record in works.known():
        if record["id"] in gone:
            said = "it went from the repository, and not by this host: `undelete` may bring it back"
            record["check"] = checked([{"what": "deleted", "said": said}])
            works.archive.write("records", record)
    return gone


def orphans(names: set[str], known: set[str], now: float) -> list[str]:
    """Return the archives that nobody has told of for a day: what runs that were killed left behind."""
    lost = []
    for name in sorted(names):
        found = of.ID.match(name)
        untold = not name.endswith(borg.TOLD) and name not in known and name + borg.TOLD not in names
        if untold and found and of.moment(found[1]) < now - ORPHAN_S:
            lost.append(name)
    return lost
