"""Ask everything that a host serves, each within its time."""

from __future__ import annotations

from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_health"""

    def work(self) -> dict[str, Any]:
        """Ask the host and return its answers by name."""
        answer = self.ask("health")
        told = {key: answer[key] for key in ("health", "maintenance")}
        good = not told["maintenance"] and all(each["good"] for each in told["health"].values())
        return {"good": good, **told, "ferryman": {key: {self.host: value} for key, value in told.items()}}
