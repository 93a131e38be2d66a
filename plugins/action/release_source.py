"""Read what is to be deployed: the commit, and how the application describes itself. Runs on the driver."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import source
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtime import RUNTIMES


class ActionModule(ReleaseAction):
    """ferryman.ops.release_source"""

    _requires_connection = False
    ARGUMENTS: ClassVar = {"any_state": {"type": "bool", "default": False}}

    def work(self) -> dict[str, Any]:
        """Resolve the commit and check the description against the inventory."""
        found = source.read(self, any_state=bool(self.args["any_state"]))
        processes, kind = found["description"]["processes"], found["description"]["runtime"]["kind"]
        return {
            "run": self.run_id,
            "commit": found["commit"],
            "subject": found["subject"],
            "processes": [name for name, process in processes.items() if process["kind"] == "web"],
            "instances": {name: process["instances"] for name, process in processes.items()},
            "runtime": kind,
            "packages": list(RUNTIMES[kind].SYSTEM),
        }
