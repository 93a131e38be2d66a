"""Decide how many instances run from now on. Runs on the driver, and asks no host."""

from __future__ import annotations

from typing import Any, NoReturn

from ansible_collections.ferryman.ops.plugins.module_utils.release import fencing, sizes
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import utc
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped


class ActionModule(ReleaseAction):
    """ferryman.ops.release_scale"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Hold what is wanted against bounds and hosts, and remember the way there, and the one back."""
        self._refuse_unsettled()
        known, wanted = self.look_of(self.first_app)["sizes"], dict(self.value("scale", {}) or {})
        counts, misread = sizes.counted(known, wanted), [*sizes.misread(wanted)]
        if wrong := [*misread, *sizes.outside(self._bounds(known), counts), *self._taken()]:
            where = f"bounds stand in ferryman.yml, or in apps.{self.app}.processes; `status` says what runs"
            self._refuse("; ".join(wrong), where)
        arbiter = self.look_of(self.arbiter)
        before = sizes.last(arbiter["ledger"]["lines"]) or {"sizes": {}, "servers": 0}
        ways = sizes.ways(known, wanted, before, {"since": utc(), "who": self.who, "run": self.run_id})
        counts = ways["counts"]
        short = {
            "release": arbiter["shift"]["release_stable"],
            "instances": counts,
            "was": {name: known[name]["instances"] for name in counts},
        }
        # Where all was so before, and only a host was not, nobody writes it down anew.
        lines = sizes.lines({**short, "who": self.who}, ways["after"]) if ways["after"] != before else {}
        self.remember("scale", {way: {**ways[way], "line": lines.get(way, {})} for way in ("there", "back")})
        return {"counts": counts, "ferryman": {"scale": {**short, "hosts": self.groups["app"]}}}

    def _refuse_unsettled(self) -> None:
        """Refuse where nothing is live, or a host has something else for that than the arbiter, or is in a switch."""
        arbiter = self.look_of(self.arbiter)
        if not arbiter["shift"]["release_stable"]:
            self._refuse("nothing is live", "`deploy` comes first")
        out = fencing.off_for(arbiter.get("fenced", {}), fencing.AWAY)
        for host in {*self.groups["app"], *self.groups["entry"]}.difference(out):
            look = self.look_of(host)
            if look["pending"] or look["shift"]["release_stable"] != arbiter["shift"]["release_stable"]:
                self._refuse(f"{host} is not where {self.arbiter} is", "`deploy` brings it there")

    def _bounds(self, known: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """Return the bounds of each process: those of the live release, with what the inventory says now."""
        given = dict(self.value("processes", {}) or {})
        found = {}
        for name, told in known.items():
            least, most = told["bounds"]
            own = given.get(name) or {}
            found[name] = (int(own.get("instances_min", least)), int(own.get("instances_max", most)))
        return found

    def _taken(self) -> list[str]:
        """Say on which hosts somebody else listens where a process would."""
        each = {host: self.look_of(host).get("taken", []) for host in self.groups["app"]}
        return [
            f"on {host} somebody else listens on port {', '.join(map(str, ports))}"
            for host, ports in each.items()
            if ports
        ]

    def _refuse(self, reason: str, hint: str) -> NoReturn:
        raise Stopped(self.host, {"reason": reason, "hint": hint, "refused": True, "evidence": []})
