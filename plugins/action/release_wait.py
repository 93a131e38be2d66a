"""Wait for the lock, in line with all others who may wait; runs on the arbiter, and on no other host.

Each question stands in line for a few seconds only. So a driver that is gone loses its place soon, and what is told of
who holds the lock is never old.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import source
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped

MARK = "waiting for the lock: "
TURN_S = 4.0
"""How long one question stands in line: somebody who presses Ctrl-C waits no longer than that."""
WHO = ("owner", "purpose", "before")
"""By what people see that something has changed; a lease is renewed all the time."""


class ActionModule(ReleaseAction):
    """ferryman.ops.release_wait"""

    ARGUMENTS: ClassVar = {
        "purpose": {"type": "str", "required": True},
        "source": {"type": "bool", "default": False},
    }

    def work(self) -> dict[str, Any]:
        """Come back with the lock, or be refused when the time is over; in check mode nobody waits."""
        if self.host != self.arbiter or self._task.check_mode:
            return {"skipped_here": True}
        self.refuse_unfit(self.args["purpose"])
        wanted = source.read_once(self) if self.args["source"] else {}
        lock = self.lock(str(self.args["purpose"]), wanted)
        try:
            return self._waited(lock)
        except BaseException:
            with suppress(Stopped, AnsibleError):  # a host that cannot be told passes over who is silent
                self.ask("wait", lock=lock, for_s=None)
            raise

    def _waited(self, lock: Mapping[str, Any]) -> dict[str, Any]:
        began, may_s, driver = time.monotonic(), float(self.value("wait_s", 0)), os.getppid()
        first: dict[str, Any] = {}
        seen: dict[str, Any] = {}
        while True:
            self.heed()
            if os.getppid() != driver:  # this process is in a session of its own, and outlives a driver that is killed
                raise Stopped(self.host, {"reason": "whoever waited is gone", "hint": "deploy again", "refused": True})
            left = may_s - (time.monotonic() - began)
            # The first question only lines up, so that people read at once why they wait.
            told = self.ask("wait", lock=lock, for_s=max(0.0, min(TURN_S, left)) if first else 0.0)["waits"]
            if not told:
                break
            if first and left <= TURN_S:
                raise Stopped(self.host, self._refused(told, may_s))
            first = first or told
            if [seen.get(key) for key in WHO] != [told[key] for key in WHO]:
                # The one way by which a task that goes on can tell something; a line of its own, for any listener.
                Display().display(MARK + line(told))
            seen = told
        waited = {"waited_s": round(time.monotonic() - began, 1), "waited_for": _who(first)} if first else {}
        self.remember("waited", waited)
        return {**waited, "ferryman": waited}

    @staticmethod
    def _refused(told: Mapping[str, Any], may_s: float) -> dict[str, Any]:
        way_out = "a longer `--wait` waits on, or `unlock` if its owner is gone and you know that nothing of it runs"
        return {"reason": f"{line(told)}; it was waited for {may_s:g} s", "hint": way_out, "refused": True}


def line(told: Mapping[str, Any]) -> str:
    """Say whom a run waits for, since when, until when, and how many come before it."""
    before = int(told["before"])
    return f"{told['said']}; {before or 'nobody'} {'waits' if before < 2 else 'wait'} before this run"


def _who(told: Mapping[str, Any]) -> str:
    return f"{told['owner']} ({told['purpose']})"
