"""Which release a slot held at what time.

A unit says its slot alone: one that named its release would cost every deploy a reload of systemd.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from calendar import timegm
from collections.abc import Iterable
from pathlib import Path
from time import strptime
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.names import SLOTS, Site

Turn = tuple[int, str]
"""From when on (microseconds since 1970), and which release."""


def turns(lines: Iterable[dict[str, Any]]) -> dict[str, list[Turn]]:
    """Return, for each slot, what it held from when on, as the host's journal tells it, in the order of time.

    A start is told twice: when it begins, in whole seconds and before the old processes are stopped, and when it has
    ended, with the moment at which the slot changed (`since`). The second is the better one.
    """
    found: dict[str, list[Turn]] = {slot: [] for slot in SLOTS}
    for line in lines:
        slot, release = (line.get("detail") or {}).get("slot"), line.get("release")
        if line.get("step") != "start" or slot not in found or not release:
            continue
        turn, told = (_micros(line.get("detail", {}).get("since") or line["at"]), str(release)), found[slot]
        if told and told[-1][1] == turn[1]:
            if line["result"] != "started" and line["detail"].get("since"):
                told[-1] = turn
        else:
            told.append(turn)
    return {slot: sorted(told) for slot, told in found.items()}


def release_at(told: list[Turn], at: int) -> str:
    """Return the release that a slot held at a time; before the first that is known, nothing."""
    index = bisect_right(told, (at, chr(0x10FFFF))) - 1
    return told[index][1] if index >= 0 else ""


def of_site(site: str) -> dict[str, list[Turn]]:
    """Return the turns of a site's slots on this host; where its journal cannot be read, what the slots hold now."""
    where = Site(site)
    told = turns(_lines(where.state / "journal.jsonl"))
    for slot in SLOTS:
        try:
            now = (os.lstat(where.slot(slot)).st_mtime_ns // 1000, Path(os.readlink(where.slot(slot))).name)
        except OSError:
            continue
        if not told[slot]:
            told[slot] = [(0, now[1])]
        elif told[slot][-1][1] == now[1]:  # the link itself knows best when it changed
            told[slot][-1] = now
    return told


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """Read what can be read: who looks for logs is in trouble already, and `status` tells of a damaged journal."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and _is_whole(found):
            yield found


def _is_whole(line: dict[str, Any]) -> bool:
    """Say whether `turns` can read a line."""
    if line.get("step") != "start":
        return True
    try:
        _micros((line.get("detail") or {}).get("since") or line["at"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return "result" in line


def _micros(moment: str) -> int:
    """Return RFC 3339 in UTC, with or without a fraction, as microseconds since 1970."""
    whole, _, fraction = moment.rstrip("Z").partition(".")
    return timegm(strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1_000_000 + int((fraction + "000000")[:6])
