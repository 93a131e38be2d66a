"""The steps of a deploy and a rollback on one host.

Each is idempotent, is written down in the journal, and is done with a valid token.

Every function takes the host and the request of this session, and answers what the driver should know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    database,
    ledger,
    names,
    probe,
    shift,
    slots,
    stage,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.provision import PYZ

Request = Mapping[str, Any]
Answer = dict[str, Any]


def _stage(host: Host, request: Request, body: IO[bytes]) -> Answer:
    staged = stage.stage(host, request["stage"], body)
    if staged["missing"]:
        return staged
    staged["secrets_changed"] = stage.secrets(host, request.get("secrets") or {})
    if "arbiter" in request["roles"]:
        unfinished = ledger.story(arbiter.lines(host)).unfinished
        if unfinished.get("run") != host.run_id:
            arbiter.record(host, status="started", **request["line"])
    return staged


def _snapshot(host: Host, request: Request, _: IO[bytes]) -> Answer:
    return {"restore_point": database.snapshot(host, database=request["database"])}


def _migrate(host: Host, request: Request, _: IO[bytes]) -> Answer:
    return database.migrate(host, request["release"])


def _start(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "app" not in request["roles"]:
        return {}
    settings, slot = request["settings"], request["slot"]
    if "arbiter" in request["roles"] and request["line"]["event"] == "rollback":
        arbiter.record(host, status="started", **request["line"])
    wait = (
        shift.drained_in(host, slot, drain_s=settings["drain_s"])
        if slots.holds(host, slot) != request["release"]
        else 0.0
    )
    if wait and not host.check:
        time.sleep(wait)
    slots.start(host, slot, request["release"], fresh=bool(request.get("fresh")))
    began = time.monotonic()
    passed = probe.pass_gate(
        host,
        slot,
        consecutive=settings["health_consecutive"],
        soak_s=settings["soak_s"],
        timeout_s=settings["start_timeout_s"],
    )
    return {"gate": passed, "drained_s": round(wait, 3), "gate_s": round(time.monotonic() - began, 3)}


def _switch(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "entry" not in request["roles"]:
        return {}
    settings, slot, release = request["settings"], request["slot"], request["release"]
    if host.check:
        host.changes.append(f"clients go to {slot}")
        return {}
    shift.begin(host, slot=slot, release=release, confirm_s=settings["confirm_s"])
    shift.set_share(host, shift.full(slot))
    until = time.monotonic() + settings["watch_s"]
    while True:
        shift.verify(host, request["entry"], request["description"], slot=slot, release=release)
        ill = probe.check(host, slot) if "app" in request["roles"] else []
        ill = [line for line in ill if "does not run" not in line or _is_web(host, slot, line)]
        if ill:
            time.sleep(0.3)  # one bad answer decides nothing
            if set(ill) & set(probe.check(host, slot)) or any("does not run" in line for line in ill):
                evidence = [
                    line
                    for i in slots.instances(host, slot, slots.record(host, slot))
                    if i.unit
                    for line in host.logs(i.unit, lines=8)
                ]
                raise Failed(f"after the switch: {'; '.join(ill)}", evidence=evidence)
        if time.monotonic() >= until:
            break
        time.sleep(0.25)
    host.journal("switch", "done", release=release, slot=slot, share=shift.share(host))
    host.changes.append(f"clients go to {slot}")
    return {"share": shift.share(host)}


def _is_web(host: Host, slot: str, line: str) -> bool:
    return any(
        i.kind == "web" and i.unit and line.startswith(i.unit)
        for i in slots.instances(host, slot, slots.record(host, slot))
    )


def _workers(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "app" in request["roles"]:
        slots.move_workers(host, request["slot"], alive_s=request["settings"]["worker_soak_s"])
    return {}


def _commit(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Write the commit record, unless the guard was faster and has sent the clients back."""
    if "arbiter" not in request["roles"] or host.check:
        return {}
    with deciding(host):
        if arbiter.committed(host, host.run_id):
            return {}
        now = shift.state(host)
        if "entry" in request["roles"] and (now["phase"] != "shifting" or now.get("run") != host.run_id):
            raise Failed(
                "the shift was not confirmed in time, and the guard has sent the clients back", hint="deploy again"
            )
        arbiter.record(host, status="live", **request["line"])
    host.journal("commit", "done", release=request["release"])
    return {}


def _settle(host: Host, request: Request, _: IO[bytes]) -> Answer:
    settings = request["settings"]
    settle(
        host, slot=request["slot"], release=request["release"], warm_s=settings["warm_s"], drain_s=settings["drain_s"]
    )
    pruned = prune(host, request) if "app" in request["roles"] else []
    if "arbiter" in request["roles"]:
        arbiter.free(host)
    return {"pruned": pruned}


def settle(host: Host, *, slot: str, release: str, warm_s: float, drain_s: float) -> None:
    """Make what was switched to permanent: `current`, what comes up at boot, the stable slot.

    The other slot cools down later.
    """
    if host.site.root.exists() and slots.holds(host, slot) == release:
        host.link(host.site.root / "current", f"releases/{release}")
        slots.enable(host, slot)
    if (host.site.state / "shift.json").exists() or (host.site.state / "share").is_symlink():
        shift.confirm(host, slot=slot, release=release)
    host.journal("settle", "done", release=release, slot=slot)
    _cool_later(host, names.other(slot), after_s=max(warm_s, drain_s))


def _cool_later(host: Host, slot: str, *, after_s: float) -> None:
    release = slots.holds(host, slot)
    if not release or host.check:
        return
    unit = f"ferryman-cool-{host.site.name}-{slot}-{host.run_id.lower()}"
    host.command(
        *(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={unit}",
            f"--on-active={after_s:g}s",
            "--timer-property=AccuracySec=1s",
        ),
        *("/usr/bin/python3", "-I", str(PYZ), "cool", host.site.name, slot, release),
    )


def cool(host: Host, slot: str, release: str) -> None:
    """Stop a slot that nobody is sent to any more, unless it was given other work meanwhile."""
    now = shift.state(host)
    if slots.holds(host, slot) == release and slot not in (now["stable"], now["candidate"]):
        slots.stop(host, slot)
        host.journal("stop", "done", release=release, slot=slot)


def prune(host: Host, request: Request) -> list[str]:
    """Remove releases, environments and wheels that nothing needs.

    The driver says what the ledger knows where it is elsewhere.
    """
    present = [path.parent.name for path in sorted(host.site.root.glob("releases/*/release.json"))]
    busy = [release for slot in names.SLOTS if (release := slots.holds(host, slot))] + [str(request["release"])]
    lines = arbiter.lines(host) if "arbiter" in request["roles"] else request.get("ledger", [])
    doomed = ledger.prunable(lines, present=present, keep=int(request["settings"]["keep"]), busy=busy)
    for name in doomed:
        host.remove(host.site.release(name))
    used = {
        read_json(host.site.release(name) / "release.json").get("environment_key")
        for name in present
        if name not in doomed
    }
    for kind in ("environments", "wheels"):
        for path in (host.site.root / kind).glob("*"):
            if path.name not in used:
                host.remove(path)
    if doomed:
        host.journal("prune", "done", removed=doomed)
    return doomed


def _return(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Go back to the stable slot after a failure anywhere; a run that is committed goes on to its end instead."""
    if "arbiter" in request["roles"] and arbiter.committed(host, host.run_id):
        return {"committed": True, **_settle(host, request, _)}
    moved = go_back(host, reason=str(request["reason"]), drain_s=request["settings"]["drain_s"])
    if "arbiter" in request["roles"]:
        if request.get("line"):  # without one, nothing was decided on yet
            arbiter.record(
                host, status="returned" if moved else "failed", reason=str(request["reason"]), **request["line"]
            )
        arbiter.free(host)
    return {"moved": moved}


def go_back(host: Host, *, reason: str, drain_s: float) -> bool:
    """Send clients and workers back to the stable slot and let the other one go.

    Return whether clients had been moved.
    """
    before = shift.state(host)
    candidate = names.other(before["stable"])
    moved = shift.give_back(host, reason=reason)
    # A candidate that was never switched to has no business running; one that clients were on is drained first.
    if not host.site.root.exists():
        return moved
    if slots.holds(host, before["stable"]):
        slots.move_workers(host, before["stable"], alive_s=0)
    if moved:
        _cool_later(host, candidate, after_s=drain_s)
    elif slots.holds(host, candidate) != before.get("release_stable"):
        slots.stop(host, candidate)
    host.journal("return", "done", reason=reason, moved=moved)
    return moved


def _unlock(host: Host, request: Request, _: IO[bytes]) -> Answer:
    return (
        {"broken": arbiter.unlock(host, who=request["who"], seen=int(request.get("seen", 0)))}
        if "arbiter" in request["roles"]
        else {}
    )


def _once(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Run a process of the live release once; whoever asks may go away, the process goes on."""
    release = slots.record(host, shift.state(host)["stable"]) or read_json(host.site.root / "current" / "release.json")
    known = [name for name, process in release.get("processes", {}).items() if process["kind"] == "once"]
    name = str(request["process"])
    if name not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise Failed(f"{release.get('id') or 'nothing'} has no process {name!r} of kind once", hint=has, refused=True)
    if host.check:
        host.changes.append(f"{name} run")
        return {}
    limit = int(release["processes"][name].get("timeout_s") or 3600)
    output = database.once(host, name, release["id"], timeout_s=limit)
    host.changes.append(f"{name} run")
    return {"output": output[-65536:]}


def _maintenance(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "entry" not in request["roles"]:
        return {}
    flag = host.site.state / "maintenance"
    changed = host.write(flag, "") if request["maintenance"] else host.remove(flag)
    if changed:
        host.journal("maintenance", "done", on=bool(request["maintenance"]))
    return {"maintenance": bool(request["maintenance"])}


STEPS: dict[str, Callable[[Host, Request, IO[bytes]], Answer]] = {
    "stage": _stage,
    "snapshot": _snapshot,
    "migrate": _migrate,
    "start": _start,
    "switch": _switch,
    "workers": _workers,
    "commit": _commit,
    "settle": _settle,
    "return": _return,
    "unlock": _unlock,
    "maintenance": _maintenance,
    "once": _once,
}
UNLOCKED = {"unlock", "maintenance", "snapshot", "once"}
"""Steps that need no lease.

Unlocking is for when the lease is somebody else's, and the others change nothing that a deploy does.
"""
