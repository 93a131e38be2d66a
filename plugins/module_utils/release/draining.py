"""When a slot that clients have left may be used for something else: once no request that chose it can still go there.

Of an upload whose body is still arriving no connection to the slot tells anything: nginx reads all of it first. So a
slot is left alone for `release_drain_s`, or until nginx says that it has nothing under way at all, if that is sooner.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now

UNDER_WAY_PATH = "/.well-known/ferryman/under-way"
WRITING = re.compile(r"^Reading: \d+ Writing: (\d+) Waiting: \d+", re.MULTILINE)
PAUSE_S = 0.5
RELOAD_PAUSE_S = 0.2
STARTING_S = 1.0  # a process's start is told in ticks
OLD = Path("/run/nginx.pid.oldbin")
"""Kept by an nginx that another has taken the place of (an upgrade of its package), until its last request ended."""


def left(host: Host, slot: str, entry: Mapping[str, Any], *, drain_s: float) -> float:
    """Return how many seconds `slot` must still be left alone at most; 0 where nothing can go there any more."""
    seconds = shift.drained_in(host, slot, drain_s=drain_s)
    if not seconds or nothing_under_way(host, entry, since=float(shift.state(host)["left"]["at"])):
        return 0.0
    return seconds


def wait(host: Host, slot: str, entry: Mapping[str, Any], *, drain_s: float) -> float:
    """Wait until nothing can go to `slot` any more, and return how long that took, in seconds."""
    began = time.monotonic()
    while not host.check and (seconds := left(host, slot, entry, drain_s=drain_s)):
        host.wait(min(seconds, PAUSE_S))
    return time.monotonic() - began


def ended(host: Host, entry: Mapping[str, Any], *, since: float, drain_s: float) -> bool:
    """Wait until nginx has nothing under way; return whether it said so by `drain_s` seconds after `since`.

    `since` is when the application was hidden (CLOCK_BOOTTIME): what comes later does not reach it.
    """
    while not nothing_under_way(host, entry, since=since):
        seconds = since + drain_s - now().boottime
        if seconds <= 0:
            return False
        host.wait(min(seconds, PAUSE_S))
    return True


def reloaded(host: Host, *, drain_s: float) -> bool:
    """Wait until no request is under way that was begun before a reload; return whether that is so by `drain_s` s.

    A connection that was upgraded (a websocket) may go on for as long as both ends like.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils import nginx_place  # few runs reload

    until = time.monotonic() + drain_s
    while not host.check and nginx_place.busy():
        if time.monotonic() >= until:
            return False
        time.sleep(RELOAD_PAUSE_S)  # the reload has happened: whoever asks to stop changes nothing of that
    return True


def nothing_under_way(host: Host, entry: Mapping[str, Any], *, since: float) -> bool:
    """Say whether nginx has no request under way but the one that asks it; where it cannot be asked, nobody knows.

    `since` is when clients were sent elsewhere (CLOCK_BOOTTIME): the nginx that they had until then is to be asked.

    What it calls "writing" (ngx_http_stub_status_module) is every request whose head was read, and so whose slot was
    chosen, up to its last byte. An nginx that took the place of another knows nothing of what that one still has.
    """
    with suppress(OSError, ValueError, Failed):
        status, _, text = shift.get(entry, UNDER_WAY_PATH)
        found = WRITING.search(text)
        return status == 200 and found is not None and int(found[1]) == 1 and _served_before(host, since)
    return False


def _served_before(host: Host, since: float) -> bool:
    """Say whether this host's nginx is the one that served at a moment, and the only one."""
    if OLD.exists():
        return False
    pid = host.systemctl("show", "-P", "MainPID", "nginx.service").strip()
    ticks = int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    began = ticks / os.sysconf("SC_CLK_TCK")  # on CLOCK_BOOTTIME, as `at` (proc_pid_stat(5))
    return began + STARTING_S < since
