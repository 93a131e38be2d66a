"""Who may change a site: the decision, with time passed in.

A lock has an owner, a lease and a token that only grows. Leases are counted on CLOCK_BOOTTIME together with the boot
id, so that a clock that jumps changes nothing and a reboot ends them; every act carries the token, so that a holder who
slept through his lease is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Lock = Mapping[str, Any]


@dataclass(frozen=True)
class Now:
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


class Lost(Exception):
    """The lock was this run's and is no longer."""


def alive(lock: Lock, now: Now) -> bool:
    """Return whether the lease of `lock` still runs."""
    return bool(lock.get("held")) and lock.get("boot") == now.boot and now.boottime < float(lock.get("expires", 0))


def take(
    lock: Lock, now: Now, *, run: str, owner: str, purpose: str, lease_s: float, until: str = "", seen: int = 0
) -> dict[str, Any]:
    """Return the lock as `run` holds it from now on, with a token above every earlier one, `seen` on the host included.

    Raises Held.
    """
    if alive(lock, now) and lock.get("run") != run:
        raise Held(lock)
    if lock.get("run") == run and lock.get("held"):
        return renew(lock, now, run=run, token=int(lock["token"]), lease_s=lease_s, until=until)
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
    said = f": {broken['by']} broke it by `unlock` at {broken['at']}" if by_force else ""
    if not by_force or lock.get("run"):
        other = f"{lock.get('owner', 'nobody')} ({lock.get('purpose', 'free')})"
        said += f"{', and' if said else ':'} {other} came in between"
    return f"the lock is no longer this run's{said}"


def free(lock: Lock, *, run: str) -> dict[str, Any]:
    """Return the lock as it is after `run` has let go; another's lock stays as it is."""
    return {**lock, "held": False} if lock.get("run") == run else dict(lock)


def break_(lock: Lock, now: Now, *, by: str, seen: int = 0) -> dict[str, Any]:
    """Return the lock freed by force; its old holder reads from it who did that (`by`).

    Its token is above every token that any host has `seen`, so that the old holder is refused everywhere.
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
