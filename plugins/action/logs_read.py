"""Read the logs of a host once, or follow them: one reading after the other over the connection that is open."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

MARK = "ferryman-logs "
WAIT_S = 10.0  # how long a reading waits on the host for the first line before it is asked anew


def _end_with(parent: int) -> None:
    """End with ansible-playbook: this worker is in a session of its own, and would go on for ever when that is killed.

    With it goes the ssh that it waits for, and so what waits on the host.
    """
    while os.getppid() == parent:
        time.sleep(0.3)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


class ActionModule(ActionBase):
    """With `follow`, prints what comes as lines of JSON: the host, its lines, whether some were left out."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer as the module does; with `follow`, go on until the connection fails or somebody ends it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        follow = bool(given.pop("follow", False))
        if follow:
            threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
        answer = self._ask(given, task_vars)
        while follow and not answer.get("failed") and not answer.get("unreachable"):
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
