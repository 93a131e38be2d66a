"""Say what a deploy would change, from what the tasks before it have found. Runs on the driver, asks no host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger, lock, names, planned
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, utc
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import agreed, hotfix, plan, remembered, source
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

WANTED = ("commit", "ref", "subject", "committed_at", "dirty", "configuration")


class ActionModule(ReleaseAction):
    """ferryman.ops.release_plan"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Put the plan together."""
        self.hosts = [str(host) for host in self.vars["ansible_play_hosts_all"]]
        self.looks = {host: self.look_of(host) for host in self.hosts}
        self.lead = self.look_of(self.arbiter)
        self.book = self.lead.get("ledger") or {}
        self.foreseen = {host: self.recall(f"foreseen-{host}") for host in self.hosts}
        told = self._told_of()
        changed = agreed.differences(agreed.read(self), told["conditions"]) if self.value("plan_file", "") else []
        return {"plan": told, "differences": changed, "ferryman": {"planned": told, "differences": changed}}

    def _told_of(self) -> dict[str, Any]:
        found, built = self.recall("source"), self.recall("plan")
        app = self.looks[self.first_app]
        rendered = app["planned"].get("rendered") or {}
        live = rendered.get("kept") or {}
        record = built.get("record") or {}
        files = self._files(app, built)
        configuration, refused = self._configuration(found, built, app)
        return {
            "format": agreed.FORMAT,
            "environment": self.environment,
            "app": self.app,
            "made_at": utc(time.time()),
            "made_by": self.who,
            **({"hotfix": True} if self.hotfix else {}),
            "against": self._against(live),
            "conditions": agreed.conditions(self, built),
            "wanted": {
                **{key: found[key] for key in WANTED},
                **{key: record.get(key, live.get(key, "")) for key in ("digest", "environment_key")},
                "slot": built.get("slot", ""),
            },
            "change": bool(built),
            "reasons": {host: look["stale"] for host, look in self.looks.items() if look.get("stale")},
            "refused": [*self._refusals(), *refused],
            "notes": list(self._notes()),
            "commits": plan.commits(source.commit_of(found), str(live.get("commit") or "")),
            "files": files,
            "sent_bytes": None if built.get("lacks_packages") else self._sent(),
            "dependencies": self._dependencies(built),
            "configuration": configuration,
            "secrets": self._secrets(),
            "migrations": {
                **plan.migrations(
                    found["description"],
                    run=bool(built.get("migrate")),
                    known=bool(live),
                    changes=files,
                    database=str(dict(self.value("database", {}) or {}).get("name", "")),
                ),
                "from": ledger.story(self._lines()).schema,
            },
            "hosts": [
                {
                    "host": host,
                    "roles": look["roles"],
                    "provisioned": look["planned"]["provisioned"],
                    "serves": look.get("live") or look.get("shift", {}).get("release_stable", ""),
                }
                for host, look in self.looks.items()
            ],
            "steps": self._steps(),
            "pruned": {
                host: sorted(change.removesuffix(" removed") for change in found["removed"])
                for host, found in self.foreseen.items()
                if found.get("removed")
            },
        }

    def _lines(self) -> list[dict[str, Any]]:
        return list(self.book.get("lines", []))

    def _against(self, live: dict[str, Any]) -> dict[str, Any]:
        """What the plan was made against: where one of these is another by then, it is no longer true."""
        kept = {key: live.get(key) or "" for key in ("commit", "digest", "configuration", "environment_key")}
        stable = self.lead.get("shift", {}).get("stable", "")
        return {"release": live.get("id") or "", **kept, "slot": stable, "ledger_head": self.book.get("head", "")}

    def _files(self, app: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
        before = remembered.files_of(self.work_dir, (app.get("base") or {}).get("digest", "")) or ""
        after = (Path(built["artifact"]) / "files.txt").read_text(encoding="utf-8") if built else before
        return plan.file_changes(before, after)

    def _sent(self) -> int:
        return sum(int(found.get("sent_bytes") or 0) for found in self.foreseen.values())

    def _dependencies(self, built: dict[str, Any]) -> dict[str, Any]:
        """Their environment, the hosts that lack it, and whether what it is made from is yet to be fetched."""
        key = (built.get("record") or {}).get("environment_key", "")
        absent = [host for host in self.groups["app"] if key and key not in self.looks[host]["environments"]]
        return {"environment": key, "absent_on": absent, "to_fetch": bool(built.get("lacks_packages"))}

    def _configuration(
        self, found: dict[str, Any], built: dict[str, Any], app: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """Return what is rendered otherwise than it lies on the first app host, and why it can't be rendered.

        A unit is compared as if the new release took the slot of the live one.
        """
        told, there = found["description"], app["planned"].get("rendered") or {}
        if not built:
            return [], []
        refused: list[dict[str, str]] = []
        slot, release = there.get("slot") or built["slot"], built["release"]
        site, ports = names.Site(self.site), app["planned"].get("ports") or {}
        texts = plan.launchers(site, told, environment=self.environment, release=release)
        try:
            texts.update(plan.units(site, told, slot=slot, ports=ports, scaled=app["planned"]["scaled"]))
        except Failed as failed:
            if ports:  # else provisioning is yet to give them out
                refused = [{"host": self.groups["app"][0], "reason": str(failed), "hint": self._completed(failed.hint)}]
        before = {**there.get("texts", {}), **plan.as_texts(there.get("asked") or {})}
        after = {**texts, **plan.as_texts(planned.asked(told))}
        old = str((there.get("kept") or {}).get("id") or "")
        return plan.text_changes(before, after, old=old, new=release), refused

    def _steps(self) -> list[dict[str, Any]]:
        order: list[str] = next((found["order"] for found in self.foreseen.values() if found), [])
        did = {host: [each["step"] for each in found.get("steps", [])] for host, found in self.foreseen.items()}
        return plan.steps(order, did, self.hosts)

    def _secrets(self) -> dict[str, str]:
        """Secrets that would be written, by name: new or changed."""
        return {
            name: how
            for host in self.groups["app"]
            for name, how in sorted((self.looks[host]["planned"].get("secrets") or {}).items())
        }

    def _refusals(self) -> Iterator[dict[str, str]]:
        """Why a deploy would be refused now; that a host has yet to be provisioned is said of the host."""
        unfit, hint = self.unfit
        if unfit:
            yield {"host": self.arbiter, "reason": unfit, "hint": hint}
        for reason in self.recall("plan").get("more") or []:
            yield {
                "host": self.arbiter,
                "reason": f"{hotfix.REASON}: {reason}",
                "hint": self._completed(hotfix.WAY_OUT),
            }
        if migrations := self.recall("sql").get("refused"):
            yield {"host": self.arbiter, **migrations}
        held = self.lead.get("lock") or {}
        if held.get("alive"):
            yield {"host": self.arbiter, "reason": str(lock.Held(held)), "hint": "wait until then"}
        for host, look in self.looks.items():
            if look.get("refuses"):
                yield {"host": host, **look["refuses"]}
        for host, found in self.foreseen.items():
            if found.get("refused"):
                yield {"host": host, **{key: str(found["refused"].get(key) or "") for key in ("reason", "hint")}}

    def _notes(self) -> Iterator[str]:
        """What a deploy does before its first step, and by which it may come to differ."""
        unfinished = self.lead.get("unfinished") or {}
        if unfinished:
            yield (
                f"{unfinished.get('event')} of {unfinished.get('release')} by {unfinished.get('who')} did not end: "
                "a deploy ends it first, and what serves may be another by then"
            )
        if migrations := self.recall("sql").get("note"):
            yield migrations
        for host, look in self.looks.items():
            if look.get("edited"):
                yield f"{host}: edited by hand, and replaced: {', '.join(look['edited'][:5])}"
