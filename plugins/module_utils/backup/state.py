"""The state of an archive: what is there, how the stream is, what is wrong."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    copies,
    freshness,
    incoming,
    retention,
    sealed,
    space,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.barman import Barman
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def look(own: Archive) -> dict[str, Any]:
    """Return everything that is known of an archive now, and as `wrong` what is wrong with it, worst first."""
    now = time.time()
    records, damaged = own.documents("records")
    drills, damaged_drills = own.documents("drills")
    state: dict[str, Any] = {"records": records, "drills": drills, "space": _space(own, records)}
    if "database" in own.settings["sets"]:
        state["stream"] = _stream(own, records)
    settings, rule = own.settings, _rule(own)
    wrong = [freshness.Wrong("P1", "", each, "backup.check") for each in damaged + damaged_drills]
    sent = copies.settings(own.name)
    if sent is not None:
        state["copies"], lost = own.documents(copies.DOCUMENTS)
        rule = rule._replace(copy_every_s=sent["every_s"])
        wrong += [freshness.Wrong("P1", of.OFFSITE, each, "backup.offsite") for each in lost]
    where = copies.holding(state.get("copies", []))
    wrong += freshness.judge(state, rule, now)
    shut = sealed.shut(own)
    wrong += [freshness.Wrong("P1", "database", shut, "provision")] if shut else []
    for noted in own.documents("notes")[0]:
        do = f"backup.check --set {noted['id']}"
        wrong += [freshness.Wrong("P1", noted["id"], f"{each['at']}: {each['said']}", do) for each in noted["notes"]]
    kept = retention.decide(records, retention.Rule(settings["keep_days"], settings["keep_years"]), now)
    return {
        "name": own.name,
        "at": of.said(now),
        "path": own.path,
        "sets": {kind: _of_set(records, drills, kind, now) for kind in settings["sets"]},
        "full": of.last_drill(drills, of.FULL),
        "stream": state.get("stream"),
        "space": state["space"],
        "offsite": _offsite(sent, state["copies"], now) if sent is not None else None,
        "wrong": [each._asdict() for each in sorted(wrong, key=lambda each: each.severity)],
        "backups": [
            {
                **record,
                "why": why.why,
                "encrypted": record["set"] in of.FILES or own.sealed,
                "copy": where.get(record["id"], ""),
            }
            for record, why in zip(sorted(records, key=lambda r: r["id"]), kept)
        ],
    }


def require_drill(own: Archive) -> None:
    """Raise where the last drill of a set does not say that what is there can be restored."""
    found = freshness.of_drills(own.documents("drills")[0], _rule(own), time.time())
    if found:
        said = "; ".join(f"{each.set}: {each.said}" for each in found)
        makes = "` and `".join(sorted({each.do.split()[0] for each in found}))
        raise Trouble(f"{said}; `{makes}` makes one, and backup_drill_required asks for it")


def drilled(own: Archive, *, required: bool) -> list[dict[str, str]]:
    """Return a judgement on the last drill of each set, and what of their records cannot be read."""
    drills, damaged = own.documents("drills")
    found = freshness.judged(drills, _rule(own), required, time.time())
    return found + [{"key": "drill records", "state": "note", "said": each, "right": ""} for each in damaged]


def _rule(own: Archive) -> freshness.Rule:
    settings = own.settings
    return freshness.Rule(
        sets=tuple(settings["sets"]), every_s=settings["every_s"], wal_lag_s=settings["wal_lag_s"],
        full_days=settings["full_days"], drill_days=settings["drill_days"],
        full_drill_days=settings.get("full_drill_days", 0),
    )  # fmt: skip


def _of_set(records: list[dict[str, Any]], drills: list[dict[str, Any]], kind: str, now: float) -> dict[str, Any]:
    whole = of.newest(records, kind, of.is_whole)
    passed = of.newest(records, kind, of.is_restorable)
    recent = [
        one for one in records if one["set"] == kind and now - of.taken_at(one) <= freshness.RATE_DAYS * freshness.DAY_S
    ]
    return {
        "last": whole["id"] if whole else "",
        "age_s": round(now - of.taken_at(whole), 1) if whole else None,
        "bytes": whole["bytes"] if whole else None,
        "duration_s": whole["duration_s"] if whole else None,
        "passed": passed["id"] if passed else "",
        "success_rate": freshness.success_rate(recent),
        "count": sum(one["set"] == kind and of.is_whole(one) for one in records),
        "drill": of.last_drill(drills, kind),
    }


def _offsite(sent: dict[str, Any], listed: list[dict[str, Any]], now: float) -> dict[str, Any]:
    """Return how the copies off site are; what nobody knows is None."""
    whole = of.newest(listed, of.OFFSITE, of.is_whole)
    recent = [one for one in listed if now - of.taken_at(one) <= freshness.RATE_DAYS * freshness.DAY_S]
    return {
        "repository": sent["repository"],
        "last": whole["id"] if whole else "",
        "age_s": round(now - of.taken_at(whole), 1) if whole else None,
        "bytes": whole["bytes"] if whole else None,
        "sent_bytes": whole["engine_facts"].get("sent_bytes") if whole else None,
        "duration_s": whole["duration_s"] if whole else None,
        "passed": of.has_passed(whole) if whole else None,
        "success_rate": freshness.success_rate(recent),
        "count": sum(map(of.is_whole, listed)),
    }


def _stream(own: Archive, records: list[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        works = Barman(own)
        found = works.state()
    except Trouble:
        return None
    refusal = _refusal(works, records, found["timeline"])
    gap = found["gap"] or _gap(works, records, found["timeline"])
    beside = {**found["beside"], "refused": incoming.refused(works.home)} if own.settings.get("wal_archive") else None
    return {**found, "gap": gap, "beside": beside, "synchronous": own.settings["synchronous"], "refusal": refusal}


def _gap(works: Barman, records: list[dict[str, Any]], line: int) -> str:
    """Return what is missing between the newest good backup and what was streamed last, on the source's timeline."""
    passed = of.newest(records, works.kind, of.is_restorable)
    return works.refusal(passed) if passed and of.timeline(passed) == line == works.line() else ""


def _refusal(works: Barman, records: list[dict[str, Any]], line: int) -> str:
    """Return why no backup leads to the history that the source is on; empty where one does."""
    passed = of.newest(records, works.kind, of.is_restorable)
    if passed is None or of.timeline(passed) == line:
        return ""
    if works.line() != line:
        return f"nothing of timeline {line} was streamed yet"
    others = (one for one in records if one["set"] == works.kind and of.is_restorable(one))
    return "" if any(not works.refusal(one) for one in others) else works.refusal(passed)


def _space(own: Archive, records: list[dict[str, Any]]) -> dict[str, Any] | None:
    room = own.room()
    if room.free is None or room.total is None:
        return None
    newest = [of.newest(records, kind, of.is_whole) for kind in own.settings["sets"]]
    needed = space.need(sum(of.stored(record) for record in newest if record), None)
    samples, used = [], 0
    for record in sorted((one for one in records if of.is_whole(one)), key=of.taken_at):
        used += of.stored(record)
        samples.append((of.taken_at(record), used))
    return {
        "free": room.free,
        "total": room.total,
        "needed": needed,
        "missing": space.judge(needed, room, own.settings["keep_free_bytes"], own.path).missing,
        "days_until_full": space.days_until_full(room.free, samples),
    }
