"""Take up a run that was handed over: say again what was found and planned where it began. Asks no host."""

from __future__ import annotations

from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import batches, concerned
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_take_up"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Return what the build's result was, for the steps that follow, and for whoever listens what came before."""
        told, short = self.recall(f"told-{self.host}"), self.short_of(self.recall("plan"))
        seen = {**told["ferryman"], **self.recall("waited"), "plan": short}
        seen |= {"left_out": self.left_out} if self.left_out else {}
        steps = {"nobodys": concerned.nobodys(self), "throttle": batches.throttle_of(self)}
        return {**short, **steps, "left_out": [*self.left_out], "stale": told["stale"], "ferryman": seen}
