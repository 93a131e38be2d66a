"""Read the logs of a host once, or follow them: one reading after the other over the connection that is open."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

MARK = "ferryman-logs "
WAIT_S = 4.0  # how long a reading waits on the host for the first line before it is asked anew


class ActionModule(ActionBase):
    """With `follow`, prints what comes as lines of JSON: the host, its lines, whether some were left out."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer as the module does; with `follow`, go on until the connection fails or somebody ends it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        follow = bool(given.pop("follow", False))
        parent = os.getppid()
        answer = self._ask(given, task_vars)
        # This worker is in a session of its own, and would outlive an ansible-playbook that is killed. It ends after
        # the reading that it is in: one that is cut off hangs on its host for as long as the connection is open.
        while follow and os.getppid() == parent and not answer.get("failed") and not answer.get("unreachable"):
            if answer["lines"] or answer["cut"]:
                told = {"host": (task_vars or {})["inventory_hostname"], "lines": answer["lines"], "cut": answer["cut"]}
                # The one way by which a task that goes on can tell something; a line of its own, for any listener.
                Display().display(MARK + json.dumps(told))
            answer = self._ask({**given, "cursor": answer["cursor"], "wait_s": WAIT_S}, task_vars)
        result.update(answer)
        return result

    def _ask(self, given: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="ferryman.ops.logs_read", module_args=given, task_vars=task_vars
        )
        return answer
