"""The guard: whoever drives may vanish; what he began is confirmed by the commit record, or undone.

It is started by systemd when something is pending, and at every boot before the entry comes up. What was committed on
several hosts may be brought back while the old slot is warm: it asks for that, too.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    baseline,
    commits,
    following,
    names,
    settling,
    shift,
    slots,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, deciding, now
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site

DRAIN_S = 60.0  # nobody is there to ask: long enough for any upload that the entry lets in
INTERVAL_S = 0.5
FOLLOW_EVERY = 4  # in so many turns the arbiter is asked once whether what is live was brought back
DOUBT_S = 3.0  # after its deadline a host goes on as it is for so long: the arbiter is about to decide


def due(pending: dict[str, object], *, boot: str, boottime: float) -> bool:
    """Return whether a pending shift may no longer wait: its deadline is over, or it was given in another boot."""
    return pending.get("boot") != boot or boottime >= float(str(pending.get("deadline", 0)))


def overdue(host: Host) -> bool:
    """Say whether the shift that is pending here may no longer be confirmed, be it that nobody has undone it yet."""
    state, moment = shift.state(host), now()
    return due(state, boot=moment.boot, boottime=moment.boottime - float(state.get("patience_s", 0)))


def resolve(host: Host, *, reason: str, end: str = "") -> str:
    """End a pending shift: `confirmed` where the ledger has its commit record, else `returned`.

    Where the ledger is elsewhere, its arbiter is asked, unless it is known already that the run's `end` is `live` or
    `returned`; nobody else decides, and without an answer the shift stays pending: `waiting`, or in `doubt`.
    """
    with deciding(host):
        return _resolve(host, reason=reason, end=end)


def _resolve(host: Host, *, reason: str, end: str = "") -> str:
    state = shift.state(host)
    if state["phase"] == "stable":
        _rest(host, state["stable"])
        return "stable"
    run, candidate, release = str(state.get("run", "")), state.get("candidate"), str(state.get("release_candidate", ""))
    host.run_id, host.token = run, int(state.get("token", 0))
    elsewhere = bool(state.get("asks"))
    if elsewhere:
        end = end or commits.ask(state["asks"], run)
    else:
        end = "live" if candidate and arbiter.committed(host, run) else "returned"
    if not end:
        return _wait(host, state)
    if end in ("live", commits.PAST):
        slots.bring_up(host, str(candidate))  # after a boot, only what was enabled before it has come up
        settling.settle(host, slot=str(candidate), release=release, after_s=DRAIN_S, drain_s=DRAIN_S)
        settling.end_exchange(host)
        if end == "live" and settling.holds_stable(host):
            slots.move_workers(host, str(candidate), alive_s=0, wait=False)
        else:
            _overtaken(host)
        shift.let_go(host)
        commits.tell(host, run=run, seal=str(state.get("seal", "")), end="live")
        return "confirmed"
    back = settling.go_back(host, release=release, reason=reason, drain_s=DRAIN_S, wait=False)
    if not elsewhere:
        arbiter.close(host, run, status="returned", who="guard", reason=back.told(reason))
        commits.tell(host, run=run, seal=str(state.get("seal", "")), end="returned")
    return "returned"


def _wait(host: Host, state: dict[str, Any]) -> str:
    """Serve what is surely healthy, once the arbiter should have decided and does not say how."""
    moment = now()
    waits_s = DOUBT_S + float(state.get("patience_s", 0))
    if state["phase"] == "shifting" and not due(state, boot=moment.boot, boottime=moment.boottime - waits_s):
        return "waiting"
    shift.stand_in(host)
    return "doubt"


def _rest(host: Host, slot: str) -> None:
    """Bring what is decided already to its end, unless whoever held us up has done so."""
    if not host.site.pending.exists() or settling.end_exchange(host):
        return  # what is not well is looked at again
    _keep_promise(host)
    stands = _stands(host)
    if not stands:
        return  # workers of what may be overtaken take no job; who is asked is asked again
    try:
        if stands == commits.PAST:
            _overtaken(host)
        elif settling.holds_stable(host):
            slots.move_workers(host, slot, alive_s=0, wait=False)
    finally:
        shift.let_go(host)


def _stands(host: Host) -> str:
    """Return how the run stands now that committed what is stable here; nothing where the arbiter does not say."""
    was = shift.state(host).get("stable_run", {})
    return commits.ask(was["asks"], str(was["run"])) if was.get("asks") else "live"


def _overtaken(host: Host) -> None:
    """Run nothing any more: this host was left out of what is live, and the entries send it nobody."""
    if host.site.root.exists():
        slots.rest(host)
        host.journal("overtaken", "done", release=str(shift.state(host)["release_stable"]))


def watch() -> None:
    """Look after everything that is pending, or follows what becomes of a live release, until nothing does.

    Each site by itself: workers of one may take long to end their last jobs, and another one's clients wait meanwhile.
    """
    busy: dict[str, threading.Thread] = {}
    due_to_ask: set[str] = set()
    for turn in itertools.count():
        names.PENDING.mkdir(parents=True, exist_ok=True)
        waiting = [path.name for path in sorted(names.PENDING.iterdir()) if not path.name.startswith(".")]
        busy = {site: thread for site, thread in busy.items() if thread.is_alive()}
        if not (waiting or busy):
            return
        if turn % FOLLOW_EVERY == 0:
            due_to_ask = {name.removesuffix(names.FOLLOWS) for name in waiting if name.endswith(names.FOLLOWS)}
        for site in {name.removesuffix(names.FOLLOWS) for name in waiting} - busy.keys():
            works = [_look_after] if site in waiting else []
            works += [_follow] if site in due_to_ask else []
            due_to_ask.discard(site)
            if works:
                busy[site] = threading.Thread(target=_apart, args=(site, *works))
                busy[site].start()
        time.sleep(INTERVAL_S)


def _look_after(host: Host) -> None:
    if not _ripe(host):
        return
    with deciding(host):
        if _ripe(host):  # its driver may have held the decision, and given itself more time
            _resolve(host, reason="not confirmed in time: its driver is gone")


def _ripe(host: Host) -> bool:
    state, moment = shift.state(host), now()
    return state["phase"] != "shifting" or due(state, boot=moment.boot, boottime=moment.boottime)


def _follow(host: Host) -> None:
    """Ask whether what is live here was brought back after its commit, and go along."""
    state = shift.state(host)
    was = state.get("stable_run", {})
    answer = commits.answer(was["asks"], str(was["run"])) if was.get("asks") else {}
    with deciding(host):
        same = shift.state(host).get("stable_run", {}).get("run") == was.get("run")
        act = following.comes_to(shift.state(host), answer) if same else following.WAIT
        if act == following.FOLLOW:
            follow(host, answer)
        elif act == following.REST:
            _overtaken(host)
        if act != following.WAIT:
            host.remove(host.site.follows)


def follow(host: Host, told: Mapping[str, Any]) -> None:
    """Go where a committed run has brought what was live here; who calls this holds the host's decision."""
    if following.step_back(host, told):
        _resolve(host, reason="", end="live")


def boot() -> None:
    """Before the entry comes up: no shift outlives a reboot unconfirmed, and clients go to the stable slot.

    What could not be ended now is left to `watch`, which tries again.
    """
    for path in sorted(names.SITES.iterdir()) if names.SITES.is_dir() else []:
        _apart(path.name, _settle_at_boot)
    if names.PENDING.is_dir() and any(names.PENDING.iterdir()):
        subprocess.run(["systemctl", "start", "--no-block", "ferryman-guard.service"], check=False)


def _settle_at_boot(host: Host) -> None:
    state = shift.state(host)
    baseline.forget(host)  # none of its units comes up with the host
    if settling.exchanging(host):
        return  # the database is not up before the entry: that is for `watch`, and clients get the maintenance page
    if state.get("asks") and state["phase"] != "stable":
        shift.stand_in(host)  # whom to ask cannot be reached yet: that is for `watch`
    elif state["phase"] == "shifting":
        resolve(host, reason="the host was started again before the shift was confirmed")
    elif (host.site.state / "share").is_symlink() and shift.share(host) != shift.full(state["stable"]):
        shift.set_share(host, shift.full(state["stable"]))
    if "asks" in state.get("stable_run", {}) and slots.has_background(host, state["stable"]):
        host.write(host.site.pending, "")  # for `watch`, which starts workers once the arbiter says that they may
    commits.stays(host)  # who watched what is live is gone
    if _promised(host):
        host.write(host.site.pending, "")  # for `watch`, which tries again
        _keep_promise(host)


def _promised(host: Host) -> dict[str, Any]:
    """Return the run, with its seal, whose end other hosts may wait to be told since an earlier boot; mostly none."""
    told, state = arbiter.promised(host), shift.state(host)
    run = str(told.get("run", ""))
    pends = state["phase"] != "stable" and state.get("run") == run  # then it is resolved with that
    return told if run and not pends and commits.stands(host, run) in ("", "open") else {}


def _keep_promise(host: Host) -> None:
    """Tell the other hosts how a run ended that this one began, and was cut off in before it could.

    They may be moved already, where they could not reach this one and went on (commits.await_begun); and where it did
    not come to tell them how the run had ended, they still wait for that.
    """
    with deciding(host):
        if told := _promised(host):
            run = str(told["run"])
            live = arbiter.committed(host, run)
            if not live:
                arbiter.give_up(host, run)
            commits.tell(host, run=run, seal=str(told["seal"]), end="live" if live else "returned")


def _apart(site: str, *works: Callable[[Host], None]) -> None:
    """Do something for one site; one in trouble keeps no other from being looked after."""
    for work in works:
        try:
            work(Host(Site(site)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next site must have its turn
            print(f"{site}: {type(error).__name__}: {error}", flush=True)
