"""Whom an entry sends no clients to, and why: kept beside the share, where the role `nginx` reads it, too.

An app host is fenced off for each of REASONS at most once, and let in when none is left: who has asked for one thing
ends that, and no other. `away` is the invariant of a fleet: an app host that is not fenced off for that has the stable
release, as every entry has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, read_json, utc

AWAY, HAND, MAINTENANCE = "away", "hand", "maintenance"
REASONS = (AWAY, HAND, MAINTENANCE)
"""Left out of a release; by somebody's word; while it is patched."""
FILE = "fenced.json"
Fences = dict[str, Any]
"""By host: {address, for: {REASON: {why, since, who, run}}}."""


# Decisions


def with_(before: Mapping[str, Any], hosts: Mapping[str, str], reason: str, told: Mapping[str, Any]) -> Fences:
    """Return the fences with `hosts` (addresses by name) off for a reason; who was for that stays as he was told."""
    after = {name: {**fence, "for": dict(fence["for"])} for name, fence in before.items()}
    for name, address in hosts.items():
        fence = after.setdefault(name, {"address": address, "for": {}})
        fence["address"] = address
        fence["for"].setdefault(reason, dict(told))
    return after


def without(before: Mapping[str, Any], hosts: Collection[str], reason: str, *, run: str = "") -> Fences:
    """Return the fences with `hosts` no longer off for a reason, only where it is of a `run` if that is named."""
    after: Fences = {}
    for name, fence in before.items():
        ends = name in hosts and (not run or fence["for"].get(reason, {}).get("run") == run)
        left = {why: told for why, told in fence["for"].items() if not (ends and why == reason)}
        if left:
            after[name] = {**fence, "for": left}
    return after


def off_for(fences: Mapping[str, Any], reason: str) -> list[str]:
    """Return who is fenced off for a reason."""
    return sorted(name for name, fence in fences.items() if reason in fence["for"])


# On the host


def fences(host: Host) -> Fences:
    """Return whom this entry sends no clients to."""
    return dict(read_json(host.site.state / FILE).get("hosts", {}))


def put(host: Host, after: Fences) -> None:
    """Have this entry send no clients to whom `after` names, and to all others.

    Failed with everything as it was; refused where nobody would be left.
    """
    # Few runs have a use for them.
    from ansible_collections.ferryman.ops.plugins.module_utils import nginx_fence, nginx_host, nginx_place

    before, path = fences(host), host.site.state / FILE
    out = {str(fence["address"]) for fence in after.values()}
    try:
        nginx_fence.without(nginx_place.live(host.site.name), out)
    except (nginx_host.Problem, OSError) as problem:
        raise Failed(str(problem), hint="`status` says who is fenced off", refused=True) from None
    changed = before != after and host.write_json(path, {"format": 1, "hosts": after})
    if host.check:
        return
    try:
        # Asked also where the file was so already: a session may have ended between it and nginx.
        done = nginx_fence.take_out(host.site.name, out)
    except (nginx_host.Problem, OSError) as problem:
        host.write_json(path, {"format": 1, "hosts": before})
        raise Failed(
            f"nginx did not take it up: {problem}", hint="`provision` puts its configuration in place"
        ) from None
    if changed or done != "nothing":
        host.journal("fence", "done", off={name: sorted(fence["for"]) for name, fence in after.items()}, nginx=done)


def take_part(host: Host, names: Iterable[str]) -> list[str]:
    """Return those of the app hosts of a run that are fenced off here until it is committed with them."""
    return sorted({*names} & {*off_for(fences(host), AWAY)})


def let_in(host: Host, mended: Collection[str]) -> None:
    """Send clients again to hosts that have the stable release by now.

    A run that is committed has no way back: where nginx does not follow, `status` goes on to name them, and the next
    deploy tries again.
    """
    _try(host, without(fences(host), mended, AWAY))


def undo(host: Host) -> None:
    """Send clients again to whom this run has left out: what is stable again is what they have."""
    _try(host, without(fences(host), fences(host), AWAY, run=host.run_id))


def _try(host: Host, after: Fences) -> None:
    if after == fences(host):
        return
    try:
        put(host, after)
    except Failed as failed:
        host.journal("fence", "failed", reason=str(failed))


def step(host: Host, request: Mapping[str, Any], _: object) -> dict[str, Any]:
    """Fence hosts off, or let them in; `fence` of the request holds hosts, reason, why, out and drain_s.

    With `drain_s` it waits until what had begun before has ended, for so long at most: `emptied` says whether it has.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils.release import draining  # who only decides needs none

    if "entry" not in request["roles"]:
        return {}
    told, drain_s = request["fence"], float(request["fence"].get("drain_s", 0))
    hosts, reason = dict(told["hosts"]), str(told["reason"])
    with deciding(host):
        if told["out"]:
            said = {"why": told["why"], "since": utc(), "who": request["who"], "run": host.run_id}
            after = with_(fences(host), hosts, reason, said)
        else:
            after = without(fences(host), hosts, reason)
        put(host, after)
    return {
        "fenced": sorted(after),
        **({"emptied": draining.reloaded(host, drain_s=drain_s)} if drain_s and told["out"] else {}),
    }
