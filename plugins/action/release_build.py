"""Build the artifact of the commit, once, and plan the release. Runs on the driver."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import files, render, sizes
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import (
    agreed,
    artifact,
    batches,
    concerned,
    remembered,
    sql,
)
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.source import commit_of


class ActionModule(ReleaseAction):
    """ferryman.ops.release_build"""

    _requires_connection = False
    ARGUMENTS: ClassVar = {
        "as_planned": {"type": "bool", "default": False},
        "plan": {"type": "bool", "default": False},
    }

    def work(self) -> dict[str, Any]:
        """Build, give the release its id, and say what it takes: slot, migration, who and what before."""
        source, first = self.recall("source"), self.first_app
        self._refuse_scaled(source["description"]["processes"])
        known = self._judge_migrations(source)
        looks = {host: self.look_of(host) for host in self.groups["app"]}
        fit = RUNTIMES[source["description"]["runtime"]["kind"]].FIT
        differ = {host: {key: look["tools"][key] for key in fit} for host, look in looks.items()}
        if len({tuple(each.values()) for each in differ.values()}) > 1:
            raise AnsibleError(f"the app hosts differ, one artifact does not fit them all: {differ}")
        built = artifact.build(
            commit_of(source),
            source["description"],
            tools=looks[first]["tools"],
            cache=self.work_dir,
            version=str(self.value("version", "")),
            fetch=not self._task.check_mode,  # that takes minutes, and says nothing of what would change
        )
        keep = self.work_dir / "files" / f"{built.manifest['digest']}.txt"
        remembered.write(keep, built.list_of_files.encode())
        plan = self._plan(built, source, looks[first])
        if self.args["as_planned"]:
            agreed.require(self, plan)
        if self.hotfix:
            plan["more"] = self._more(plan, built)
        self.remember("plan", plan)
        short = self.short_of(plan)
        return {
            **short,
            "left_out": [*self.left_out],
            "nobodys": concerned.nobodys(self),
            "throttle": batches.throttle_of(self),
            "digest": built.manifest["digest"],
            "bytes": built.manifest["bytes"],
            "ferryman": {"plan": short, **({"not_judged": known} if known else {})},
            **({"warnings": [known]} if known else {}),
        }

    def _judge_migrations(self, source: dict[str, Any]) -> str:
        """Refuse SQL migrations that lock tables or break what is live; return what should be known where none is.

        For a plan they are only remembered.
        """
        lines = self.look_of(self.arbiter)["ledger"]["lines"]
        verdict = sql.judged(commit_of(source), source["description"], sql.live_of(lines))
        refused = sql.refusal(verdict, source["path"])
        self.remember("sql", {"refused": refused, "note": verdict.note()})
        if refused and not self.args["plan"]:
            raise Stopped(self.host, {**refused, "refused": True})
        return verdict.note()

    def _refuse_scaled(self, processes: dict[str, Any]) -> None:
        """Refuse a release whose bounds are narrower than what somebody has scaled."""
        counts = sizes.told(sizes.last(self.look_of(self.arbiter)["ledger"]["lines"]).get("sizes", {}))
        known = {name: sizes.bounds(process) for name, process in processes.items() if sizes.can_be_scaled(process)}
        wrong = {
            name: said
            for name, count in counts.items()
            if name in known
            for said in sizes.outside(known, {name: count})
        }
        if wrong:
            way_out = f"declare other bounds, or `scale {sizes.words(dict.fromkeys(wrong, sizes.DECLARED))}` first"
            reason = f"it is scaled otherwise than this release may be: {'; '.join(wrong.values())}"
            raise Stopped(self.host, {"reason": reason, "hint": way_out, "refused": True})

    def _more(self, plan: dict[str, Any], built: artifact.Artifact) -> list[str]:
        """Refuse what is more than a hotfix, before anything is sent to a host; a plan alone is told of it."""
        from ansible_collections.ferryman.ops.plugins.plugin_utils.release import hotfix  # few deploys are one

        reasons = hotfix.refused(self, plan, built, self.look_of(self.first_app)["base"])
        if reasons and not self.args["plan"]:
            told = {"reason": hotfix.REASON, "evidence": reasons, "hint": hotfix.WAY_OUT, "refused": True}
            raise Stopped(self.host, told)
        return reasons

    def _plan(self, built: artifact.Artifact, source: dict[str, Any], look: dict[str, Any]) -> dict[str, Any]:
        manifest = {**built.manifest, "description": source["description"]}
        at = time.time()
        release = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}-{source['commit'][:7]}"
        taken = {each["id"] for each in look["releases"]}
        while release in taken:  # the same commit twice in one second
            at += 1
            release = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}-{source['commit'][:7]}"
        record = {
            "format": 1,
            "id": release,
            "app": self.app,
            "environment": self.environment,
            "commit": source["commit"],
            "ref": source["ref"],
            "digest": manifest["digest"],
            "configuration": source["configuration"],
            "environment_key": manifest["runtime"]["environment"],
            "manifest": manifest,
            "processes": source["description"]["processes"],
            "launchers": self._launchers(source["description"], release),
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
            "run": self.run_id,
        }
        live = self.look_of(self.arbiter).get("shift", {}).get("release_stable", "")
        migrations = source["description"].get("migrations") or {}
        known = look["base"].get("migrations", "") if look["base"] else None
        kind = {"hotfix": True} if self.hotfix else {}
        line = {
            "event": "deploy",
            **kind,
            "release": release,
            "previous": live,
            "slot": self.slot(),
            "who": self.who,
            **self.who_takes_part,
        }
        line.update({key: record[key] for key in ("commit", "ref", "digest", "configuration")})
        line["subject"] = source["subject"]
        migrate = bool(migrations.get("command")) and (
            known is None or not manifest["migrations"] or known != manifest["migrations"]
        )
        if migrate:
            line.update(migration=migrations["kind"], migrates_on=self.first_app)
        return {
            "event": "deploy",
            **kind,
            "release": release,
            "previous": live,
            "slot": self.slot(),
            "migrate": migrate,
            "record": record,
            "artifact": str(built.directory),
            "lacks_packages": built.lacks_packages,
            "description": source["description"],
            "line": line,
            "began": at,
            **self.seal,
        }

    def _launchers(self, description: dict[str, Any], release: str) -> dict[str, str]:
        """Return the SHA-256 of each launcher, by which a host finds out that one was edited."""
        texts = render.launchers(Site(self.site), description, environment=self.environment, release=release)
        return {name: files.digest(text) for name, text in texts.items()}
