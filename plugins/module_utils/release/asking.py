"""What an application says itself of both releases while one has a share of the clients: its steps, its metrics.

Both are asked of the processes, on their own ports, from wherever an entry sends clients to them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    expect,
    members,
    names,
    shift,
    slots,
    verify,
    verifying,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host

Request = Mapping[str, Any]


def both(host: Host, request: Request, arms: Sequence[str]) -> dict[str, Any]:
    """Return `probes` and `metrics` by name, each of the new release and of the old one: `arms` is where they run.

    Metrics are read from the processes of all hosts but those that are `away`, as the request may have it.
    """
    wanted = _metrics(request)
    return {
        "probes": _steps(host, request, arms) if request.get("verify") else {},
        "metrics": _numbers(host, request, arms, wanted) if wanted else {},
    }


def takes_s(request: Request) -> float:
    """Return how long that takes at most."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics

    steps_s = 2 * float((request.get("verify") or {}).get("timeout_s", 0))
    return steps_s + (metrics.MOST_S if _metrics(request) else 0.0)


def _metrics(request: Request) -> Sequence[Mapping[str, Any]]:
    return (request.get("description") or {}).get("metrics") or []


def listens(host: Host, slot: str, *, away: Collection[str] = ()) -> list[tuple[str, int]]:
    """Return address and port of each web process of `slot` that this entry sends clients to, on hosts not `away`."""
    told = members.listens(host, slot, away=away)
    if told:
        return [(where.strip("[]"), int(port)) for where, _, port in (each.rpartition(":") for each in told)]
    return [(i.address, i.port) for i in slots.instances(host, slot, slots.record(host, slot)) if i.port]


def _steps(host: Host, request: Request, arms: Sequence[str]) -> dict[str, list[Optional[bool]]]:
    """Return by step whether it is as expected at a process of the new release and at one of the old; None for neither.

    Each process has its turn.
    """
    found: dict[str, list[Optional[bool]]] = {}
    state = shift.state(host)
    releases = {names.other(state["stable"]): str(request.get("beside", ""))}  # while nobody is moved there
    if state["candidate"]:
        releases[state["candidate"]] = state["release_candidate"]
    releases[state["stable"]] = releases[names.BASELINE] = state["release_stable"]
    for arm, each in enumerate(arms):
        there = listens(host, each)
        if there:
            at = int(time.monotonic()) % len(there)
            for name, good in verifying.probed(request, there[at], release=releases[each]).items():
                found.setdefault(name, [None, None])[arm] = good
    return found


def _numbers(host: Host, request: Request, arms: Sequence[str], wanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return by name what all processes of either release tell of themselves."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics

    domain = str(request["entry"]["domain"])

    def get(process: tuple[str, int], path: str, limit_s: float) -> expect.Answer:
        return verify.get(verifying.at_process("slot", process, domain), path, limit_s=limit_s)

    away = request.get("away", ())
    return metrics.read(wanted, [listens(host, each, away=away) for each in arms], get)
