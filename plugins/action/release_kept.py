"""Ask a host for what it keeps of the releases that are compared, and that this machine does not know."""

from __future__ import annotations

from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import diff, remembered
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


class ActionModule(ReleaseAction):
    """ferryman.ops.release_kept"""

    def work(self) -> dict[str, Any]:
        """Remember what the host answers, for whoever compares."""
        mine = [each.id for each in diff.two(self) if self._keeps(each) and not self._is_here(each)]
        if not mine:
            return {"skipped_here": True}
        answer = self.ask("kept", releases=mine, have=remembered.digests(self.work_dir))
        for release, told in answer["kept"].items():
            if told["files"]:
                remembered.keep_files(self.work_dir, told["digest"], told["files"])
            self.remember(f"kept-{release}", {"description": told["description"]})
        return {"releases": mine}

    def _keeps(self, release: ledger.Release) -> bool:
        """Say whether this is the first app host that keeps a release; the others have nothing else to tell."""
        looks = ((host, self.look_of(host)) for host in self.groups["app"])
        keeping = (host for host, look in looks if release.id in [each["id"] for each in look.get("releases", [])])
        return next(keeping, "") == self.host

    def _is_here(self, release: ledger.Release) -> bool:
        files = remembered.files_of(self.work_dir, str(release.line.get("digest") or ""))
        return files is not None and remembered.description_of(self.work_dir, release.id) is not None
