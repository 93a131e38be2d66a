"""Run module host_check, ask on the driver what only it knows (names, its clock), and judge."""

from __future__ import annotations

import socket
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ferryman.ops.plugins.module_utils.host import fitness

OPTIONS = (
    *("environment", "shared", "check_domains", "check_addresses", "check_balancers", "check_distributions"),
    *("check_memory_mb", "check_connections", "check_disk_mb", "check_clock_s"),
)
"""The role's options that the judgement wants, without their prefix."""


class ActionModule(ActionBase):
    """ferryman.ops.host_check"""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the host once, and answer with judgements."""
        super().run(tmp, task_vars)
        given = task_vars or {}
        before = time.time()
        result: dict[str, Any] = self._execute_module(task_vars=given)
        after = time.time()
        if "seen" not in result:
            return result
        wanted = {name: self._templar.template(given.get(f"host_{name}")) for name in OPTIONS}
        address = str(self._templar.template(given.get("ansible_host")) or given["inventory_hostname"])
        wanted.update(
            before_s=before,
            after_s=after,
            names={name: addresses(name) for name in wanted["check_domains"]},
            reached_at=addresses(address),
        )
        judged = fitness.judge(result.pop("seen"), wanted)
        return {**result, "ferryman": {"checked": {str(given["inventory_hostname"]): judged}}}


def addresses(name: str) -> list[str]:
    """Return what a name leads to, IPv4 first; empty where it leads nowhere. For a wildcard a name below it is asked.

    Names below `localhost` lead to the loopback wherever they are asked for (RFC 6761, 6.3); not every resolver knows.
    """
    if f".{name}".endswith(".localhost"):
        return ["127.0.0.1", "::1"]
    found: list[str] = []
    name = name.replace("*.", "ferryman-check.", 1)  # a resolver takes an asterisk for no host's name
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            answers = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
        except OSError:
            continue
        found += [str(answer[4][0]) for answer in answers]
    return list(dict.fromkeys(found))
