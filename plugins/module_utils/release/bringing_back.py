"""The way back of a live release with nobody there: a rollback by the arbiter itself, with the lock and all its steps.

Where there are several hosts it switches and commits on the arbiter alone; by its `undoes` the others hear of it.
"""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import arbiter, ledger, lock, names, slots
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host

LEASE_S = 30.0
OWNER = "guard"
STEPS = ("start", "switch", "workers", "commit", "settle")
"""Those of a rollback on one host."""
Told = Mapping[str, Any]


def bring_back(host: Host, told: Told, record: Told, *, goes_on: Callable[[Host, Told], bool]) -> bool:
    """Go back to the slot that is still warm, upon the verdict in `record`; return whether the watch is over.

    `told` is what was written down of the watch, and `goes_on` says whether that still holds. Whoever has the lock is
    at work on it: then it is his to judge, and the next look tells what he came to.
    """
    host.run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    try:
        arbiter.attempt(host, owner=OWNER, purpose="rollback", lease_s=LEASE_S)
    except (lock.Held, lock.Behind):
        return False
    if not goes_on(host, told):
        arbiter.free(host)
        return True
    reason = f"it turned bad once it was live: {record['sentence']}"
    request = asked(host, told, slot=names.other(str(told["slot"])))
    line = {**request["line"], "verdicts": [record]}
    failed = _do(host, {**request, "line": {**line, "reason": reason}}, STEPS)
    if failed:
        _do(host, {**request, "line": line, "reason": f"{reason}; but {failed}"}, ("return",))
    return True


def asked(host: Host, told: Told, *, slot: str) -> dict[str, Any]:
    """Return what a driver would ask of this host, who had decided to go back to what is in `slot`."""
    back = told["after"].get("back") or _held(host, slot)
    known = ledger.story(arbiter.lines(host))
    before = known.releases[back["release"]].line if back["release"] in known.releases else {}
    line = {key: before.get(key) for key in ("commit", "ref", "subject", "digest", "configuration", "hosts")}
    line.update(event="rollback", release=back["release"], previous=known.live, slot=slot, who=OWNER)
    line.update(schema_before=known.schema, schema_after=known.schema)
    return {
        "roles": told["roles"],
        "entry": told["entry"],
        "settings": {**told["settings"], "soak_s": 0.0, "watch_s": 0.0},  # it has served these clients before
        "lease_s": LEASE_S,
        **back,
        "slot": slot,
        "line": line,
        **({"seal": told["seal"], "undoes": told["run"]} if told["seal"] else {}),
    }


def _held(host: Host, slot: str) -> dict[str, Any]:
    """Return what a slot of this host holds: release and description."""
    record = slots.record(host, slot)
    return {"release": record["id"], "description": record["manifest"]["description"]}


def _do(host: Host, request: Told, wanted: Sequence[str]) -> str:
    """Do steps as a driver's session does; return why they failed, nothing where they did not."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import agent  # which begins us

    try:
        agent.do(host, {**request, "steps": [*wanted]}, io.BytesIO(), {"steps": []})
    except Failed as failed:
        print(f"{host.site.name}: {failed}", flush=True)
        return str(failed)
    return ""
