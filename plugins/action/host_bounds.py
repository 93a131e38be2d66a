"""Hold the values of a role against its meta/bounds.yml, on the driver, before anything of it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ferryman.ops.plugins.plugin_utils import bounds


class ActionModule(ActionBase):
    """ferryman.ops.host_bounds"""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Refuse all that is out of bounds at once."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        role, given = self._task._role, task_vars or {}
        if role is None:
            raise AnsibleActionFail("host_bounds judges the role that it stands in: call it from a role's tasks")
        told = self._loader.load_from_file(str(Path(role.get_role_path()) / "meta" / "bounds.yml"))
        names = {bounds.keys(path)[0] for path in told}
        wrong = bounds.misfits(told, self._templar.template({name: given[name] for name in names if name in given}))
        if wrong:
            result |= {"failed": True, "msg": f"{'; '.join(wrong)}: set it so; nothing was changed"}
            result["ferryman"] = {"refused": True}
        return result
