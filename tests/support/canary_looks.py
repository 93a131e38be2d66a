"""What a run tells of a simulated release: looks and the ledger's line, as the real verdict makes them."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import verdict
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import telling
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import Sketch, merged
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import canary_kept
from tests.support.canary_runs import Scenario, quiet, slow_when_young
from tests.support.canary_world import LIMITS, STAGES, Bad, Run

if TYPE_CHECKING:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Arm

BEGAN = 1_795_771_800  # 2026-11-27T09:30:00Z
EVERY_S = 5.0
MOST_S = 3000.0
ASK_S = 3600.0
"""So long a simulated run waits for an answer: longer than it lasts."""
MEASURED = 1.0001
"""Of a release that is no slower the simulation keeps few latencies; of one that is, by however little, all."""
HEALTHY = Scenario("healthy", 10, Bad(slower=MEASURED), quiet)
FAILING = Scenario("12 % errors from the second stage on", 10, Bad(errors=0.12, slower=MEASURED, from_s=330), quiet)
SLOW = Scenario("slow", 10, Bad(slower=3), quiet)
BESIDE_BASELINE = Scenario("slow when young, a baseline", 10, around=slow_when_young, baseline=True)
QUIET = Scenario("no traffic", 0.001)


def looks(scenario: Scenario, *, seed: int = 1) -> list[dict[str, Any]]:
    """Return what a run tells of such a release, one look each few seconds, with its end."""
    run, told = Run(scenario.world(Random(seed)), EVERY_S), list[dict[str, Any]]()
    before, asked_at = Counted(run), 0.0
    while run.at < MOST_S:
        run.tick()
        evidence = run.evidence()
        found = verdict.judge(evidence, LIMITS)
        now, asked_at = Counted(run), (asked_at or run.at) if found.ask else 0.0
        told.append(
            {
                "format": 1,
                "at": BEGAN + run.at,
                "stage": run.stage,
                "of": len(STAGES),
                "share": STAGES[run.stage][0],
                "since": BEGAN + run.since,
                "until": BEGAN + run.until,
                "entries": ["web1"],
                "verdict": telling.record(found, evidence),
                **({"answer_by": BEGAN + asked_at + ASK_S} if found.ask else {}),
                "lately": {**now.after(before), "seconds": EVERY_S},
            }
        )
        before = now
        back = found.word == verdict.ROLLBACK
        if back or (found.word == verdict.PROMOTE and not run.advance()):
            return [*told, {"format": 1, "end": "returned" if back else "live", "at": BEGAN + run.at}]
    return told


def now(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return these looks as if the first were of this moment: whoever is asked then can still answer."""
    later = time.time() - told[0]["at"]
    moments = ("at", "since", "until", "answer_by")
    return [{key: value + later if key in moments else value for key, value in look.items()} for look in told]


def line(told: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the ledger's line of a run that told these looks."""
    last: dict[int, dict[str, Any]] = {look["stage"]: look for look in told if "stage" in look}
    end = told[-1].get("end", "started")
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(told[-1]["at"])),
        "run": "20261127T092955Z-0a1b2c",
        "event": "deploy",
        "release": "20261127T093000Z-1a2b3c4",
        "previous": "20261120T101500Z-9f8e7d6",
        "who": "ada@laptop",
        "hosts": ["web1"],
        "commit": "1a2b3c4" + "0" * 33,
        "ref": "main",
        "subject": "Sort notes by title",
        "status": end,
        "reason": last[max(last)]["verdict"]["sentence"] if end == "returned" else "",
        "duration_s": told[-1]["at"] - told[0]["since"],
        "verdicts": kept([look for look in told if "stage" in look]),
        **more,
    }


def kept(told: list[dict[str, Any]]) -> list[canary_kept.Record]:
    """Return the verdicts that the ledger keeps of these looks."""
    found, last = list[canary_kept.Record](), dict[int, canary_kept.Record]()
    for look in told:
        record = {"at": look["at"], **look["verdict"]}
        found = canary_kept.kept(found, record, last=last.get(look["stage"]))
        last[look["stage"]] = record
    return found


class Counted:
    """What both arms had got by a moment."""

    def __init__(self, run: Run) -> None:
        names = ("new", "old", "rest") if run.world.baseline else ("new", "old")
        self.arms = {name: [getattr(minute, name) for minute in run.minutes] for name in names}
        self.counts = {
            name: (sum(arm.requests for arm in arms), sum(arm.failed for arm in arms))
            for name, arms in self.arms.items()
        }
        self.seconds = {name: _seconds(arms) for name, arms in self.arms.items()}

    def after(self, before: Counted) -> dict[str, Any]:
        """Return what came since an earlier moment."""
        told = {}
        for name, (requests, failed) in self.counts.items():
            was = before.seconds[name].bins
            fresh = Sketch({at: times - was.get(at, 0) for at, times in self.seconds[name].bins.items()})
            p95 = fresh.quantile(0.95)
            told[name] = {
                "requests": requests - before.counts[name][0],
                "failed": failed - before.counts[name][1],
                "p95_s": None if p95 is None else round(p95, 4),
            }
        return told


def _seconds(arms: list[Arm]) -> Sketch:
    return merged(arm.seconds for arm in arms)
