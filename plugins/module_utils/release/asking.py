"""What an application says itself of both releases while one has a share of the clients: its steps, its metrics.

Both are asked of the processes, on their own ports, from wherever an entry sends clients to them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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

    `probed` says which of the new release's processes was asked, of how many: each has its turn. Metrics are read from
    the processes of all hosts but those that are `away`, as the request may have it.
    """
    wanted, turn = _metrics(request), int(request.get("look", {}).get("turn", 0))
    there = [listens(host, each) for each in arms] if request.get("verify") else []
    return {
        "probes": _steps(host, request, arms, there, turn=turn),
        "probed": [_named(there[0][turn % len(there[0])]), len(there[0])] if there and there[0] else None,
        "metrics": _numbers(host, request, arms, wanted) if wanted else {},
    }


def once_more(host: Host, request: Request, arms: Sequence[str], paths: Sequence[str]) -> Sequence[int]:
    """Return of how many failed requests with these `paths` it was looked at once more, and how many fail with both."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import replay

    new, old = (listens(host, each, away=request.get("away", ())) for each in arms)
    return replay.replayed(paths, new, old, _getter(request, client=replay.CLIENT))


def takes_s(request: Request) -> float:
    """Return how long that takes at most."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics, replay

    steps_s = 2 * float((request.get("verify") or {}).get("timeout_s", 0))
    again_s = replay.TAKES_S if request["look"].get("replay") else 0.0
    return steps_s + (metrics.MOST_S if _metrics(request) else 0.0) + again_s


def _metrics(request: Request) -> Sequence[Mapping[str, Any]]:
    return (request.get("description") or {}).get("metrics") or []


def listens(host: Host, slot: str, *, away: Collection[str] = ()) -> list[tuple[str, int]]:
    """Return address and port of each web process of `slot` that this entry sends clients to, on hosts not `away`."""
    told = members.listens(host, slot, away=away)
    if told:
        return [(where.strip("[]"), int(port)) for where, _, port in (each.rpartition(":") for each in told)]
    return [(i.address, i.port) for i in slots.instances(host, slot, slots.record(host, slot)) if i.port]


def _steps(
    host: Host, request: Request, arms: Sequence[str], there: Sequence[Sequence[tuple[str, int]]], *, turn: int
) -> dict[str, list[Optional[bool]]]:
    """Return by step whether it is as expected at a process of the new release and at one of the old; None for neither.

    `there` is where those of each arm listen.
    """
    found: dict[str, list[Optional[bool]]] = {}
    state = shift.state(host)
    releases = {names.other(state["stable"]): str(request.get("beside", ""))}  # while nobody is moved there
    if state["candidate"]:
        releases[state["candidate"]] = state["release_candidate"]
    releases[state["stable"]] = releases[names.BASELINE] = state["release_stable"]
    for arm, processes in enumerate(there):
        if processes:
            at = processes[turn % len(processes)]
            for name, good in verifying.probed(request, at, release=releases[arms[arm]]).items():
                found.setdefault(name, [None, None])[arm] = good
    return found


def _named(process: tuple[str, int]) -> str:
    return f"{process[0]}:{process[1]}"


def _numbers(host: Host, request: Request, arms: Sequence[str], wanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return by name what all processes of either release tell of themselves."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics

    away = request.get("away", ())
    return metrics.read(wanted, [listens(host, each, away=away) for each in arms], _getter(request))


def _getter(
    request: Request, *, client: str = verifying.ITSELF
) -> Callable[[tuple[str, int], str, float], expect.Answer]:
    domain = str(request["entry"]["domain"])

    def get(process: tuple[str, int], path: str, limit_s: float) -> expect.Answer:
        return verify.get(verifying.at_process("slot", process, domain, client=client), path, limit_s=limit_s)

    return get
