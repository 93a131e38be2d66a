"""The steps by which more instances of a process run, or fewer, without a deploy.

What gets clients always runs, wherever a run ends: instances are started and healthy before the entries know of them,
and stopped once no entry does. Each host keeps its size in a file, which starts, gates and boots read.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    draining,
    members,
    names,
    probe,
    render,
    settling,
    shift,
    sizes,
    slots,
    systemd,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import (
    Failed,
    Host,
    Unwell,
    deciding,
    read_json,
)

Request = Mapping[str, Any]
Answer = dict[str, Any]


def seen(host: Host, release: Mapping[str, Any]) -> Answer:
    """Return what a look tells of each process of the live release that can be scaled: count, bounds, and who said so.

    `declared` is the count that it has by itself.
    """
    scale = slots.scaled(host)
    return {
        name: {
            "kind": process["kind"],
            "declared": sizes.count(name, process, {}),
            "bounds": list(sizes.bounds(process)),
            **scale.get(name, {}),
            "instances": sizes.count(name, process, scale),
        }
        for name, process in release.get("processes", {}).items()
        if sizes.can_be_scaled(process)
    }


def taken(host: Host, counts: Mapping[str, int]) -> list[int]:
    """Return the ports on which somebody else listens, of those that processes get where there are so many of each."""
    given_out, own = read_json(host.site.settings / "ports.json"), systemd.at_work(host)
    address = str(given_out.get("address", "127.0.0.1"))
    return [
        port
        for name, count in counts.items()
        for slot, ports in given_out.get("ports", {}).get(name, {}).items()
        for number, port in enumerate(ports[:count], 1)
        if host.site.unit(name, slot, number) not in own and _listened_to(address, port)
    ]


def _listened_to(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _keep(host: Host, **told: Any) -> None:
    """Write down what is given of: sizes (by process), servers (how many processes of each app host get clients)."""
    known = {"format": 1, "sizes": {}, **read_json(host.site.sizes), **told}
    host.write_json(host.site.sizes, {key: value for key, value in known.items() if key != "servers" or value})


def take_over(host: Host, told: Mapping[str, Any]) -> None:
    """Have a new host scaled as the ledger says: what a host has been told itself it keeps."""
    if told and not host.site.sizes.exists():
        _keep(host, sizes=told["sizes"])


# More


def grow(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Start the instances that are added, see them through the gate, and have them come up with the host.

    A slot that is kept warm grows, too: whoever goes back to it finds as many there.
    """
    if "app" not in request["roles"]:
        return {}
    with deciding(host):  # a slot that is just being cooled down is cold before it is looked at
        stable, before = shift.state(host)["stable"], slots.scaled(host)
        most = sizes.larger(slots.record(host, stable).get("processes", {}), before, request["scale"]["sizes"])
        if settling.holds_stable(host):
            lacks = {slot: _lacks(host, slot, most, stable=stable) for slot in _at_work(host, stable)}
            host.changes += [f"{each.unit} started" for listed in lacks.values() for each in listed]
            if any(lacks.values()) and not host.check:
                _start(host, lacks, request["settings"], before=before)
        _keep(host, sizes=most)
        _enable(host, stable)
    return {}


def _at_work(host: Host, stable: str) -> list[str]:
    """Return the slots that have processes, the one that serves first."""
    running, other = systemd.running(host), names.other(stable)
    warm = any(each.kind == "web" and each.unit in running for each in _all(host, other, slots.scaled(host)))
    return [stable, other] if warm else [stable]


def _all(host: Host, slot: str, scale: sizes.Sizes) -> list[slots.Instance]:
    return slots.instances(host, slot, slots.record(host, slot), scale)


def _lacks(host: Host, slot: str, scale: sizes.Sizes, *, stable: str) -> list[slots.Instance]:
    """Return what should run in a slot and does not; workers only where it is the slot that serves."""
    kinds, running = ("web", "worker") if slot == stable else ("web",), systemd.running(host)
    return [each for each in _all(host, slot, scale) if each.kind in kinds and each.unit and each.unit not in running]


def _start(
    host: Host, lacks: Mapping[str, list[slots.Instance]], settings: Mapping[str, Any], *, before: sizes.Sizes
) -> None:
    """Start instances and wait until they are healthy; where one is not, none is left that was not there `before`."""
    every = [each for listed in lacks.values() for each in listed]
    there = {each.unit for slot in lacks for each in _all(host, slot, before)}
    units, since = [each.unit for each in every], time.time()
    host.journal("grow", "started", units=units)
    try:
        for slot, listed in lacks.items():
            secrets = render.all_secrets(slots.record(host, slot)["manifest"]["description"])
            slots.place(host, slot, listed, secrets, beside=True)
        systemd.start(host, units, since=since)
        _pass_gate(host, every, settings, since=since)
    except Exception as error:
        _remove(host, [unit for unit in units if unit not in there])
        host.journal("grow", "failed", units=units, reason=str(error))
        raise
    host.journal("grow", "done", units=units)


def _pass_gate(host: Host, every: list[slots.Instance], settings: Mapping[str, Any], *, since: float) -> None:
    webs = [each for each in every if each.kind == "web"]
    times = {"soak_s": settings["soak_s"], "timeout_s": settings["start_timeout_s"]}
    try:
        probe.through(host, webs, consecutive=settings["health_consecutive"], **times)
    except probe.Ill as ill:
        raise Unwell(str(ill), evidence=host.logs(ill.unit, since=since)) from None
    workers = [each.unit for each in every if each.kind == "worker"]
    if workers:
        slots.stay_up(host, workers, settings["worker_soak_s"], since=since)


def _remove(host: Host, units: list[str]) -> None:
    """Stop units for good: each gets the time to end its last work."""
    if not units:
        return
    systemd.stop(host, units, timeout=180)
    for unit in units:
        host.remove(names.UNITS / unit)
    host.systemctl("daemon-reload")
    with suppress(Failed):  # a unit that systemd has forgotten has nothing to reset
        host.systemctl("reset-failed", *units)


def _enable(host: Host, stable: str) -> None:
    """Have what is scaled come up with the host; workers wait for the arbiter's word, where one is to be asked."""
    was = shift.state(host).get("stable_run", {})
    if settling.holds_stable(host):
        slots.enable(host, stable, background="asks" not in was)


# Clients


def send(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Have this entry send clients to as many web processes of each app host as `servers` says; 0 changes nothing.

    Where they are fewer than before, what was begun is waited for: `emptied` says whether it has ended.
    """
    told = request["scale"]
    if "entry" not in request["roles"] or not told["servers"]:
        return {}
    from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host, nginx_members, nginx_place

    count = int(told["servers"])
    with deciding(host):
        try:
            before = nginx_members.servers(nginx_place.live(host.site.name))
            host.changes += [f"clients go to {count} of each app host"] if before != count else []
            done = "nothing" if host.check else nginx_members.resize(host.site.name, count)
        except (nginx_host.Problem, OSError) as problem:
            raise Failed(
                f"nginx did not take it up: {problem}", hint="`provision` puts its configuration in place"
            ) from None
        _keep(host, servers=count if told["kept"] else 0)
        members.resize(host, count)
    if done != "nothing":
        host.journal("members", "done", servers=count, before=before, nginx=done)
    fewer = count < before and not host.check
    return {"emptied": draining.reloaded(host, drain_s=request["settings"]["drain_s"])} if fewer else {}


def servers(host: Host) -> int:
    """Return to how many web processes of each app host this entry sends clients; 0 where nobody can tell."""
    from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host, nginx_members, nginx_place

    with suppress(nginx_host.Problem, OSError):
        return nginx_members.servers(nginx_place.live(host.site.name))
    return 0


# Fewer


def shrink(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Stop the instances that nobody wants any more, for good; no entry sends clients to them by now."""
    if "app" not in request["roles"]:
        return {}
    with deciding(host):
        scale = request["scale"]["sizes"]
        _keep(host, sizes=scale)
        _enable(host, shift.state(host)["stable"])
        known = {unit for slot in names.SLOTS for unit in slots.known(host, slot) if unit.endswith(".service")}
        wanted = {each.unit for slot in names.SLOTS for each in _all(host, slot, scale)}
        units = sorted(known - wanted)
        host.changes += [f"{unit} stopped" for unit in units]
        if units and not host.check:
            _remove(host, units)
            host.journal("shrink", "done", units=units)
    return {}


def scaled(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Say in the ledger what was scaled, or why it came to nothing; and let go of the lock."""
    if "arbiter" in request["roles"]:
        line = (request.get("scale") or {}).get("line")
        if line:
            reason = str(request.get("reason") or "")  # where another host has failed this one may have none
            arbiter.record(host, **{**line, "reason": ": ".join(filter(None, (line["reason"], reason)))})
        arbiter.free(host)
    return {}


STEPS: dict[str, Callable[[Host, Request, IO[bytes]], Answer]] = {
    "grow": grow,
    "members": send,
    "shrink": shrink,
    "scaled": scaled,
}
