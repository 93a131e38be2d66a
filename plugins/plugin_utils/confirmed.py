"""The controller's half of "commit confirmed": make a change, come back over a new connection, and only then keep it.

The host's half (module_utils/host/trial.py) undoes the change by itself; this half merely confirms, or waits to say
how it ended.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# What the host needs to undo and reload once its timer has fired.
UNDOING_S = 5
# Seconds between tries, ever longer: a host that refuses us counts them, and bans whoever comes too often.
PAUSES_S = (0, 1, 2, 4, 8, 15)


def _sleep_past(deadline: float) -> None:
    time.sleep(max(deadline - time.monotonic(), 0) + UNDOING_S)


class ConfirmedAction(ActionBase):
    """Runs the module of the same name; its answer `pending` asks for a confirmation."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the module's answer, once it is known to last."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        result.update(self._execute_module(module_args=args, task_vars=task_vars))
        if result.get("failed") or not result.pop("pending", False):
            return result
        seconds = int(result.pop("undo_after_s", args.get("undo_after_s", 60)))
        kept = self._confirm({**args, "state": "confirmed"}, task_vars, deadline=time.monotonic() + seconds)
        if kept is None or kept.get("failed"):
            reason = "no new connection got through" if kept is None else str(kept.get("msg"))
            back = (
                "is reached as before"
                if self._answers(task_vars, seconds=20)
                else "is NOT reached: its console is the way in"
            )
            result.update(failed=True, msg=f"{reason}, so the change was undone after {seconds} s; the host {back}")
        return result

    def _confirm(self, args: dict[str, Any], task_vars: Any, deadline: float) -> dict[str, Any] | None:
        """Return the module's answer over a new connection; None where there was none in time."""
        for pause in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
            if time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
            try:
                self._connection.reset()
                answer: dict[str, Any] = self._execute_module(module_args=args, task_vars=task_vars)
            except AnsibleError:  # a connection that is refused, cut or silent
                continue
            if answer.get("failed"):
                _sleep_past(deadline)
            if not answer.get("unreachable"):
                return answer
        _sleep_past(deadline)
        return None

    def _answers(self, task_vars: Any, seconds: int) -> bool:
        """Return whether the host is reached within `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                self._connection.reset()
                if not self._execute_module("ansible.builtin.ping", module_args={}, task_vars=task_vars).get(
                    "unreachable"
                ):
                    return True
            except AnsibleError:  # not yet
                pass
            time.sleep(4)
        return False
