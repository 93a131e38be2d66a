"""The report of a release that was given its clients in stages: one HTML file, which needs nothing else to be read.

What it tells is a pure function of the looks that the run wrote down and of the ledger's line. All of it is somebody
else's text (a commit's subject, a name of a branch, what a process wrote), so the template escapes whatever it shows.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report_charts
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.report_charts import Look, percent, seconds

Line = Mapping[str, Any]
LOOKS, NAME = "canary.jsonl", "report.html"
ENDS = {"live": "is live", "returned": "went back", "failed": "failed"}
HEADINGS = {"new": "New release", "old": "Old release", "rest": "All others, with the old release"}
WORDS = {"promote": "goes on", "hold": "holds", "rollback": "goes back", "no_data": "no data"}


def write(memory: Path, line: Line, *, app: str, environment: str) -> str:
    """Write the report of a run into its directory and return its path; none of a run that had no stages."""
    try:
        told = [json.loads(text) for text in (memory / LOOKS).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return ""
    looks = [look for look in told if "stage" in look]
    if not looks:
        return ""
    path = memory / NAME
    fresh = path.with_name(f".{NAME}-{os.getpid()}")
    fresh.write_text(page(line, looks, app=app, environment=environment), encoding="utf-8")
    fresh.rename(path)
    return str(path)


def page(line: Line, looks: Sequence[Look], *, app: str, environment: str) -> str:
    """Return the report as HTML; `looks` are those of stages, in their order, and at least one."""
    baseline = bool(looks[-1]["verdict"].get("baseline"))
    reason, _, more = str(line.get("reason") or "").strip().partition("\n")
    return _template().render(
        line=line,
        app=app,
        environment=environment,
        commit=_commit(line),
        ended=ENDS.get(str(line["status"]), str(line["status"])),
        good=line["status"] == "live",
        reason=reason or looks[-1]["verdict"]["sentence"],
        more=more,
        began=_moment(looks[0]["since"]),
        began_clock=_clock(looks[0]["since"]),
        ended_clock=_clock(looks[-1]["at"]),
        lasted=span(looks[-1]["at"] - looks[0]["since"]),
        entries=", ".join(sorted({entry for look in looks for entry in look["entries"]})),
        arms=[_arm(looks, arm) for arm in HEADINGS if arm in looks[-1]["lately"]],
        headings=HEADINGS | ({"old": "Baseline: the old release, as young"} if baseline else {}),
        names=report_charts.called(looks),
        charts=report_charts.charts(looks),
        bands=report_charts.bands(looks),
        history=history(looks),
        percent=percent,
    )


def history(looks: Sequence[Look]) -> list[dict[str, Any]]:
    """Return what was decided one after the other: looks that say the same, by the same rule, are one of these."""
    return [_decided([*same]) for _, same in groupby(looks, _gist)]


def span(value: float) -> str:
    """Return how long something took as people say it."""
    minutes, rest = divmod(max(round(value), 0), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min" + (f" {rest} s" if rest else "")


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


def _commit(line: Line) -> str:
    ref, commit = str(line.get("ref") or ""), str(line.get("commit") or "")
    named = f" ({ref})" if ref not in ("", "HEAD", commit) else ""
    return f"{commit[:7]} {line.get('subject') or ''}".strip() + named


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at))


def _template() -> jinja2.Template:
    place = jinja2.FileSystemLoader(Path(__file__).parent)
    made = jinja2.Environment(
        loader=place, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return made.get_template("report.html.j2")
