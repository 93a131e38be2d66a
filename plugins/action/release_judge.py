"""Say of the live release what a verdict on it would be now. Runs on the driver, by what every entry has counted."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import limits, telling
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import going_back, live
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_judge"""

    _requires_connection = False
    ARGUMENTS: ClassVar = {}

    def work(self) -> dict[str, Any]:
        """Judge by what step `recent` of M(ferryman.ops.release_step) has brought from all entries."""
        told = [self.recall(f"recent-{host}") for host in self.groups["entry"]]
        most = limits.read(self.value("limits", {}) or {})
        seen = live.evidence(told, declared=told[0]["metrics"], limits=most)
        record = telling.record(live.verdict(seen, most), seen)
        times = {"since": round(seen.since, 3), "at": round(seen.now, 3)}
        judged = {**record, "release": str(told[0]["release"]), "rollback_to": going_back.target(self), **times}
        return {"judged": judged, "ferryman": {"judged": judged}}
