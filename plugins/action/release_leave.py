"""Decide which app hosts that cannot be reached a run goes on without. Runs on the arbiter, to let go of its lock."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import leaving
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import LEASE_S, ReleaseAction, Stopped

WAY_OUT = "`--partial N` (of a playbook: -e release_partial=N) goes on without N app hosts, never without all"
GONE = "the same command once it can be reached again; where it is gone for good, take it out of the inventory"


class ActionModule(ReleaseAction):
    """ferryman.ops.release_leave"""

    def work(self) -> dict[str, Any]:
        """Remember who is left out, or refuse."""
        if self.host != self.arbiter:
            return {"skipped_here": True}
        away = {host: why for host in self.every["app"] if (why := self.look_of(host).get("away"))}
        migrates = ledger.migrating(self.look_of(self.arbiter)["ledger"]["lines"])
        reason = leaving.refusal([*away], self.every, most=int(self.value("partial", 0)), migrates=migrates)
        if reason:
            with suppress(Stopped, AnsibleError):  # it runs out by itself
                self.ask("steps", steps=["free"], lease_s=LEASE_S)
            told = {"reason": reason, "evidence": [*away.values()], "refused": True}
            told["hint"] = GONE if migrates.keys() & away.keys() else WAY_OUT
            raise Stopped(self.host, told)
        self.leave_out(away)
        return {"left_out": [*away], "ferryman": {"left_out": away}}
