"""What a new schema does to the release that serves, and what became of a migration whose driver has gone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    chain,
    database,
    ledger,
    probe,
    shift,
    slots,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, Unwell, read_json

WITHIN_S = 5.0
"""What serves has so long to be well again: a process may have to prepare its statements anew."""
Request = Mapping[str, Any]
Answer = dict[str, Any]


def look_before(host: Host, request: Request) -> None:
    """Remember whether what serves here is well before the migration: what is ill already is no fault of the schema."""
    slot = str(shift.state(host)["stable"])
    record = slots.record(host, slot)
    if record:
        told = {"ill": _ill(host, slot, within_s=0), "steps": _steps(host, request, slot, record)}
        host.write_json(_before(host), {"format": 1, "run": host.run_id, **told})


def _before(host: Host) -> Path:
    return host.site.state / "before-migration.json"


def withstand(host: Host, request: Request) -> Answer:
    """See that what serves here is well on the schema that a migration has left, with its own steps under verify.

    Of several hosts each says so (`withstands`, empty where it does), and nothing is taken back before all were heard.
    """
    if host.check or "app" not in request["roles"]:
        return {}
    slot = str(shift.state(host)["stable"])
    record = slots.record(host, slot)
    told = {"release": str(record.get("id", "")), "slot": slot}
    host.journal("withstand", "started", **told)
    before = read_json(_before(host))
    before = before if before.get("run") == host.run_id else {}
    said = ""
    if record and not before.get("ill"):
        said = _ill(host, slot, within_s=WITHIN_S)
    if record and not said and not before.get("steps"):
        said = _steps(host, request, slot, record)
    said = f"{record['id']}: {said}" if said else ""
    host.journal("withstand", "failed" if said else "done", **told)
    if said and not request.get("several"):
        give_back(host, request, {"": said})
    return {"withstands": said}


def _ill(host: Host, slot: str, *, within_s: float) -> str:
    """Return which processes of the release that serves are not well; empty where all are, in time."""
    until = time.monotonic() + within_s
    while ill := probe.check(host, slot):
        if time.monotonic() >= until:
            return "; ".join(map(str, ill))
        host.wait(0.3)
    return ""


def _steps(host: Host, request: Request, slot: str, record: Mapping[str, Any]) -> str:
    """Return which of its own steps the release that serves does not satisfy; empty for none, or where it has none."""
    if not request.get("verify_live"):
        return ""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import verifying  # few have some steps

    told = {"release": record["id"], "description": record["manifest"]["description"]}
    try:
        verifying.at_slot(host, {**request, **told, "verify": request["verify_live"]}, slot)
    except Unwell as unwell:
        return str(unwell)
    return ""


def keep(host: Host, request: Request) -> Answer:
    """Take the schema back where what serves is `ill` on it anywhere (by host, what is wrong); else do nothing."""
    ill = {name: said for name, said in (request.get("ill") or {}).items() if said}
    if ill and not host.check:
        give_back(host, request, ill)
    return {}


def give_back(host: Host, request: Request, ill: Mapping[str, str]) -> None:
    """Take the schema back to where it was, by the application's own way down where it has one; Unwell, in any case."""
    release = str(request["release"])
    facts = arbiter.facts(host, host.run_id)
    before, now_at = str(facts.get("schema_before", "")), str(facts.get("schema_after", ""))
    reason = f"what serves is not well on the schema that the migration of {release} has left"
    after = database.downgrade(host, release, to=before) if before and before != now_at else now_at
    if before and before == after != now_at:
        ends = f"it is back at {before}"
    else:
        point = facts.get("restore_point") or (request.get("line") or {}).get(
            "restore_point"
        )  # of a database's own host
        ends = f"it stays at {after or 'none'}" + (f"; the dump before it is {point}" if point else "")
    hint = (
        "change a schema in two releases: one that adds what the new one needs (expand), and a later one that removes "
        "what nobody needs any more (contract)"
    )
    raise Unwell(
        f"{reason}; {ends}",
        evidence=[f"{name}: {said}" if name else said for name, said in ill.items()],
        hint=hint,
        facts={"schema_before": before, "schema_after": after, "migrated": not before or after != before},
    )


def unheard(host: Host, *, acts: bool) -> Answer:
    """Return the migration whose end nobody took note of, as the journal has it; empty where there is none.

    It may have ended: a session outlives its driver, and the host that keeps the ledger was told of nothing. It says
    run, release, before (the schema's revision), whether it was `undone`, and what of it still `runs` (migrate,
    downgrade); else the revision `after` it, as the journal has it, or, to who `acts` on it, the release's own command:
    empty where it has none, None where it does not answer.
    """
    lines = chain.read(host.site.state / "journal.jsonl").lines
    last = ledger.untold(lines, host.run_id)
    ended = last.get("result") in ("done", "undone")
    if not last or (last["result"] != "started" and arbiter.lines_of(host, str(last["run"]))):
        return {}  # who keeps the ledger himself reads this journal when he ends the run
    begun = (
        each
        for each in reversed(lines)
        if (each.get("run"), each.get("step"), each.get("result")) == (last["run"], "migrate", "started")
    )
    began = next(begun, last)  # a journal that was moved aside meanwhile has no beginning
    told: Answer = {"run": last["run"], "release": last["release"], "before": began["detail"].get("schema_before", "")}
    if last["result"] == "undone" and last["detail"].get("schema_after") == told["before"]:
        told["undone"] = True
    if ended:
        return {**told, "runs": "", "after": last["detail"].get("schema_after", "")}
    if runs := next((name for name in ("migrate", "downgrade") if database.runs_once(host, name)), ""):
        return {**told, "runs": runs}
    after: Optional[str] = ""
    if acts and not host.check:
        try:
            after = database.revision(host, str(last["release"]))
        except Failed:
            after = None
    return {**told, "runs": "", "after": after}


def hear(host: Host) -> Answer:
    """Write down how a migration ended whose driver has gone; return as `heard` what it did to the schema.

    Failed (refused) while it still runs: what is decided meanwhile would be decided on a schema that is just going.
    """
    told = unheard(host, acts=True)
    if told.get("runs"):
        raise Failed(
            f"the migration of {told['release']} still runs, and its driver has gone",
            hint=f"wait for it (journalctl -fu {database.unit(host, told['runs'])} on the host), then the same command",
            refused=True,
        )
    if not told or host.check:
        return {}
    if told["after"] is None:
        raise Failed(
            f"what the migration of {told['release']} did is not known: its `revision` does not answer",
            hint=f"see why (journalctl -u {database.unit(host, 'revision')} on the host), then the same command",
            refused=True,
        )
    heard = {"of": told["run"], "schema_before": told["before"], "schema_after": told["after"]}
    heard.update({"undone": True} if told.get("undone") else {})
    host.journal("migrate", "heard", release=told["release"], **heard)
    return {"heard": {**heard, "release": told["release"]}}
