"""Ask everything that a host serves, each within its time."""

from __future__ import annotations

from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_health"""

    def work(self) -> dict[str, Any]:
        """Ask the host and return its answers by name."""
        answer = self.ask("health")
        good = all(each["good"] for each in answer["health"].values())
        return {"good": good, "health": answer["health"], "ferryman": {"health": {self.host: answer["health"]}}}
