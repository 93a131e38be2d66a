"""The steps of a deploy and a rollback on one host.

Each is idempotent, is written down in the journal, and is done with a valid token.

Every function takes the host and the request of this session, and answers what the driver should know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    baseline,
    commits,
    database,
    draining,
    edits,
    fencing,
    guard,
    ledger,
    names,
    probe,
    scaling,
    settling,
    sharing,
    shift,
    slots,
    stage,
    succession,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, read_json

ABANDONED_S = 600.0  # beyond the time in which a switch must be confirmed
ONCE_S = 3600  # a process of kind once that names no limit of its own
KEPT_S = 30.0  # so much longer the old slot is kept than it is watched whether it is gone back to
Request = Mapping[str, Any]
Answer = dict[str, Any]


def _stage(host: Host, request: Request, body: IO[bytes]) -> Answer:
    staged: Answer = {}
    if "app" in request["roles"]:
        staged = stage.stage(host, request["stage"], body)
        if staged["missing"]:
            return staged
        if request.get("migrates") and not host.check:
            from ansible_collections.ferryman.ops.plugins.module_utils.release import schema  # few runs migrate

            schema.look_before(host, request)
        staged["secrets_changed"] = stage.secrets(host, request.get("secrets") or {})
    _begun(host, request)
    return staged


def _begun(host: Host, request: Request) -> None:
    """Write into the ledger, where this host keeps it, that the run has begun."""
    if "arbiter" not in request["roles"] or arbiter.begun(host):
        return
    arbiter.promise(host, str(request.get("seal", "")))
    for heard in request.get("heard") or []:
        arbiter.record(host, event=ledger.MIGRATED, **heard)
    arbiter.record(host, status="started", **request["line"])


def _snapshot(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if not request["database"]:
        return {"no_restore_point": "the inventory names no database of this application (apps.<app>.database)"}
    return dict(database.snapshot(host, database=request["database"]))


def _migrate(host: Host, request: Request, _: IO[bytes]) -> Answer:
    return database.migrate(host, request["release"])


def _withstand(host: Host, request: Request, _: IO[bytes]) -> Answer:
    from ansible_collections.ferryman.ops.plugins.module_utils.release import schema  # few runs migrate

    return schema.withstand(host, request)


def _keep_schema(host: Host, request: Request, _: IO[bytes]) -> Answer:
    from ansible_collections.ferryman.ops.plugins.module_utils.release import schema  # as above

    return schema.keep(host, request)


def _start(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if request.get("line", {}).get("event") == "rollback":
        _begun(host, request)
    if "app" not in request["roles"]:
        return {}
    settings, slot = request["settings"], request["slot"]
    by_hand = _by_hand(host, request)
    scaling.take_over(host, request.get("scaled") or {})
    waited = 0.0
    if slots.holds(host, slot) != request["release"]:
        waited = draining.wait(host, slot, request["entry"], drain_s=settings["drain_s"])
    told = {"drained_s": round(waited, 3), **by_hand}
    try:
        with settling.kept(host, by_s=settings["confirm_s"]):
            told |= _come_up(host, request, slot)
            return {**told, **_verified(host, request, slot)}
    except Failed as failed:
        failed.facts.update(told)
        raise


def _verified(host: Host, request: Request, slot: str, *, entry: bool = False) -> Answer:
    """Go through the application's own steps, where it has any: at its slot, or through the entry."""
    if not request.get("verify"):
        return {}
    from ansible_collections.ferryman.ops.plugins.module_utils.release import verifying  # few applications have some

    return (verifying.through_entry if entry else verifying.at_slot)(host, request, slot)


def _by_hand(host: Host, request: Request) -> Answer:
    """Say what was edited by hand in a release that is gone back to; releases share the files that they have alike, so
    that an edit of one may be in others."""
    record = read_json(host.site.release(request["release"]) / "release.json")
    if request.get("line", {}).get("event") != "rollback" or not record:
        return {}
    found = edits.found(host, record, edits.listed(host, record))
    return {"by_hand": found} if found else {}


def _come_up(host: Host, request: Request, slot: str) -> Answer:
    """Start the release in its slot and see it through the gate."""
    settings = request["settings"]
    with deciding(host):  # a slot that is just being cooled down is cold before it is started
        settling.require_exchange(host, request)
        slots.start(host, slot, request["release"], fresh=bool(request.get("fresh")), overlap=not request.get("point"))
        if request.get("baseline"):  # at once: both are to be equally old
            baseline.start(host)
    began = time.monotonic()
    passed = probe.pass_gate(
        host,
        slot,
        consecutive=settings["health_consecutive"],
        soak_s=settings["soak_s"],
        timeout_s=settings["start_timeout_s"],
    )
    if request.get("baseline"):
        baseline.pass_gate(host, settings)
    # A driver that vanishes from here on leaves processes that nobody is sent to: they end by themselves.
    for each in (slot, names.BASELINE):
        turns_s = float(request.get("turns_s", 0))  # until they have started elsewhere, too
        settling.cool_later(host, each, after_s=settings["confirm_s"] + ABANDONED_S + turns_s)
    places = (slot, names.BASELINE) if request.get("baseline") else (slot,)
    listens = {each: _listens(host, each) for each in places}
    took = {"gate_s": round(time.monotonic() - began, 3), "moving_s": slots.moving_takes(host, slot)}
    return {"gate": passed, **took, "listens": listens}


def _listens(host: Host, slot: str) -> list[str]:
    webs = (i for i in slots.instances(host, slot, slots.record(host, slot)) if i.port)
    return [f"[{i.address}]:{i.port}" if ":" in i.address else f"{i.address}:{i.port}" for i in webs]


def _switch(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Send everyone to `slot`, and watch; where it had a share before, `ends` is the last one, which is over."""
    settings, slot, release = request["settings"], request["slot"], request["release"]
    if host.check:
        host.changes.append(f"clients go to {slot}")
        return {}
    if request.get("ends"):
        with deciding(host):
            sharing.require_pending(host)
            settling.extend(host, by_s=settings["confirm_s"])
        sharing.end(host, request, request["ends"])
    else:
        sharing.begin(host, request)
    entry = "entry" in request["roles"]
    if entry:
        shift.set_share(host, shift.full(slot))
    verified, until = None, 0.0
    while True:
        if entry:
            shift.verify(host, request["entry"], request["description"], slot=slot, release=release)
        if "app" in request["roles"]:
            probe.require_well(host, slot)
        if verified is None:
            verified = _verified(host, request, slot, entry=True) if entry else {}
            until = time.monotonic() + settings["watch_s"]
        if time.monotonic() >= until:
            break
        host.wait(0.25)
    host.journal("switch", "done", release=release, slot=slot, share=shift.share(host))
    host.changes.append(f"clients go to {slot}")
    return {"share": shift.share(host), **verified}


def _workers(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "app" not in request["roles"] or request.get("point"):  # what was restored is written to after the commit
        return {}
    settings, slot, release = request["settings"], request["slot"], request["release"]
    if not slots.has_background(host, slot):
        return {}
    takes_s = slots.moving_takes(host, slot)
    with deciding(host):
        settling.extend(host, by_s=takes_s + settings["worker_soak_s"] + settings["confirm_s"])
    host.journal("workers", "started", release=release, slot=slot)
    slots.move_workers(host, slot, alive_s=settings["worker_soak_s"])
    host.journal("workers", "done", release=release, slot=slot)
    return {}


def _hold(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Say that the shift still stands here, and let it stand for as long again: the last word before the commit."""
    if host.check:
        return {}
    with deciding(host):
        _require_shift(host, request)
        settling.extend(host, by_s=request["settings"]["confirm_s"])
    return {}


def _require_shift(host: Host, request: Request) -> None:
    said = read_json(host.site.state / "operator.json")
    if said.get("run") == host.run_id and said["word"] == "abort":  # once its stages were over, nobody has asked
        raise Failed(f"{said['who']} said to go back", hint="`deploy` brings it again")
    moved = not shift.is_entry(host) or shift.share(host) == shift.full(request["slot"])
    if not (settling.still_shifting(host) and moved and not guard.overdue(host)):
        raise Failed(
            "the shift was not confirmed in time, and the guard has sent the clients back",
            hint="`deploy` begins again",
        )


def _mend(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Bring this host to where the arbiter is: what a run left here whose driver is gone, or went by while it was away.

    `arbiter` holds slot and release that the arbiter has for stable, how the run ended that is pending here, and
    whether this host was left out of what went live: then it runs what nobody wants any more. `back` is what brought
    back the run that is live here, where this host has not heard of it.
    """
    if host.check or {"app", "entry"}.isdisjoint(request["roles"]):  # a key that was let in is gone already
        return {}
    from ansible_collections.ferryman.ops.plugins.module_utils.release import schema  # few runs mend a host

    heard = schema.hear(host)
    told, mine = request["arbiter"], (host.run_id, host.token)
    if host.site.pending.exists():
        guard.resolve(host, reason="its driver is gone", end=str(told["end"]))
        host.run_id, host.token = mine
    with deciding(host):
        if told.get("back"):
            guard.follow(host, told["back"])
            host.run_id, host.token = mine
        if shift.state(host)["phase"] == "stable":
            if "app" in request["roles"] and told.get("left_out"):
                slots.rest(host)
            shift.agree(host, slot=str(told["slot"]), release=str(told["release"]))
    return heard


def _note(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Write down here what another host did to the database: who ends a run without its driver reads this journal."""
    line = request["line"]
    if not host.check:
        point = {"path": line["restore_point"]} if line.get("restore_point") else {}
        if point:
            digest = line.get("restore_point_sha256")
            host.journal("snapshot", "done", **point, **({"sha256": digest} if digest else {}))
        schema = {key: line[key] for key in ("schema_before", "schema_after") if key in line}
        host.journal("migrate", "done", release=request["release"], noted=True, **schema)
    return {}


def _commit(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Write the commit record, unless the guard was faster and has sent the clients back."""
    if "arbiter" not in request["roles"] or host.check:
        return {}
    with deciding(host):
        if arbiter.committed(host, host.run_id):
            return {"book": arbiter.lines_of(host, host.run_id)}
        settling.require_exchange(host, request)
        if "entry" in request["roles"]:
            _require_shift(host, request)
        arbiter.record(host, status="live", **request["line"])
        end = commits.WATCHED if request.get("watched") else "live"
        commits.tell(host, run=host.run_id, seal=str(request.get("seal", "")), end=end)
    host.journal("commit", "done", release=request["release"])
    return {"book": arbiter.lines_of(host, host.run_id)}


def _settle(host: Host, request: Request, _: IO[bytes]) -> Answer:
    with deciding(host):
        return _settled(host, request)


def _settled(host: Host, request: Request) -> Answer:
    settings = request["settings"]
    if "arbiter" in request["roles"] and not host.check and not arbiter.committed(host, host.run_id):
        raise Failed("nothing was committed that could be settled")
    after_s = max(settings["warm_s"], settings["drain_s"])
    if request.get("after"):
        after_s += KEPT_S
    began_anew = shift.state(host)["phase"] == "doubt"  # by a boot since its last word, which ended its workers
    kept_s = {"after_s": after_s, "drain_s": settings["drain_s"]}
    settling.settle(host, slot=request["slot"], release=request["release"], **kept_s)
    settling.end_exchange(host)
    if began_anew and "app" in request["roles"] and not host.check:
        slots.bring_up(host, str(request["slot"]))
        slots.move_workers(host, str(request["slot"]), alive_s=0, wait=False)
    seen = _at_last(host, request) if request.get("point") and "app" in request["roles"] else {}
    shift.let_go(host)
    succession.keep(host, request.get("ledger", []))
    watched = _watched(host, request)
    before = len(host.changes)
    pruned = settling.prune(host, request) if "app" in request["roles"] else []
    removed = host.changes[before:]
    if "arbiter" in request["roles"]:
        arbiter.free(host)
    return {"pruned": pruned, "removed": removed, **seen, **watched}


def _watched(host: Host, request: Request) -> Answer:
    """Have this host go on watching what is live, where it was watched until now, or follow what becomes of it."""
    for_s = 0.0
    if request.get("after"):
        from ansible_collections.ferryman.ops.plugins.module_utils.release import afterwards  # few runs have stages

        if "arbiter" not in request["roles"]:
            return {"follows": afterwards.follow(host, request)}
        for_s = afterwards.begin(host, request)
    if not for_s and not host.check:
        commits.stays(host)
    return {"watched_s": for_s} if for_s else {}


def _at_last(host: Host, request: Request) -> Answer:
    """Start workers, who waited for the commit, and see from outside what the maintenance page hid until then.

    Nothing is taken back for it any more.
    """
    slot, told, ill = request["slot"], {}, []
    try:
        slots.move_workers(host, slot, alive_s=request["settings"]["worker_soak_s"], pause=time.sleep)
    except Failed as failed:
        ill.append(failed)
    if host.check:
        return {}
    try:
        shift.verify(host, request["entry"], request["description"], slot=slot, release=request["release"])
        told = _verified(host, request, slot, entry=True)
    except Failed as failed:
        ill.append(failed)
    lines = [line for each in ill for line in (str(each), *(f"  {said}" for said in each.evidence))]
    return {**told, **({"unwell": "\n".join(lines)} if ill else {})}


def _return(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Go back to the stable slot after a failure anywhere; a run that is committed goes on to its end instead."""
    reason, release = str(request["reason"]), str(request.get("release", ""))
    with deciding(host):
        if _is_committed(host, request):
            return {"committed": True, **_settled(host, request)}
        try:
            back = settling.go_back(host, release=release, reason=reason, drain_s=request["settings"]["drain_s"])
        except Exception as error:
            _ended(host, request, "failed", f"{reason}; the way back failed: {error}")
            raise
    _ended(host, request, "returned" if back.moved else "failed", back.told(reason))
    if back.idle:
        hint = "mend that on the host, and deploy what is live again: it starts what does not run"
        what = "the database that served before is in its place" if back.undone else "clients are served as before"
        raise Failed(f"{what}, but {back.idle}", evidence=back.idle.evidence, hint=hint)
    return {"moved": back.moved, **({"undone": True} if back.undone else {})}


def _is_committed(host: Host, request: Request) -> bool:
    """Say whether the run is committed; elsewhere than on the arbiter its answer counts, and without one nobody moves.

    The guard then asks it for as long as it takes.
    """
    if "arbiter" in request["roles"]:
        return arbiter.committed(host, host.run_id)
    if request.get("end") in commits.ENDS:
        return bool(request["end"] == "live")
    if shift.state(host)["phase"] == "stable":
        return False
    raise Failed(
        "it is not known whether the run was committed: this host asks the arbiter until it answers",
        hint="`status` says when it is over",
    )


def _ended(host: Host, request: Request, status: str, reason: str) -> None:
    """Write the end of a run that came to nothing, and let go of the lock."""
    if "arbiter" not in request["roles"]:
        return
    line = dict(request.get("line") or {})
    try:
        if line.get("with_database"):
            line = _undone(host, line)
        if line:  # without one, nothing was decided on yet
            own = any(done.get("step") == "judge" for done in arbiter.journal_of(host, host.run_id))
            judged = own or bool(request.get("judged"))  # or it was found unwell on another host
            arbiter.record(host, status=status, reason=reason, **line, tried=judged)
            commits.tell(host, run=host.run_id, seal=str(request.get("seal", "")), end="returned")
    finally:
        arbiter.free(host)


def _undone(host: Host, line: Answer) -> Answer:
    """Return the line of a rollback whose database is as it was; empty where nothing that served was touched."""
    if not arbiter.begun(host):
        return {}
    with_database = {key: value for key, value in line["with_database"].items() if key != "kept"}
    return {**line, "with_database": with_database, "schema_after": line.get("schema_before", "")}


def _unlock(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "arbiter" not in request["roles"]:
        return {}
    if request.get("takes_over"):
        done = succession.take_over(host, request["takes_over"], who=request["who"], holder=str(request["holder"]))
    else:
        done = {"broken": arbiter.unlock(host, who=request["who"], holder=str(request["holder"]))}
    with deciding(host):
        run = str(read_json(host.site.exchange).get("run", ""))
        # What is pending is for the guard, and whoever has taken the lock since loses nothing.
        if not host.site.pending.exists() and not arbiter.holds(host, run):
            settling.end_exchange(host)
    return done


def _once(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Run a process of the live release once; whoever asks may go away, the process goes on."""
    with deciding(host):  # asked again once it begins; this refuses before anything is said of the process
        settling.require_rest(host)
    release = slots.record(host, shift.state(host)["stable"]) or read_json(host.site.root / "current" / "release.json")
    known = [name for name, process in release.get("processes", {}).items() if process["kind"] == "once"]
    name = str(request["process"])
    if name not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise Failed(f"{release.get('id') or 'nothing'} has no process {name!r} of kind once", hint=has, refused=True)
    if host.check:
        host.changes.append(f"{name} run")
        return {}
    process = release["processes"][name]
    limit = int(process.get("timeout_s") or ONCE_S)
    output = database.once(
        host, name, release["id"], timeout_s=limit, process=process, may=lambda: settling.require_rest(host)
    )
    host.changes.append(f"{name} run")
    return {"output": output[-65536:]}


def _interrupt(host: Host, _: Request, __: IO[bytes]) -> Answer:
    host.ask_to_stop()
    return {}


def _keep(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Do nothing but what every step does, renew the lock; and let a shift stand that others are at work in."""
    if request.get("stands_s"):
        with deciding(host):
            if not guard.overdue(host):
                settling.extend(host, by_s=float(request["stands_s"]))
    return {}


def _free(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "arbiter" in request["roles"]:
        arbiter.free(host)
    return {}


def _maintenance(host: Host, request: Request, _: IO[bytes]) -> Answer:
    if "entry" not in request["roles"]:
        return {}
    flag, on = host.site.state / "maintenance", bool(request["maintenance"])
    with deciding(host):
        if on:
            settling.keep_page(host)
        else:
            settling.require_rest(host)  # clients would be let into a database that may be given up again
        changed = _page(host, flag, on=on, of=str(request.get("page_of", "")))
    if changed:
        host.journal("maintenance", "done", on=on)
    return {"maintenance": shift.hidden(host) if not host.check else on}


def _page(host: Host, flag: Path, *, on: bool, of: str) -> bool:
    """Show or hide the page; one `of` something (a patch) comes and goes by itself, and leaves a person's alone."""
    if on:
        return not (of and flag.exists()) and host.write(flag, of)
    if of and flag.exists() and flag.read_text(encoding="ascii") != of:
        return False
    return host.remove(flag)


def _restoring(name: str) -> Callable[[Host, Request, IO[bytes]], Answer]:
    def step(host: Host, request: Request, _: IO[bytes]) -> Answer:
        # Few runs have a use for it, and its imports take time.
        from ansible_collections.ferryman.ops.plugins.module_utils.release import restoring

        return restoring.STEPS[name](host, request)

    return step


def _recent(host: Host, request: Request, body: IO[bytes]) -> Answer:
    from ansible_collections.ferryman.ops.plugins.module_utils.release import recently  # no deploy wants it

    return recently.recent(host, request, body)


def _hand_over(host: Host, request: Request, body: IO[bytes]) -> Answer:
    from ansible_collections.ferryman.ops.plugins.module_utils.release import driving  # few runs want it

    return driving.hand_over(host, request, body)


def _let_in(host: Host, request: Request, body: IO[bytes]) -> Answer:
    from ansible_collections.ferryman.ops.plugins.module_utils.release import driven  # as above

    return driven.let_in(host, request["let_in"], body)


def _let_out(host: Host, _: Request, __: IO[bytes]) -> Answer:
    from ansible_collections.ferryman.ops.plugins.module_utils.release import driven, reaching  # as above

    if reaching.key_of(host).exists():  # another run may be handing over by now
        reaching.forget(host)
    driven.let_out(host, host.run_id)
    return {}


STEPS: dict[str, Callable[[Host, Request, IO[bytes]], Answer]] = {
    "stage": _stage,
    "snapshot": _snapshot,
    "migrate": _migrate,
    "withstand": _withstand,
    "keep_schema": _keep_schema,
    "start": _start,
    "share": sharing.share,
    "look": sharing.look,
    "draw_back": sharing.draw_back,
    "say": sharing.say,
    "recent": _recent,
    "fence": fencing.step,
    "leave_out": fencing.step,
    "switch": _switch,
    "mend": _mend,
    "note": _note,
    "hold": _hold,
    "workers": _workers,
    "commit": _commit,
    "settle": _settle,
    "return": _return,
    "unlock": _unlock,
    "maintenance": _maintenance,
    "once": _once,
    "interrupt": _interrupt,
    "keep": _keep,
    "free": _free,
    names.HAND_OVER: _hand_over,
    "let_in": _let_in,
    "let_out": _let_out,
    **scaling.STEPS,
    **{name: _restoring(name) for name in names.RESTORING},
}
UNLOCKED = {"unlock", "maintenance", "snapshot", "once", "interrupt", "free", "say", "recent", "fence", "let_out"}
"""Steps that need no lease.

Unlocking is for when the lease is somebody else's, and the others change nothing that a deploy does.
"""
