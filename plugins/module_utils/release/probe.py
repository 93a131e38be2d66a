"""Asking the processes of a slot whether they are well: once, or through the gate that a new release has to pass."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ansible_collections.ferryman.ops.plugins.module_utils.release import gate, slots, systemd, timed
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, Unwell, now

AGAIN_S = 0.3
"""What answered badly is asked again after so long, before it is called unwell."""


def crashes(host: Host, instance: slots.Instance) -> int:
    """Return how often systemd had to start a unit again, in all its life: only differences tell anything."""
    if not instance.unit:
        return 0
    out = host.systemctl("show", "-P", "NRestarts", instance.unit).strip()
    return int(out or 0)


def answer(host: Host, instance: slots.Instance) -> tuple[bool, str]:
    """Ask a web process itself, on its own port, and return whether it is well and what it said."""
    health = instance.process.get("health") or {}
    if not health.get("path"):
        return listens(instance.address, instance.port)
    return ask(
        instance.address,
        instance.port,
        health["path"],
        status=int(health["status"]),
        timeout_s=float(health["timeout_s"]),
    )


def listens(address: str, port: int) -> tuple[bool, str]:
    """Say whether somebody takes connections there, and what came of one."""
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError as error:
        return False, f"port {port}: {error.strerror or error}"
    return True, "listens"


def ask(address: str, port: int, path: str, *, status: int, timeout_s: float) -> tuple[bool, str]:
    """Ask for `path` in clear HTTP and return whether all that is read came in time with `status`, and what."""
    import http.client  # takes time, and few sessions ask a process

    until = time.monotonic() + timeout_s
    try:
        with timed.connected(address, port, until=until) as stream:
            connection = http.client.HTTPConnection(address, port)
            connection.sock = timed.Timed(stream, until=until)
            connection.request("GET", path, headers={"Connection": "close", "User-Agent": "ferryman-health"})
            reply = connection.getresponse()
            text = reply.read(300).decode(errors="replace").strip().replace("\n", " ")
    except (OSError, http.client.HTTPException) as error:
        return False, f"{path} on port {port}: {error or type(error).__name__}"
    return reply.status == status, f"{path} on port {port} answered {reply.status} {text[:120]}"


def pass_gate(
    host: Host, slot: str, *, consecutive: int, soak_s: float, timeout_s: float, interval_s: float = 0.1
) -> list[dict[str, Any]]:
    """Wait until every web process of `slot` has passed its gate.

    Unwell brings the last log lines of the one that did not.
    """
    if host.check:
        return []
    release = slots.record(host, slot)
    webs = [i for i in slots.instances(host, slot, release) if i.kind == "web"]
    try:
        passed = through(host, webs, consecutive=consecutive, soak_s=soak_s, timeout_s=timeout_s, interval_s=interval_s)
    except Ill as ill:
        _refuse(host, slot, release, ill)
    host.journal("start", "done", release=str(release.get("id")), slot=slot, since=slots.since(host, slot))
    return passed


def through(
    host: Host,
    webs: Sequence[slots.Instance],
    *,
    consecutive: int,
    soak_s: float,
    timeout_s: float,
    interval_s: float = 0.1,
) -> list[dict[str, Any]]:
    """Wait until all of these web processes have passed the gate, wherever they run; raises the first Ill one."""
    waiting = list(webs)
    seen: dict[int, list[gate.Answer]] = {i.port: [] for i in waiting}
    passed: list[dict[str, Any]] = []
    # A slot that was kept warm has its past: what counts is what happens from now on.
    past = {i.port: crashes(host, i) for i in waiting}
    began = now().boottime
    while waiting:
        for instance in list(waiting):
            good, note = answer(host, instance)
            at = now().boottime - began
            before = seen[instance.port]
            # systemd is dearer to ask than the process: when that is bad, when it has just become good, now and then.
            afresh = not good or not before or not before[-1].good or len(before) % 5 == 4
            count = crashes(host, instance) - past[instance.port] if afresh else before[-1].crashes
            before.append(gate.Answer(at, good, count, note))
            verdict = gate.judge(seen[instance.port], consecutive=consecutive, soak_s=soak_s, timeout_s=timeout_s)
            if verdict.result == "failed":
                raise Ill(instance.unit, verdict.reason, instance.name)
            if verdict.result == "passed":
                passed.append({"unit": instance.unit, "reason": verdict.reason, "soak_s": soak_s})
                waiting.remove(instance)
        if waiting:
            host.wait(interval_s)
    return passed


def _refuse(host: Host, slot: str, release: Mapping[str, Any], ill: Ill) -> NoReturn:
    told = {"slot": slot, "since": slots.since(host, slot), "unit": ill.unit, "reason": ill.said}
    host.journal("start", "failed", release=str(release.get("id")), **told)
    evidence = slots.logs(host, slot, ill.unit or "nginx.service")
    raise Unwell(str(ill), evidence=evidence) from None


class Ill(Exception):
    """One process that is not well, and what it said; `name` is for one that has no unit."""

    def __init__(self, unit: str, said: str, name: str = "") -> None:
        super().__init__(f"{unit or name}: {said}")
        self.unit, self.said = unit, said


def check(host: Host, slot: str, kinds: Sequence[str] = ("web", "worker", "cron")) -> list[Ill]:
    """Ask every process of these `kinds` in `slot` once and return those that are not well; of cron, its timer."""
    running = systemd.running(host)
    ill = []
    for instance in slots.instances(host, slot, slots.record(host, slot)):
        if instance.kind not in kinds:
            continue
        unit = host.site.unit(instance.name, slot, kind="timer") if instance.kind == "cron" else instance.unit
        if unit and unit not in running:
            ill.append(Ill(unit, "does not run"))
        elif instance.kind == "web":
            good, note = answer(host, instance)
            if not good:
                ill.append(Ill(instance.unit or instance.name, note))
    return ill


def require_well(host: Host, slot: str) -> None:
    """See that every web process of `slot` is well; one bad answer decides nothing, two in a row do."""
    ill = check(host, slot, kinds=("web",))
    if not ill:
        return
    time.sleep(AGAIN_S)
    again = check(host, slot, kinds=("web",))
    if {line.unit for line in ill} & {line.unit for line in again}:
        evidence = [
            log for unit in sorted({line.unit for line in again}) for log in slots.logs(host, slot, unit, lines=8)
        ]
        raise Unwell(f"after the switch: {'; '.join(map(str, again))}", evidence=evidence)
