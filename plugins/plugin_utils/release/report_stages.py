"""What the report tells of a release's stages: both releases in all, their charts, and the verdict's history."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report_charts
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.report_charts import Look, percent, seconds

HEADINGS = {"new": "New release", "old": "Old release", "rest": "All others, with the old release"}
WORDS = {"promote": "goes on", "hold": "holds", "rollback": "goes back", "no_data": "no data"}


def told(looks: Sequence[Look]) -> dict[str, Any]:
    """Return what the template `report_stages.html.j2` shows; `looks` are in their order, and at least one."""
    baseline = bool(looks[-1]["verdict"].get("baseline"))
    return {
        "began_clock": _clock(looks[0]["since"]),
        "ended_clock": _clock(looks[-1]["at"]),
        "arms": [_arm(looks, arm) for arm in HEADINGS if arm in looks[-1]["lately"]],
        "headings": HEADINGS | ({"old": "Baseline: the old release, as young"} if baseline else {}),
        "names": report_charts.called(looks),
        "charts": report_charts.charts(looks),
        "bands": report_charts.bands(looks),
        "history": history(looks),
        "percent": percent,
    }


def history(looks: Sequence[Look]) -> list[dict[str, Any]]:
    """Return what was decided one after the other: looks that say the same, by the same rule, are one of these."""
    return [_decided([*same]) for _, same in groupby(looks, _gist)]


def _gist(look: Look) -> tuple[Any, ...]:
    verdict = look["verdict"]
    return look["stage"], verdict["verdict"], verdict["rule"], verdict["ask"]


def _decided(same: Sequence[Look]) -> dict[str, Any]:
    last = same[-1]
    verdict = last["verdict"]
    return {
        "from": _clock(same[0]["at"]),
        "until": _clock(last["at"]),
        "share": percent(last["share"]),
        "word": verdict["verdict"],
        "said": WORDS[verdict["verdict"]],
        "ask": verdict["ask"],
        "sentence": verdict["sentence"],
        "counts": {arm: _counts(counted) for arm, counted in verdict["arms"].items()},
    }


def _counts(arm: Mapping[str, Any]) -> str:
    failed = f"{arm['failed']:,} of {arm['requests']:,} failed"
    return f"{failed}, p95 {seconds(arm['p95_s'])}" if arm["requests"] else "no requests"


def _arm(looks: Sequence[Look], arm: str) -> dict[str, str]:
    """Return what clients of a release got in all; p95s do not add up, so that is of the last stage that had any."""
    requests, failed = (sum(look["lately"][arm][key] for look in looks) for key in ("requests", "failed"))
    served = [look for look in looks if look["verdict"]["arms"][arm]["requests"]]
    if not requests or not served:
        return {"name": arm, "rate": "–", "failed": "no requests", "p95": ""}
    p95_s, share = served[-1]["verdict"]["arms"][arm]["p95_s"], served[-1]["share"]
    return {
        "name": arm,
        "rate": percent(failed / requests),
        "failed": f"{failed:,} of {requests:,} requests failed",
        "p95": f"p95 {seconds(p95_s)} at {percent(share)}",
    }


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at))
