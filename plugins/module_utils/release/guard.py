"""The guard: whoever drives may vanish; what he began is confirmed by the commit record, or undone.

It is started by systemd when something is pending, and at every boot before the entry comes up.
"""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import arbiter, names, shift, slots, steps
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, now
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site

DRAIN_S = 60.0  # nobody is there to ask: long enough for any upload that the entry lets in
INTERVAL_S = 0.5


def due(pending: dict[str, object], *, boot: str, boottime: float) -> bool:
    """Return whether a pending shift may no longer wait: its deadline is over, or it was given in another boot."""
    return pending.get("boot") != boot or boottime >= float(str(pending.get("deadline", 0)))


def resolve(host: Host, *, reason: str) -> str:
    """End a pending shift: `confirmed` where the ledger has its commit record, else `returned`."""
    with deciding(host):
        return _resolve(host, reason=reason)


def _resolve(host: Host, *, reason: str) -> str:
    state = shift.state(host)
    if state["phase"] == "stable":  # whoever held us up has ended it
        host.remove(host.site.pending)
        return "stable"
    run, candidate, release = str(state.get("run", "")), state.get("candidate"), str(state.get("release_candidate", ""))
    host.run_id, host.token = run, int(state.get("token", 0))
    if candidate and arbiter.committed(host, run):
        slots.move_workers(host, candidate, alive_s=0)
        steps.settle(host, slot=candidate, release=release, warm_s=DRAIN_S, drain_s=DRAIN_S)
        return "confirmed"
    steps.go_back(host, reason=reason, drain_s=DRAIN_S)
    if arbiter.lines(host):
        ended: dict[str, Any] = next((line for line in reversed(arbiter.lines(host)) if line.get("run") == run), {})
        if ended.get("status") == "started":
            same = {
                key: ended.get(key)
                for key in ("event", "release", "previous", "commit", "ref", "digest", "configuration", "slot")
            }
            arbiter.record(host, **same, status="returned", who="guard", reason=reason)
    return "returned"


def watch() -> None:
    """Look after everything that is pending until nothing is."""
    while True:
        names.PENDING.mkdir(parents=True, exist_ok=True)
        waiting = [Host(Site(path.name)) for path in sorted(names.PENDING.iterdir()) if not path.name.startswith(".")]
        if not waiting:
            return
        for host in waiting:
            state = shift.state(host)
            if state["phase"] != "shifting":
                host.remove(host.site.pending)
                continue
            moment = now()
            if due(state, boot=moment.boot, boottime=moment.boottime):
                resolve(host, reason="not confirmed in time: its driver is gone")
        time.sleep(INTERVAL_S)


def boot() -> None:
    """Before the entry comes up: no shift outlives a reboot unconfirmed, and clients go to the stable slot."""
    for path in sorted(names.SITES.iterdir()) if names.SITES.is_dir() else []:
        host = Host(Site(path.name))
        try:
            if shift.state(host)["phase"] == "shifting":
                resolve(host, reason="the host was started again before the shift was confirmed")
            elif (path / "share").is_symlink() and shift.share(host) != shift.full(shift.state(host)["stable"]):
                shift.set_share(host, shift.full(shift.state(host)["stable"]))
        except Failed as failed:
            print(f"{path.name}: {failed}")  # one site in trouble keeps no other from being looked after
