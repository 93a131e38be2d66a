"""The two ends of a run: what was switched to becomes permanent, or everyone goes back; then what is left is tidied up.

Whoever calls `settle` or `go_back` holds the host's decision (`host.deciding`): a driver and a guard may come at the
same time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    baseline,
    commits,
    exchanges,
    fencing,
    ledger,
    names,
    render,
    shift,
    slots,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import (
    Failed,
    Host,
    deciding,
    now,
    read_json,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.provision import PYZ
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import STORES

DAY_S = 24 * 3600


def settle(host: Host, *, slot: str, release: str, after_s: float, drain_s: float) -> None:
    """Make what was switched to permanent: `current`, what comes up at boot, the stable slot.

    The other slot cools down `after_s` seconds later, a baseline after `drain_s`.
    """
    if host.site.root.exists() and slots.holds(host, slot) == release:
        host.link(host.site.root / "current", f"releases/{release}")
        # Workers wait after a boot for the arbiter's word, where there is one to be asked (guard.boot).
        slots.enable(host, slot, background="asks" not in shift.known_of(shift.state(host), host.run_id))
    commits.overtake(host)
    mended = shift.state(host).get("mends", [])
    shift.confirm(host, slot=slot, release=release)
    host.journal("settle", "done", release=release, slot=slot)
    fencing.let_in(host, mended)
    end_baseline(host, drain_s=drain_s)
    cool_later(host, names.other(slot), after_s=after_s)


class Back(NamedTuple):
    """A way back that was gone: whether clients had been `moved`, and why workers of the stable slot are `idle`.

    `undone`: the database that served before was put back; where `idle` then, clients get the maintenance page.
    """

    moved: bool
    idle: Failed | None = None
    undone: bool = False

    def told(self, reason: str) -> str:
        """Return the reason of the run's end, with what came of it."""
        said = [reason, "the database that served before is in its place again" if self.undone else ""]
        return "; ".join(filter(None, [*said, str(self.idle or "")]))


def go_back(host: Host, *, release: str, reason: str, drain_s: float, wait: bool = True) -> Back:
    """Send clients and workers back to the stable slot, and let go of `release`, which the run had begun with.

    It is gone to its end also where workers do not start. A slot that anybody was sent to is drained first; another
    release that is kept warm there is none of this run's business. `wait` is for the units that are started.
    """
    before = shift.state(host)
    candidate = names.other(before["stable"])
    # First: as long as the database is another one, the guard has to come back to it.
    undone, idle = exchanging(host), end_exchange(host)
    moved = shift.give_back(host, reason=reason)
    commits.stays(host)  # no watch of what is live outlasts another run
    fencing.undo(host)
    if not host.site.root.exists():
        shift.let_go(host)
        return Back(moved, undone=undone)
    if holds_stable(host) and not idle:
        try:
            slots.move_workers(host, before["stable"], alive_s=0, wait=wait)
        except Failed as failed:
            idle = failed
    draining = shift.drained_in(host, candidate, drain_s=drain_s)
    end_baseline(host, drain_s=drain_s)
    if moved or draining:
        cool_later(host, candidate, after_s=max(draining, drain_s if moved else 0.0))
    elif release and slots.holds(host, candidate) == release:
        slots.stop(host, candidate)
    shift.let_go(host)  # not before its workers run: the guard brings to its end what is cut off here
    result, more = ("failed", {"idle": str(idle)}) if idle else ("done", {})
    host.journal("return", result, release=release, reason=reason, moved=moved, **more)
    return Back(moved, idle, undone)


def holds_stable(host: Host) -> bool:
    """Say whether this host has what is stable: one that was away has agreed to that before it was brought it."""
    state = shift.state(host)
    return bool(state["release_stable"]) and slots.holds(host, state["stable"]) == state["release_stable"]


def exchanging(host: Host) -> bool:
    """Say whether an exchange of databases is under way."""
    return host.site.exchange.exists()


def under_decision(host: Host) -> dict[str, Any]:
    """Return what is known of an exchange of databases, to who decides by it and holds the decision until that is done.

    It would be undone, or begun, between a look and the act else: a host may sleep at any line.
    """
    if not (host.decides or host.check):
        raise RuntimeError("who looks at an exchange of databases to decide by it holds the host's decision")
    return read_json(host.site.exchange)


def require_exchange(host: Host, request: Mapping[str, Any]) -> None:
    """Fail where this run has exchanged databases and somebody has put them back, since it was away for too long."""
    if request.get("point") and not host.check:
        require_phase(host, "exchange")


def require_rest(host: Host) -> None:
    """Refuse to begin anything that writes while databases are being exchanged."""
    if not exchanges.may_write(under_decision(host)):
        raise Failed(
            "a rollback takes the database along, and what is written now may be lost",
            hint="`status` says when it is done",
            refused=True,
        )


def keep_page(host: Host) -> None:
    """Have the maintenance page stay where an exchange of databases ends: somebody has asked for it."""
    told = read_json(host.site.exchange)
    if "page" in told and not told["page"]:
        host.write_json(host.site.exchange, {**told, "page": True})


def require_phase(host: Host, phase: str) -> dict[str, Any]:
    """Return what is known of this run's exchange of databases, where that is in `phase`; Failed where it is not."""
    told = under_decision(host)
    if not exchanges.goes_on(told, run=host.run_id, phase=phase, shifting=still_shifting(host)):
        raise Failed(
            "the rollback was not confirmed in time, and the guard has put back the database that served before",
            hint="`rollback --with-database` begins again",
        )
    return told


def end_exchange(host: Host) -> Failed | None:
    """End an exchange of databases that is under way, as restoring.resolve does."""
    if not exchanging(host):
        return None
    from ansible_collections.ferryman.ops.plugins.module_utils.release import restoring  # few runs have one

    return restoring.resolve(host)


def cool_later(host: Host, slot: str, *, after_s: float) -> None:
    """Stop `slot` in `after_s` seconds, unless it was given other work by then."""
    release = slots.holds(host, slot)
    if not release or host.check:
        return
    unit = f"{slots.cooling(host, slot)}{time.monotonic_ns()}"
    timer = ("--quiet", "--collect", f"--unit={unit}", f"--on-active={after_s:g}s", "--timer-property=AccuracySec=1s")
    what = ("/usr/bin/python3", "-I", str(PYZ), "cool", host.site.name, slot, release, f"{after_s:g}")
    host.command("systemd-run", *timer, *what)


def end_baseline(host: Host, *, drain_s: float) -> None:
    """Stop a baseline that clients are sent to no more, once what was begun there has had `drain_s` seconds to end."""
    cool_later(host, names.BASELINE, after_s=drain_s)


def cool(host: Host, slot: str, release: str, *, drain_s: float) -> None:
    """Stop a slot that nobody is sent to any more, unless it was given other work meanwhile or still drains."""
    with deciding(host):
        state = shift.state(host)
        # Who gives a baseline clients may be elsewhere, and does so at most as long as this host has the shift pending.
        used = state["phase"] != "stable" if slot == names.BASELINE else slot in (state["stable"], state["candidate"])
        if slots.holds(host, slot) != release or used:
            return
        left = shift.drained_in(host, slot, drain_s=drain_s)
        if left:
            cool_later(host, slot, after_s=left)
            return
        slots.stop(host, slot)
        if slot == names.BASELINE:
            baseline.forget(host)
        host.journal("stop", "done", release=release, slot=slot)


def prune(host: Host, request: Mapping[str, Any]) -> list[str]:
    """Remove releases, environments, what those were made from, secrets and dumps that nothing needs.

    Return the releases.

    The driver says what the ledger knows where it is elsewhere. In check mode the release that is settled counts as
    staged and live, as it will be by then: `record` is its own (a rollback's lies on the host), `dumped` says whether
    its run takes a dump.
    """
    present = [path.parent.name for path in sorted(host.site.root.glob("releases/*/release.json"))]
    lines = arbiter.lines(host) if "arbiter" in request["roles"] else list(request.get("ledger", []))
    coming = [request["record"]] if host.check and request.get("record") else []
    if host.check:
        lines.append({**request["line"], "status": "live"})
    # The slot that was settled in holds this release, or will.
    busy = [slots.holds(host, names.other(str(request["slot"]))), str(request["release"])]
    keep = int(request["settings"]["keep"])
    doomed = ledger.prunable(lines, present=[*present, *(each["id"] for each in coming)], keep=keep, busy=busy)
    for name in doomed:
        host.remove(host.site.release(name))
    stay = [read_json(host.site.release(name) / "release.json") for name in present if name not in doomed]
    _prune_beside(host, [*stay, *coming], keep=keep, dumped=bool(request.get("dumped")))
    if doomed:
        host.journal("prune", "done", removed=doomed)
    return doomed


def _prune_beside(host: Host, stay: Sequence[Mapping[str, Any]], *, keep: int, dumped: bool = False) -> None:
    """Remove what belongs to no release that stays; of the dumps, the newest stay as well.

    `dumped`: count a dump of this run among them, which check mode has not taken.
    """
    environments = {record.get("environment_key") for record in stay}
    for kind in ("environments", *STORES):
        for path in (host.site.root / kind).glob("*"):
            if path.name not in environments:
                host.remove(path)
    secrets = {name for record in stay for name in render.all_secrets(record["manifest"]["description"])}
    for path in (host.site.settings / "secrets").glob("[!.]*"):
        if path.name not in secrets:
            host.remove(path)
    runs = {record.get("run") for record in stay}
    dumps = sorted(host.site.dumps.glob("*.dump"))  # names begin with the time of their run
    for path in dumps[: max(0, len(dumps) + (host.check and dumped) - keep)]:
        if path.stem not in runs:
            host.remove(path)
    for path in [*host.site.dumps.glob(".*.new"), *host.site.state.glob("runs/*.out")]:
        if time.time() - path.stat().st_mtime > DAY_S:
            host.remove(path)


def still_shifting(host: Host) -> bool:
    """Return whether the shift that this run began is still pending: the guard may have been faster."""
    state = shift.state(host)
    return state["phase"] == "shifting" and state.get("run") == host.run_id


@contextmanager
def kept(host: Host, *, by_s: float) -> Iterator[None]:
    """Let the guard wait `by_s` seconds beyond the end of what is done here, where databases are being exchanged."""
    if not exchanging(host):
        yield
        return
    over, beat = threading.Event(), Host(host.site, run=host.run_id, token=host.token, check=host.check)

    def extend_again() -> None:
        while True:
            with deciding(beat):
                extend(beat, by_s=by_s)
            if over.wait(by_s / 3):
                return

    beating = threading.Thread(target=extend_again, daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()


@contextmanager
def held(host: Host, *, by_s: float) -> Iterator[None]:
    """Hold the host's decision over what nobody may undo in its middle, and give it `by_s` seconds more at its end."""
    with deciding(host):
        try:
            yield
        finally:
            extend(host, by_s=by_s)


def extend(host: Host, *, by_s: float) -> None:
    """Give a pending shift of this run `by_s` seconds more from now: workers may take long to end their last jobs."""
    if not host.check and still_shifting(host):
        state = shift.state(host)
        deadline = max(float(state["deadline"]), now().boottime + by_s)
        shift.keep(host, {**state, "deadline": deadline})
