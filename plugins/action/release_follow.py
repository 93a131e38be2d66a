"""Follow a run that its arbiter drives itself, to its end; runs on the arbiter, and on no other host."""

from __future__ import annotations

import os
from typing import Any

from ansible.utils.display import Display
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

MARK = "ferryman-follows "
WAIT_S = 4.0  # how long a question waits on the host for news: whoever presses Ctrl-C waits no longer than that


class ActionModule(ReleaseAction):
    """ferryman.ops.release_follow"""

    def work(self) -> dict[str, Any]:
        """Print each line that the driver told, and come back once it has ended."""
        if self.host != self.arbiter:
            return {"skipped_here": True}
        parent = os.getppid()
        told: dict[str, Any] = {"of": "", "at": 0, "log": []}
        # This worker is in a session of its own, and would outlive an ansible-playbook that is killed.
        while os.getppid() == parent:
            told = self.ask("follow", of=told["of"], at=told["at"], for_s=WAIT_S)["follow"]
            for line in told["lines"]:
                # The one way by which a task that goes on can tell something; a line of its own, for any listener.
                Display().display(MARK + line)
            if told["over"]:
                break
        seen = {"host": self.host, "ca": self.ca, "log": told["log"]}
        return {"run": told["of"], "log": told["log"], "ferryman": seen}
