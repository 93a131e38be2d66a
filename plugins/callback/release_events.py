"""The callback by which a driver that nobody looks on tells what it does: each event as a line of JSON."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: release_events
type: stdout
short_description: Tell each event of a run as a line of JSON
description:
  - For a run that its arbiter drives itself (C(release_detach)), and for whoever follows it.
  - A line is an object with one key. C(event) has kind, task, host, result, seconds, role; C(end) has status, seconds.
  - What a task hides by C(no_log) is not in it.
"""

HIDDEN = ("diff", "_ansible_verbose_always", "_ansible_no_log")


class CallbackModule(CallbackBase):
    """ferryman.ops.release_events"""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ferryman.ops.release_events"

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()
        self.since: dict[tuple[str, str], float] = {}

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        self._event("task", task)

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """It begins on a host."""
        self.since[task._uuid, host.name] = time.monotonic()
        self._event("begun", task, host.name)

    def v2_runner_on_ok(self, result: Any) -> None:
        """It ended well."""
        self._ended("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """It failed."""
        self._ended("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Its host was lost."""
        self._ended("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """It was skipped."""
        self._ended("skipped", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Everything has ended."""
        each = [stats.summarize(host) for host in stats.processed]
        status = "failed" if any(one["failures"] or one["unreachable"] for one in each) else "done"
        self._tell({"end": {"status": status, "seconds": time.monotonic() - self.began}})

    def _ended(self, kind: str, result: Any) -> None:
        task, host = result._task, result._host.name
        took = time.monotonic() - self.since.get((task._uuid, host), time.monotonic())
        said = {key: value for key, value in result._result.items() if key not in HIDDEN}
        self._event(kind, task, host, said, took)

    def _event(self, kind: str, task: Any, host: str = "", said: Any = None, took: float = 0.0) -> None:
        role = task._role.get_name() if task._role else ""
        told = {
            "kind": kind,
            "task": task.name or task.action,
            "host": host,
            "result": said or {},
            "seconds": took,
            "role": role,
        }
        self._tell({"event": told})

    def _tell(self, line: dict[str, Any]) -> None:
        self._display.display(json.dumps(line, default=str))
