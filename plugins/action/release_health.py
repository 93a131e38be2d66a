"""Ask everything that a host serves, each within its time."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped

PAUSE_S = 1.0


class ActionModule(ReleaseAction):
    """ferryman.ops.release_health"""

    ARGUMENTS: ClassVar = {"within_s": {"type": "float"}}

    def work(self) -> dict[str, Any]:
        """Ask the host and return its answers by name; with `within_s` only once all are good."""
        answer = self.ask("health") if self.args["within_s"] is None else self._once_well(float(self.args["within_s"]))
        told = {key: answer[key] for key in ("health", "maintenance")}
        good = not told["maintenance"] and all(each["good"] for each in told["health"].values())
        return {"good": good, **told, "ferryman": {key: {self.host: value} for key, value in told.items()}}

    def _once_well(self, within_s: float) -> dict[str, Any]:
        until = time.monotonic() + within_s
        while True:
            answer = self.ask("health")
            ill = [f"{name}: {each['said']}" for name, each in answer["health"].items() if not each["good"]]
            if not ill:
                return answer
            if time.monotonic() >= until:
                told = {"reason": f"{self.host} is not well after {within_s:g} s", "evidence": ill, "refused": False}
                raise Stopped(
                    self.host, {**told, "hint": "`status` says more; once it is well, the same command goes on"}
                )
            time.sleep(PAUSE_S)
