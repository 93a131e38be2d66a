"""Say what differs between two releases. Runs on the driver, asks no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import diff, git, plan, remembered
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_diff"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Compare what the ledger, the repository, the hosts and this machine know of both."""
        one, other = (self._side(release) for release in diff.two(self))
        found = diff.between(one, other, self._commits(one, other), app=self.app)
        told = {"environment": self.environment, "app": self.app, **found}
        return {"diff": told, "ferryman": {"diff": told}}

    def _side(self, release: ledger.Release) -> diff.Side:
        kept = self.recall(f"kept-{release.id}").get("description")
        described = remembered.description_of(self.work_dir, release.id) if kept is None else kept
        files = remembered.files_of(self.work_dir, str(release.line.get("digest") or ""))
        return diff.Side(release, described, files)

    def _commits(self, one: diff.Side, other: diff.Side) -> dict[str, Any]:
        """Return the commits between both; not known where the repository is gone, or has not both."""
        try:
            commit = git.find(
                str(self.value("repository")),
                root=Path(str(self.value("root"))).expanduser(),
                path=str(self.value("path", ".")),
                ref=other.told["commit"],
                cache=self.work_dir,
                allow_dirty=False,
                explicit=True,
            )
        except AnsibleError:
            return {"known": False, "added": [], "dropped": []}
        return plan.commits(commit, one.told["commit"])
