#!/usr/bin/python3
"""Say whether updates may be installed now: exit 0 within the window and with no deploy on its way, 1 otherwise.

Run by systemd as a condition of apt-daily-upgrade.service, so "no" means "another day", never a failure.
Standard library only, and nothing of ours: the file lies on hosts as it is. What a window is, the module host_window
asks here, too. Times are the host's own, without a zone: in the nights in which clocks are set, what is left of a
window may be an hour more or less.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path

STATE = Path("/var/lib/ferryman")
LOCKS = "sites/*/arbiter/lock.json"
# What a host has while clients are shifted to another release, and while that may still be brought back.
PENDING = "pending/*"
POLL_S = 10
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY, WEEK = datetime.timedelta(days=1), datetime.timedelta(days=7)


def is_open(window: str, days: tuple[str, ...], now: datetime.datetime) -> bool:
    """Return whether `now` lies in `window` ("HH:MM-HH:MM"); one over midnight belongs to the day on which it opens."""
    begin, end = (datetime.time.fromisoformat(text) for text in window.split("-"))
    today, at = now.date(), now.time()
    yesterday = today - DAY
    if begin < end:
        opened = today if begin <= at < end else None
    elif at >= begin:
        opened = today
    else:
        opened = yesterday if at < end else None
    return opened is not None and (not days or DAYS[opened.weekday()] in days)


def left_s(window: str, days: tuple[str, ...], now: datetime.datetime) -> float:
    """Return for how many seconds more the window is open: 0 where it is shut, a week or more where it never shuts."""
    end = now
    while is_open(window, days, end) and end - now < WEEK:
        end = _next(window.split("-")[1], end)
    return (end - now).total_seconds()


def opens(window: str, days: tuple[str, ...], now: datetime.datetime) -> datetime.datetime:
    """Return when the window opens next, `now` aside."""
    at = _next(window.split("-")[0], now)
    while days and DAYS[at.weekday()] not in days:
        at += DAY
    return at


def _next(clock: str, now: datetime.datetime) -> datetime.datetime:
    """Return the first moment after `now` at which a clock shows "HH:MM"."""
    at = datetime.datetime.combine(now.date(), datetime.time.fromisoformat(clock))
    return at if at > now else at + DAY


def is_held(text: str, boot: str, boottime: float) -> bool:
    """Return whether the lock in `text` is held: a lease counts on CLOCK_BOOTTIME, and another boot ended it.

    The lock's boot begins with the kernel's boot id; what follows tells boots of a container apart, which need not be
    known here: there CLOCK_BOOTTIME goes on, so that a lease of half a minute ends by itself.
    A lock that cannot be read counts as held: updates can wait, a deploy must not be disturbed.
    """
    try:
        lock = json.loads(text)
        return bool(lock["held"]) and str(lock["boot"]).startswith(boot) and float(lock["expires"]) > boottime
    except (KeyError, TypeError, ValueError):
        return True


def deploys() -> list[str]:
    """Return the files that say that a deploy is on its way."""
    boot, now = (
        Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
        time.clock_gettime(time.CLOCK_BOOTTIME),
    )
    held = [path for path in sorted(STATE.glob(LOCKS)) if is_held(path.read_text("utf-8"), boot, now)]
    return [str(path) for path in [*held, *sorted(STATE.glob(PENDING))]]


def main(argv: list[str] | None = None) -> int:
    """Wait for deploys to end, as long as the window and our patience last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", required=True, help="HH:MM-HH:MM, local time")
    parser.add_argument("--days", default="any", help="Mon,Tue,... or any")
    parser.add_argument("--wait-minutes", type=int, default=0)
    options = parser.parse_args(argv)
    days = () if options.days == "any" else tuple(options.days.split(","))
    patience = time.monotonic() + 60 * options.wait_minutes
    while is_open(options.window, days, datetime.datetime.now()):
        busy = deploys()
        if not busy:
            return 0
        if time.monotonic() >= patience:
            print(f"updates left for another day: a deploy is on its way ({', '.join(busy)})", flush=True)
            return 1
        time.sleep(POLL_S)
    print(f"updates left for another day: outside the window {options.window}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
