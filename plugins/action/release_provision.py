"""Bring a host to where releases can be staged on it, in one session."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import pack
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_provision"""

    ARGUMENTS: ClassVar = {"processes": {"type": "list", "elements": "str", "required": True}}

    def work(self) -> dict[str, Any]:
        """Make account, directories, ports and guard; return the ports that this host gave out."""
        packed = base64.b64encode(pack.packed()).decode()
        # In check mode the marker may still be missing: the host role would write it in the same run.
        answer = self.ask(
            "provision",
            processes=list(self.args["processes"]),
            baseline=self.compares_with_baseline(self.recall("source")["description"]),
            address=self._address,
            rehearsal=self._rehearsal,
            packed=packed,
            version=pack.version(),
            bare=bool(self._task.check_mode),
        )
        listens = self._listens(answer.get("ports", {}))
        return self.outcome(answer, ports=answer.get("ports", {}), baseline=listens.pop(names.BASELINE), slots=listens)

    @property
    def _rehearsal(self) -> dict[str, Any]:
        """How a drill, which has no driver, asks the release on restored data."""
        times = {key: self.settings[key] for key in ("health_consecutive", "soak_s", "start_timeout_s")}
        return {
            "domain": self.entry["domain"],
            **times,
            "verify_timeout_s": float(self.value("verify_timeout_s", 60)),
            "writes": "drill" in (self.value("verify_writes", []) or []),
        }

    @property
    def _address(self) -> str:
        """Where its processes listen: on the loopback, unless an entry elsewhere must reach them."""
        if self.groups["entry"] == [self.host]:
            return "127.0.0.1"
        return str(self.value("address", "") or self._templar.template(self.vars.get("ansible_host", self.host)))

    def _listens(self, ports: dict[str, Any]) -> dict[str, list[str]]:
        """Return where each slot of the web process answers, as the entry reaches it, and its baseline, if any."""
        description = self.recall("source")["description"]
        told, wanted = description["processes"], [*names.SLOTS]
        wanted += [names.BASELINE] if self.compares_with_baseline(description) else []
        found: dict[str, list[str]] = {place: [] for place in (*names.SLOTS, names.BASELINE)}
        for name, places in ports.items():
            if told.get(name, {}).get("kind") == "web":
                for place in wanted:
                    given = places[place][: int(told[name]["instances"])]
                    found[place] += [f"{self._address}:{port}" for port in given]
        return found
