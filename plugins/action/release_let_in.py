"""Let the arbiter come to the other hosts of a run that it is to drive itself, and take that back once it is over."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import handing, pack
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import LEASE_S, ReleaseAction, Stopped

DAY_S = 86400.0


class ActionModule(ReleaseAction):
    """ferryman.ops.release_let_in"""

    ARGUMENTS: ClassVar = {"step": {"type": "str", "required": True, "choices": ["key", "open", "close"]}}

    def work(self) -> dict[str, Any]:
        """Do the step, where it concerns this host."""
        step = str(self.args["step"])
        if step == "open" and self.host == self.arbiter and not self._task.check_mode:
            self.vigil(self._keep, every_s=LEASE_S / 3)
        concerned = step == "close" or (step == "key") == (self.host == self.arbiter)
        if self._task.check_mode or not concerned or self.host in self.left_out:
            return {"skipped_here": True}
        return {"key": self._key, "open": self._open, "close": self._close}[step]()

    @property
    def stoppable(self) -> bool:
        """What was let in is taken back in any case."""
        return bool(self.args["step"] != "close")

    def _keep(self) -> None:
        """Renew the lock while only others are at work."""
        self.ask("steps", steps=["keep"], lease_s=LEASE_S)

    def _key(self) -> dict[str, Any]:
        """Have the arbiter make the key, and see that it can drive at all."""
        there = [str(host) for host in self.vars["ansible_play_hosts"] if host not in (self.host, *self.left_out)]
        others = {host: self.address_of(host, "{} is to be driven from elsewhere") for host in there}
        self.remember("able", {**self.ask("able", others=others)["able"], "others": others})
        return {"changed": True}

    def _open(self) -> dict[str, Any]:
        """Let it in here."""
        able = self.recall("able")
        told = {"public_key": able["public_key"], "source": able["sources"][self.host]}
        told |= {"for_s": DAY_S + self.stages_take_s, "version": pack.version()}
        way = self.ask("steps", pack.packed(), steps=["let_in"], lease_s=LEASE_S, let_in=told)["way"]
        self.remember(
            f"way-{self.host}", {**way, "address": able["others"][self.host], "values": handing.digests(self.value)}
        )
        return {"changed": True}

    def _close(self) -> dict[str, Any]:
        """Take it back; where that cannot be done now, the next run does, and it ends by itself."""
        try:
            return self.outcome(self.ask("steps", steps=["let_out"], lease_s=LEASE_S))
        except (Stopped, AnsibleError) as error:
            return {"warnings": [f"{self.host} may still let in the key of {self.run_id}: {error}"]}
