"""Who may change a site: the decision, with time passed in.

A lock has an owner, a lease and a token that only grows. Leases are counted on CLOCK_BOOTTIME together with the boot
id, so that a clock that jumps changes nothing and a reboot ends them; every act carries the token, so that a holder who
slept through his lease is refused.

Whoever may wait for it holds a ticket: a number that only grows, and a heartbeat. The lowest number among those who are
there comes next, whatever any clock says of who came first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Lock = Mapping[str, Any]
Queue = Mapping[str, Any]
"""Who waits for a lock: {format, next, tickets: [{number, run, owner, purpose, since, boot, expires}]}."""


class Now(NamedTuple):
    """The arbiter's time: seconds of CLOCK_BOOTTIME, boot id, and the time of day for people."""

    boottime: float
    boot: str
    utc: str = ""


class Held(Exception):
    """The lock is somebody else's; `lock` is his."""

    def __init__(self, lock: Lock) -> None:
        self.lock = dict(lock)
        holder, when = (
            lock.get("owner", "somebody"),
            f"{lock.get('since', '?')}, at least until {lock.get('until', '?')}",
        )
        super().__init__(f"{holder} holds the lock ({lock.get('purpose', '')}) since {when}")


class Behind(Exception):
    """The lock is free, and others wait for it: `tickets` are theirs, the first in line first."""

    def __init__(self, tickets: Sequence[Lock]) -> None:
        self.tickets = [dict(ticket) for ticket in tickets]
        first, others = self.tickets[0], len(tickets) - 1
        said = f"{first['owner']} waits for the lock ({first['purpose']}) since {first['since']}, and comes first"
        super().__init__(said + (f"; {others} more after that" if others else ""))


class Lost(Exception):
    """The lock was this run's and is no longer."""


def alive(lock: Lock, now: Now) -> bool:
    """Return whether the lease of `lock` still runs."""
    return bool(lock.get("held")) and lock.get("boot") == now.boot and now.boottime < float(lock.get("expires", 0))


def take(
    lock: Lock,
    now: Now,
    *,
    run: str,
    owner: str,
    purpose: str,
    lease_s: float,
    until: str = "",
    seen: int = 0,
    queue: Queue | None = None,
) -> dict[str, Any]:
    """Return the lock as `run` holds it from now on, with a token above every earlier one, `seen` on the host included.

    Raises Held, or Behind where others of the `queue` come first.
    """
    if alive(lock, now) and lock.get("run") != run:
        raise Held(lock)
    if lock.get("run") == run and lock.get("held"):
        return renew(lock, now, run=run, token=int(lock["token"]), lease_s=lease_s, until=until)
    ahead = before(queue or {}, now, run=run)
    if ahead:
        raise Behind(ahead)
    return {
        "format": 1,
        "token": max(int(lock.get("token", 0)), seen) + 1,
        "held": True,
        "run": run,
        "owner": owner,
        "purpose": purpose,
        "since": now.utc,
        "boot": now.boot,
        "expires": now.boottime + lease_s,
        "until": until,
        **({"broken": lock["broken"]} if "broken" in lock else {}),
    }


def renew(lock: Lock, now: Now, *, run: str, token: int, lease_s: float, until: str = "") -> dict[str, Any]:
    """Return the lock with its lease counted anew; a lease that ran out is taken up again if nobody came in between.

    Raises Lost.
    """
    if lock.get("token") != token or lock.get("run") != run or not lock.get("held"):
        raise Lost(_lost(lock, run))
    return {**lock, "boot": now.boot, "expires": now.boottime + lease_s, "until": until}


def _lost(lock: Lock, run: str) -> str:
    """Say who took the lock from `run`: whoever broke it, and whoever came after that."""
    broken = lock.get("broken") or {}
    by_force = broken.get("run") == run
    how = "broke it by `unlock`" if broken.get("by") else "its host was started again, which ended it,"
    said = f": {' '.join(filter(None, [broken['by'], how]))} at {broken['at']}" if by_force else ""
    if not by_force or lock.get("run"):
        other = f"{lock.get('owner', 'nobody')} ({lock.get('purpose', 'free')})"
        said += f"{', and' if said else ':'} {other} came in between"
    return f"the lock is no longer this run's{said}"


def free(lock: Lock, *, run: str) -> dict[str, Any]:
    """Return the lock as it is after `run` has let go; another's lock stays as it is."""
    return {**lock, "held": False} if lock.get("run") == run else dict(lock)


def break_(lock: Lock, now: Now, *, by: str, seen: int = 0) -> dict[str, Any]:
    """Return the lock freed by force; its old holder reads from it who did that (`by`).

    Its token is above every token that any host has `seen`, so that the old holder is refused everywhere. Nobody (an
    empty `by`) broke what ended with a boot of the host.
    """
    return {
        **lock,
        "format": 1,
        "token": max(int(lock.get("token", 0)), seen) + 1,
        "held": False,
        "run": "",
        "boot": now.boot,
        "broken": {"run": lock.get("run", ""), "by": by, "at": now.utc},
    }


# Waiting for it


def line_up(queue: Queue, now: Now, *, run: str, owner: str, purpose: str, beat_s: float) -> dict[str, Any]:
    """Return the queue in which `run` stands: where it stood, or at the end, and there for `beat_s` from now on.

    Who gave no sign of life within his time is left out. After a reboot nobody's time can be told: each has as long
    again to say that he is there, and keeps his number.
    """
    tickets = [each if each["boot"] == now.boot else {**each, **_fresh(now, beat_s)} for each in _tickets(queue)]
    number = int(queue.get("next", 1))
    mine = next((each for each in tickets if each["run"] == run), None)
    others = [each for each in tickets if each["run"] != run and _waits(each, now)]
    if mine is None:
        mine, number = {"number": number, "run": run, "since": now.utc}, number + 1
    mine = {**mine, "owner": owner, "purpose": purpose, **_fresh(now, beat_s)}
    return {"format": 1, "next": number, "tickets": sorted([*others, mine], key=lambda each: int(each["number"]))}


def step_out(queue: Queue, *, run: str) -> dict[str, Any]:
    """Return the queue without `run`; numbers that were given out are never given out again."""
    return {**queue, "tickets": [each for each in _tickets(queue) if each["run"] != run]}


def stands_in(queue: Queue, run: str) -> bool:
    """Say whether `run` has a ticket."""
    return any(each["run"] == run for each in _tickets(queue))


def before(queue: Queue, now: Now, *, run: str) -> list[dict[str, Any]]:
    """Return the tickets of those who come before `run`, the first first; of all who wait where it has none."""
    waiting = [each for each in _tickets(queue) if each["run"] == run or _waits(each, now)]
    runs = [each["run"] for each in waiting]
    return waiting[: runs.index(run)] if run in runs else waiting


def _tickets(queue: Queue) -> list[dict[str, Any]]:
    return [dict(each) for each in queue.get("tickets", [])]


def _fresh(now: Now, beat_s: float) -> dict[str, Any]:
    return {"boot": now.boot, "expires": now.boottime + beat_s}


def _waits(ticket: Lock, now: Now) -> bool:
    """Say whether whoever holds a ticket is there."""
    return ticket["boot"] == now.boot and now.boottime < float(ticket["expires"])
