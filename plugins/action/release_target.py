"""Decide what a rollback goes back to. Runs on the driver; needs neither git nor a build nor a registry."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect, ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped


class ActionModule(ReleaseAction):
    """ferryman.ops.release_target"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Pick the release from the ledger and what is on the hosts, and plan the way there."""
        arbiter = self.look_of(self.arbiter)
        lines = arbiter["ledger"]["lines"]
        present = set.intersection(
            *({each["id"] for each in self.look_of(host)["releases"]} for host in self.groups["app"])
        )
        try:
            target = ledger.rollback_target(
                lines,
                to=str(self.value("to", "") or ""),
                present=present,
                accept_schema=bool(self.value("accept_schema", False)),
            )
        except ledger.Refused as refused:
            raise Stopped(
                self.host, {"reason": str(refused), "hint": refused.hint, "refused": True, "evidence": []}
            ) from None
        told = ledger.story(lines)
        line: dict[str, Any] = {
            "event": "rollback",
            "release": target.id,
            "previous": told.live,
            "slot": self.slot(),
            "who": self.who,
            "hosts": self.groups["app"],
        }
        line.update({key: target.line.get(key) for key in ("commit", "ref", "subject", "digest", "configuration")})
        line.update(schema_before=told.schema, schema_after=told.schema)
        plan = {
            "event": "rollback",
            "release": target.id,
            "previous": told.live,
            "slot": self.slot(),
            "migrate": False,
            "line": line,
            "began": time.time(),
        }
        self._refuse_unasked(target.id)
        self.remember("plan", plan)
        short = {key: plan[key] for key in ("release", "previous", "slot")}
        return {**short, "ferryman": {"plan": short}}

    def _refuse_unasked(self, release: str) -> None:
        """Refuse a release whose steps need a secret that is gone meanwhile: it would be started, and then be left."""
        told = next(each for each in self.look_of(self.groups["app"][0])["releases"] if each["id"] == release)
        steps = (told.get("checks") or {}).get("verify") or []
        given = self.verification(steps)
        missing = expect.lacking(expect.asked(steps, given["writes"]), given["secrets"])
        if missing and self.value("verify", True):
            way_out = f"apps.{self.app}.secrets must name it; or `release_verify: false` in release.yml asks no steps"
            refused = {"reason": expect.lack(release, missing), "hint": way_out, "refused": True, "evidence": []}
            raise Stopped(self.host, refused)
