"""Decide what a rollback goes back to. Runs on the driver; needs neither git nor a build nor a registry."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect, fencing, ledger, points
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import batches, concerned, leaving
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped


class ActionModule(ReleaseAction):
    """ferryman.ops.release_target"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Pick the release from the ledger and what is on the hosts, and plan the way there."""
        arbiter = self.look_of(self.arbiter)
        looks = [self.look_of(host).get("migration") or {} for host in self.groups["app"]]
        # A migration whose driver did not hear its end has moved the schema all the same; the ledger says so soon.
        if any(each.get("runs") for each in looks):
            self.refuse("a migration still runs, and its driver has gone", "wait for its end, then the same command")
        unheard = [
            {
                "event": ledger.MIGRATED,
                "of": each["run"],
                "release": each["release"],
                "schema_after": each["after"],
                "undone": each.get("undone", False),
            }
            for each in looks
            if each
        ]
        lines = [*arbiter["ledger"]["lines"], *unheard]
        held = {host: {each["id"] for each in self.look_of(host)["releases"]} for host in self.groups["app"]}
        out = [host for host in fencing.off_for(arbiter.get("fenced", {}), fencing.AWAY) if host in held]
        with_database = bool(self.value("with_database", False))
        try:
            target = ledger.rollback_target(
                lines,
                to=str(self.value("to", "") or ""),
                present=leaving.everywhere(held, out),
                accept_schema=bool(self.value("accept_schema", False)),
                with_database=with_database,
            )
            point = self._point(lines, target) if with_database else None
        except ledger.Refused as refused:
            raise Stopped(
                self.host, {"reason": str(refused), "hint": refused.hint, "refused": True, "evidence": []}
            ) from None
        lacking = leaving.lacking(target.id, held, out)
        self.leave_out({host: f"{host} was left out before, and has not {target.id}" for host in lacking})
        told = ledger.story(lines)
        line: dict[str, Any] = {
            "event": "rollback",
            "release": target.id,
            "previous": told.live,
            "slot": self.slot(),
            "who": self.who,
            **self.who_takes_part,
        }
        line.update({key: target.line.get(key) for key in ("commit", "ref", "subject", "digest", "configuration")})
        line.update(schema_before=told.schema, schema_after=told.schema)
        if point:
            line.update(schema_after=target.line.get("schema_after", ""), with_database=point.told())
        plan: dict[str, Any] = {
            "event": "rollback",
            "release": target.id,
            "previous": told.live,
            "slot": self.slot(),
            "migrate": False,
            "line": line,
            "began": time.time(),
            **self.seal,
            **({"point": point.told()} if point else {}),
        }
        self._refuse_unasked(target.id)
        self.remember("plan", plan)
        short: dict[str, Any] = {key: plan[key] for key in ("release", "previous", "slot", "point") if key in plan}
        seen = {"plan": short, **({"left_out": self.left_out} if self.left_out else {})}
        steps = {"nobodys": concerned.nobodys(self), "throttle": batches.throttle_of(self)}
        return {**short, **steps, "left_out": [*self.left_out], "ferryman": seen}

    def _point(self, lines: list[dict[str, Any]], target: ledger.Release) -> points.Point:
        """Return the restore point that leads back, which is the one that somebody agreed to, if he was asked."""
        database = str(dict(self.value("database", {}) or {}).get("name", ""))
        found = points.point(lines, target, database=database, there=points.on_one_host(self.every))
        agreed = str(self.value("restore_point", "") or "")
        if agreed and found.path != agreed:
            raise ledger.Refused(
                f"the restore point is {found.path} by now, not {agreed}", "the same command asks anew"
            )
        return found

    def _refuse_unasked(self, release: str) -> None:
        """Refuse a release whose steps need a secret that is gone meanwhile: it would be started, and then be left."""
        told = next(each for each in self.look_of(self.first_app)["releases"] if each["id"] == release)
        steps = (told.get("checks") or {}).get("verify") or []
        given = self.verification(steps)
        missing = expect.lacking(expect.asked(steps, given["writes"]), given["secrets"])
        if missing and self.value("verify", True):
            way_out = f"apps.{self.app}.secrets must name it; or `release_verify: false` in release.yml asks no steps"
            refused = {"reason": expect.lack(release, missing), "hint": way_out, "refused": True, "evidence": []}
            raise Stopped(self.host, refused)
