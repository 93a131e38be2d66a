"""What is sent to a host: reads one request, does its steps in order, and answers with one line of JSON.

The request comes on standard input, behind the code: eight bytes of length, the request as JSON, then the files of the
artifact as a tar. Nothing of it is in an argument, in the environment, or on the host's disk.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    draining,
    guard,
    kept,
    ledger,
    look,
    names,
    planned,
    provision,
    settling,
    shift,
    steps,
    succession,
    waiting,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, Unwell, deciding
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


def serve(stream: IO[bytes], require: Callable[[Host, Mapping[str, Any]], None] | None = None) -> dict[str, Any]:
    """Do what the request in `stream` says and return the answer; every failure is an answer too.

    What a request may be is said by `require`, which fails.
    """
    request = json.loads(stream.read(struct.unpack("!Q", stream.read(8))[0]))
    host = Host(
        Site(request["site"]),
        run=request.get("run", ""),
        token=int(request.get("token", 0)),
        check=bool(request.get("check")),
    )
    answer: dict[str, Any] = {"ok": True, "steps": []}
    try:
        if require:
            require(host, request)
        look.marker(request["environment"], required=not request.get("bare"))
        _work(host, request, stream, answer)
    except Failed as failed:
        answer.update(failed.facts)
        answer.update(_told(host, request, str(failed), failed.evidence), hint=failed.hint)
        answer["refused"] = failed.refused and not answer["steps"]  # what an earlier step did was done
    except Exception as error:  # noqa: BLE001 - whatever it is, the driver must hear of it and go back
        import traceback  # takes time, and few requests come to this

        said, lines = f"{type(error).__name__}: {error}", traceback.format_exc().splitlines()[-6:]
        answer.update(_told(host, request, said, lines), hint="", refused=False)
    answer.update(changes=host.changes, diffs=host.diffs, token=host.token)
    return answer


def _told(host: Host, request: Mapping[str, Any], reason: str, evidence: Sequence[str]) -> dict[str, Any]:
    """Return what is shown and kept of a failure, without the secrets that may stand in it."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import expect  # few requests come to this

    private = _private(host, request)
    said, *lines = (expect.redacted(line, private) for line in [reason, *evidence])
    return {"ok": False, "reason": said, "evidence": lines}


def _private(host: Host, request: Mapping[str, Any]) -> list[str]:
    """Return every secret that an application may have written to its log, which is what is shown of a failure."""
    sent = {**(request.get("secrets") or {}), **((request.get("verify") or {}).get("secrets") or {})}
    kept = []
    for path in (host.site.settings / "secrets").glob("[!.]*"):
        with suppress(OSError):  # one that goes meanwhile: a failure is told all the same
            kept.append(path.read_text(encoding="utf-8", errors="replace"))
    return [*map(str, sent.values()), *kept]


def _work(host: Host, request: Mapping[str, Any], stream: IO[bytes], answer: dict[str, Any]) -> None:
    act = request["act"]
    if act == "look":
        answer["seen"] = _look(host, request, answer)
    elif act == "health":
        answer["health"] = look.health(host, request)
        answer["maintenance"] = "entry" in request["roles"] and shift.hidden(host)
    elif act == "verify":
        from ansible_collections.ferryman.ops.plugins.module_utils.release import verifying  # few requests want it

        answer["verify"] = verifying.live(host, request)
    elif act == "wait":
        answer["waits"] = _wait(host, request)
    elif act in ("able", "follow"):
        from ansible_collections.ferryman.ops.plugins.module_utils.release import driving  # few requests want it

        answer[act] = driving.able(host, request) if act == "able" else driving.follow(host, request)
    elif act == "reach":  # whoever asks wants to know whether it gets here
        answer["reached"] = True
    elif act == "kept":
        answer["kept"] = kept.kept(host, request["releases"], have=request["have"])
    elif act == "provision":
        answer.update(provision.provision(host, request))
    else:
        do(host, request, stream, answer)


def _wait(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Stand in line for the lock for a while, or where nobody waits any longer, step out of it."""
    if request["for_s"] is None:
        waiting.step_out(host)
        return {}
    told = request["lock"]
    times = {"lease_s": float(told["lease_s"]), "for_s": float(request["for_s"])}
    return waiting.wait(host, owner=told["owner"], purpose=told["purpose"], **times)


def _look(host: Host, request: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    lock = request.get("lock") or {}
    keeps = bool(lock) and "arbiter" in request["roles"]
    try:
        seen = look.look(host, request)
    except Failed:
        if keeps:
            arbiter.let_go(host)
        raise
    if request.get("wanted"):
        answer["stale"] = look.is_current(host, request, seen)
    if keeps and not (answer.get("stale", "asked for") or lock.get("always")):
        arbiter.let_go(host)
    elif keeps:
        _tidy(host, request["lock"], seen)
        if seen.get("edited"):
            said = f"edited by hand: {', '.join(seen['edited'][:5])}"
            arbiter.record(host, event="edit_seen", who=request["lock"]["owner"], release=seen["live"], reason=said)
        seen = look.look(host, request, before=seen)
        if "entry" in request["roles"] and request.get("drain_s"):
            idle = names.other(seen["shift"]["stable"])
            seen["drains_s"] = draining.left(host, idle, request["entry"], drain_s=float(request["drain_s"]))
    if request.get("plan"):
        seen["planned"] = planned.seen(host, request, seen)
    return seen


def _tidy(host: Host, lock: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    """Take the lock and end what an earlier driver left behind; nothing of his can move any more."""
    arbiter.take(host, owner=lock["owner"], purpose=lock["purpose"], lease_s=lock["lease_s"])
    if host.check:
        return
    if seen.get("migration"):
        _hear(host)
    if (names.DRIVER_KEYS / host.site.name).exists():
        from ansible_collections.ferryman.ops.plugins.module_utils.release import reaching  # few runs have left one

        reaching.forget(host)
    mine = (host.run_id, host.token)
    if host.site.pending.exists():
        guard.resolve(host, reason="its driver is gone", end=_end(host))
        host.run_id, host.token = mine
    with deciding(host):
        settling.end_exchange(host)
    arbiter.close_unfinished(host)
    host.admit()


def _hear(host: Host) -> None:
    """Write down how a migration ended that nobody waited for; while it runs the lock is no use."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import schema  # few drivers leave one

    try:
        heard = schema.hear(host).get("heard")
    except Failed:
        arbiter.free(host)
        raise
    # Who closes its run writes that down with it, unless a boot has closed it before this was known.
    if heard and ledger.story(arbiter.lines(host)).unfinished.get("run") != heard["of"]:
        arbiter.record(host, event=ledger.MIGRATED, **heard)


def _end(host: Host) -> str:
    """Return how the run ended that is pending here, where another host kept the ledger when it began.

    Nothing where this one has not taken over from it: then that one is asked.
    """
    state, book = shift.state(host), arbiter.lines(host)
    if not (state.get("asks") and succession.has_taken_over(book)):
        return ""
    return "live" if ledger.committed(book, str(state.get("run", ""))) else "returned"


def do(host: Host, request: Mapping[str, Any], stream: IO[bytes], answer: dict[str, Any]) -> None:
    """Do the steps of a request, with the lock where this host keeps it; what they say goes into `answer`."""
    held = (
        "arbiter" in request["roles"]
        and request["steps"] != ["return"]
        and not steps.UNLOCKED.issuperset(request["steps"])
    )
    nobodys: list[Failed] = []
    with _lease(host, float(request["lease_s"])) if held else nullcontext(nobodys) as lost:
        for name in request["steps"]:
            if name not in steps.UNLOCKED:
                _admit(host)
            if lost:
                raise lost[0]
            if name in names.BEFORE_COMMIT:
                host.heed(refused=True)
            began = time.monotonic()
            answer["step"] = name
            try:
                answer.update(steps.STEPS[name](host, request, stream))
            except Unwell as unwell:
                host.journal("judge", "failed", release=str(request.get("release", "")), reason=str(unwell))
                answer["judged"] = True
                raise
            answer["steps"].append({"step": name, "seconds": round(time.monotonic() - began, 3)})
            if answer.get("missing"):
                break


def _admit(host: Host) -> None:
    """Let this run act here; a key that was let in for one before it goes."""
    host.admit()
    if host.site.way.exists():
        from ansible_collections.ferryman.ops.plugins.module_utils.release import driven  # few runs have left one

        driven.let_out_former(host)


@contextmanager
def _lease(host: Host, lease_s: float) -> Iterator[list[Failed]]:
    """Renew the lock now, and again and again while the steps run; once it is lost, what is yielded says to whom.

    It outlives a driver that died by one lease, not by a step's budget.
    """
    arbiter.renew(host, lease_s=lease_s)
    over = threading.Event()
    lost: list[Failed] = []

    def renew() -> None:
        while not over.wait(lease_s / 3):
            try:
                arbiter.renew(host, lease_s=lease_s)
            except Failed as failed:  # taken by force or in between, or let go by the last step itself
                lost.append(failed)
                return

    beat = threading.Thread(target=renew, daemon=True)
    beat.start()
    try:
        yield lost
    finally:
        over.set()
        beat.join()


def main(words: list[str]) -> None:
    """Run on a host.

    Without words for a request on standard input, else `guard [--boot]`, `cool SITE SLOT RELEASE DRAIN_S`,
    `after SITE`, `rehearse UNIT PLACE SITE...`, or `driven SITE RUN` for a request of that run alone.
    """
    os.umask(0o022)  # a hardened host's own would hide a release's directories from its processes
    if words[:1] == ["guard"]:
        if "--boot" in words:
            guard.boot()
        else:
            guard.watch()
    elif words[:1] == ["rehearse"]:
        from ansible_collections.ferryman.ops.plugins.module_utils.release import rehearsal  # no request wants it

        rehearsal.main(words[1], words[2], words[3:])
    elif words[:1] == ["after"]:
        from ansible_collections.ferryman.ops.plugins.module_utils.release import afterwards  # as above

        afterwards.watch(words[1])
    elif words[:1] == ["cool"]:
        settling.cool(Host(Site(words[1])), words[2], words[3], drain_s=float(words[4]))
    elif words[:1] == ["driven"]:
        _driven(words[1], words[2])
    else:
        print(names.ANSWER + json.dumps(serve(sys.stdin.buffer)), flush=True)


def _driven(site: str, run: str) -> None:
    """Answer who comes by the key of one run."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import driven  # few requests want it

    stream = sys.stdin.buffer
    stream.read(struct.unpack("!Q", stream.read(8))[0])  # code, which is not run
    print(
        names.ANSWER + json.dumps(serve(stream, lambda host, request: driven.require(host, request, site, run))),
        flush=True,
    )
