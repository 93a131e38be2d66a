"""Read what is to be deployed: the commit, and how the application describes itself. Runs on the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import render
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description, git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, run_id


class ActionModule(ReleaseAction):
    """ferryman.ops.release_source"""

    _requires_connection = False
    ARGUMENTS: ClassVar = {"any_state": {"type": "bool", "default": False}}

    def work(self) -> dict[str, Any]:
        """Resolve the commit and check the description against the inventory."""
        ref = str(self.value("ref", "") or "")
        commit = git.find(
            str(self.value("repository")),
            root=Path(str(self.value("root"))).expanduser(),
            path=str(self.value("path", ".")),
            ref=ref or "HEAD",
            cache=self.work_dir,
            # Provisioning only reads how the application describes itself.
            allow_dirty=bool(self.value("allow_dirty", False)) or bool(self.args["any_state"]),
            explicit=bool(ref),
        )
        told = self._described(commit)
        self.remember(
            "source",
            {
                "repository": str(commit.repository),
                "path": commit.path,
                "commit": commit.id,
                "ref": commit.ref,
                "subject": commit.subject,
                "committed_at": commit.committed_at,
                "dirty": commit.dirty,
                "description": told,
                "configuration": render.configuration(Site(self.site), told, environment=self.environment),
            },
        )
        web = [name for name, process in told["processes"].items() if process["kind"] == "web"]
        sizes = {name: process["instances"] for name, process in told["processes"].items()}
        return {
            "run": run_id(),
            "commit": commit.id,
            "subject": commit.subject,
            "processes": web,
            "instances": sizes,
            "runtime": told["runtime"]["kind"],
        }

    def _described(self, commit: git.Commit) -> dict[str, Any]:
        text = git.show(commit, description.FILE)
        place = f"{commit.path}/{description.FILE}" if commit.path != "." else description.FILE
        if text is None:
            where = f"commit {commit.id[:12]} of {commit.repository}"
            raise AnsibleError(f"{place} is not in {where}: an application describes itself there")
        try:
            told = description.read(text, source=place)
            told = description.sized(told, dict(self.value("processes", {}) or {}), source=f"apps.{self.app}.processes")
        except description.Problems as wrong:
            raise AnsibleError(str(wrong)) from None
        env = dict(self.value("env", {}) or {})
        told["env"] = {**told["env"], **env}
        problems = (
            [f"{place}: name is {told['name']!r}, the inventory calls it {self.app!r}"]
            if told["name"] != self.app
            else []
        )
        problems += [f"apps.{self.app}.env.{name} {what}" for name, what in description.unfit(env).items()]
        have = set(dict(self.vars.get("release_secrets_names") or {}) or self.secrets)
        problems += [
            f"{place}: secret {name} has no value: apps.{self.app}.secrets must name it"
            for name in render.all_secrets(told)
            if name not in have
        ]
        if problems:
            raise AnsibleError("\n".join(problems))
        return told
