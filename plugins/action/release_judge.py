"""Say of the live release what a verdict on it would be now. Runs on the driver, by what every entry has counted."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import (
    access,
    facts,
    gathering,
    limits,
    telling,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.verdict import PROMOTE, Verdict, judge
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_judge"""

    _requires_connection = False
    ARGUMENTS: ClassVar = {}

    def work(self) -> dict[str, Any]:
        """Judge by what step `recent` of M(ferryman.ops.release_step) has brought from all entries."""
        seen = [self.recall(f"recent-{host}") for host in self.groups["entry"]]
        release, slot = str(seen[0]["release"]), str(seen[0]["slot"])
        since, now = min(each["since"] for each in seen), max(each["at"] for each in seen)
        whole = access.merged_tally(access.read(each["tally"]) for each in seen)
        well, asked = (sum(each["old_probes"][at] for each in seen) for at in (0, 1))
        evidence = facts.Evidence(
            now=now,
            since=since,
            until=now,
            share=1.0,
            minutes=gathering.minutes(whole, new=slot, since=since, now=now),
            old_probes=(well, asked),
        )
        verdict = judge(evidence, limits.read(self.value("limits", {}) or {}))
        if verdict.word == PROMOTE:  # it is everywhere already
            verdict = Verdict(PROMOTE, "well", figures={"within_s": evidence.now - evidence.since})
        judged = {**telling.record(verdict, evidence), "release": release, "at": round(evidence.now, 3)}
        return {"judged": judged, "ferryman": {"judged": judged}}
