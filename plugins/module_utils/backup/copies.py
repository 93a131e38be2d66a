"""What is known of the copies of an archive off site: their settings, their records, and what those mean."""

from __future__ import annotations

import os

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import SETTINGS
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Place
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record

DOCUMENTS = "copies"
SECRETS = ("password", "access_key", "secret_key", "certificate")  # a file each; the certificate may be empty


def settings_file(name: str) -> str:
    """Return where the settings of an archive's copies are, without secrets; there is none where none are sent."""
    return f"{SETTINGS}/{name}.offsite.json"


def secrets(name: str) -> str:
    """Return the directory of what opens the bucket and the repository; root reads it alone."""
    return f"{SETTINGS}/{name}.offsite"


def settings(name: str) -> Record | None:
    """Return the settings of an archive's copies; None where none are sent."""
    try:
        with open(settings_file(name), encoding="utf-8") as file:
            return of.read(file.read(), file.name)
    except FileNotFoundError:
        return None


def place(name: str, told: Record) -> Place:
    """Return the repository of an archive's copies, by its settings."""
    given = {}
    for key in SECRETS:
        with open(f"{secrets(name)}/{key}", encoding="utf-8") as file:
            given[key] = file.read()
    return Place(repository=told["repository"], region=told["region"], **given)


def begun(name: str, moment: float, run: str) -> Record:
    """Return the record of a copy that begins now; it is one of a backup, and `holds` the ids of those that it has."""
    return {
        "format": of.FORMAT, "id": f"{of.stamp(moment)}-{of.OFFSITE}", "set": of.OFFSITE, "environment": name,
        "engine": "restic", "engine_id": "", "engine_facts": {}, "source": {"host": os.uname().nodename}, "run": run,
        "began_at": of.said(moment), "ended_at": "", "duration_s": 0.0, "bytes": 0, "result": "failed", "reason": "",
        "point": None, "manifest": "", "release": {}, "held_until": "", "check": None, "holds": [],
    }  # fmt: skip


def turn(copies: list[Record], parts: int) -> str:
    """Return which part of the data the next copy's check reads, as `3/28`: after so many copies, all was read."""
    last = of.newest(copies, of.OFFSITE, of.is_whole)
    part = int(last["engine_facts"].get("read", "0").partition("/")[0]) if last else 0
    return f"{part % parts + 1}/{parts}"


def wanting(records: list[Record], kinds: list[str]) -> list[str]:
    """Return why what is in an archive is not good enough for older copies of it to go, in sentences."""
    found = []
    for kind in kinds:
        whole = of.newest(records, kind, of.is_whole)
        if whole is None:
            found.append(f"no backup of {kind} was taken yet")
        elif not of.has_passed(whole):
            found.append(f"the newest backup of {kind}, {whole['id']}, has not passed its check")
    return found


def holding(copies: list[Record]) -> dict[str, str]:
    """Return the newest good copy of each backup that one has, by the backup's id."""
    good = sorted((one for one in copies if of.has_passed(one)), key=of.taken_at)
    return {backup: one["id"] for one in good for backup in one["holds"]}
