"""The report of a deploy: one HTML file, which needs nothing else to be read.

What it tells is a pure function of the ledger's line and of the looks that a run with stages wrote down. All of it is
somebody else's text (a commit's subject, a name of a branch, what a process wrote), so the template escapes whatever it
shows.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

Line = Mapping[str, Any]
Look = Mapping[str, Any]
LOOKS, NAME = "canary.jsonl", "report.html"
ENDS = {"live": "is live", "returned": "went back", "failed": "failed"}
UNMEASURED = {
    "live": "All clients were moved at once.",
    "returned": "Clients were moved to it, and sent back.",
    "failed": "It failed before it had clients.",
}
"""What stands in the place of charts and verdicts where nothing was measured."""
VANTAGES = {"slot": "at the slot", "entry": "through the entry"}


def write(memory: Path, line: Line, *, app: str, environment: str) -> str:
    """Write the report of a run into its directory and return its path."""
    path = memory / NAME
    fresh = path.with_name(f".{NAME}-{os.getpid()}")
    fresh.write_text(page(line, _looks(memory), app=app, environment=environment), encoding="utf-8")
    fresh.rename(path)
    return str(path)


def page(line: Line, looks: Sequence[Look], *, app: str, environment: str) -> str:
    """Return the report as HTML; `looks` are those of stages, in their order, and none where there were no stages.

    `line` is the ledger's, which may have two things more: `entries` (their names), and `verified` (by host and
    vantage, how many of the application's own steps passed and were left out).
    """
    reason, _, more = str(line.get("reason") or "").strip().partition("\n")
    return _template().render(
        line=line,
        app=app,
        environment=environment,
        commit=_commit(line),
        ended=ENDS.get(str(line["status"]), str(line["status"])),
        good=line["status"] == "live",
        hotfix=bool(line.get("hotfix")),
        reason=reason or (looks[-1]["verdict"]["sentence"] if looks else ""),
        more=more,
        facts=[*_facts(line, looks)],
        unmeasured=UNMEASURED.get(str(line["status"]), ""),
        staged=bool(looks),
        **_stages(looks),
    )


def span(value: float) -> str:
    """Return how long something took as people say it."""
    minutes, rest = divmod(max(round(value), 0), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def _looks(memory: Path) -> list[Look]:
    try:
        told = [json.loads(text) for text in (memory / LOOKS).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    return [look for look in told if "stage" in look]


def _stages(looks: Sequence[Look]) -> dict[str, Any]:
    if not looks:
        return {}
    from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report_stages  # few deploys have stages

    return report_stages.told(looks)


def _facts(line: Line, looks: Sequence[Look]) -> Iterator[tuple[str, list[str]]]:
    """Yield what stands at the report's head, each with its lines."""
    yield "Commit", [_commit(line)]
    yield "Before it", [str(line.get("previous") or "nothing")]
    yield "Deployed by", [str(line["who"])]
    yield "Ended", [_moment(line["at"]), f"after {span(line.get('duration_s') or 0)}"]
    if looks:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(looks[0]["since"]))
        yield "Clients from", [since, f"for {span(looks[-1]['at'] - looks[0]['since'])}"]
    yield from _hosts(line, looks)
    if verified := _verified(line.get("verified") or {}):
        yield "Verified", verified


def _hosts(line: Line, looks: Sequence[Look]) -> Iterator[tuple[str, list[str]]]:
    """Yield who took part, by what he does where not all do the same; and who was left out."""
    apps = list(line.get("hosts") or [])
    entries = sorted({entry for look in looks for entry in look["entries"]}) or list(line.get("entries") or apps)
    same = {("Host" if len(apps) == 1 else "Hosts"): apps}
    told = same if apps == entries else {"App hosts": apps, "Entries": entries}
    for name, hosts in {**told, "Left out": list(line.get("left_out") or [])}.items():
        if hosts:
            yield name, [", ".join(hosts)]


def _verified(by_host: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return how many steps passed at each vantage; hosts that say the same say it once."""
    same: dict[str, list[str]] = {}
    for vantage, place in VANTAGES.items():
        for host, seen in by_host.items():
            if vantage in seen:
                passed, left_out = seen[vantage]["passed"], seen[vantage].get("left_out")
                steps = "1 step" if passed == 1 else f"{passed} steps"
                more = f", {left_out} left out" if left_out else ""
                same.setdefault(f"{steps} passed {place}{more}", []).append(host)
    return [f"{said} ({', '.join(hosts)})" if len(by_host) > 1 else said for said, hosts in same.items()]


def _commit(line: Line) -> str:
    ref, commit = str(line.get("ref") or ""), str(line.get("commit") or "")
    named = f" ({ref})" if ref not in ("", "HEAD", commit) else ""
    return f"{commit[:7]} {line.get('subject') or ''}".strip() + named


def _moment(at: str) -> str:
    """Return a time of the ledger's, which is RFC 3339 in UTC, as people read it."""
    return str(at).replace("T", " ").replace("Z", " UTC")


def _template() -> jinja2.Template:
    place = jinja2.FileSystemLoader(Path(__file__).parent)
    made = jinja2.Environment(
        loader=place, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return made.get_template("report.html.j2")
