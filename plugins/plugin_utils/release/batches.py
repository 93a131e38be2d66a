"""App hosts that do a step a few at a time (`release_serial`): how many, and how long the others wait meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import concerned
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

LEAST = 2
"""The arbiter and one more: it waits in its own task for all others, and keeps the lock meanwhile."""
SESSION_S = 10.0
"""What a host may take beside what is known of its step."""


def count(told: str, hosts: int) -> int:
    """Return how many of so many hosts `told` is: a count, or a percentage of them, rounded up."""
    text = str(told).strip()
    # In whole numbers: 7 % of 100 hosts are 7, which a fraction would be a little above.
    wanted = -(-hosts * int(text[:-1]) // 100) if text.endswith("%") else int(text)
    return max(1, min(hosts, wanted))


def throttle(told: str, apps: Sequence[str], *, arbiter: str) -> int:
    """Return on how many hosts Ansible may do a step of the app hosts at once (its `throttle`); 0 is all of them.

    An arbiter that is no app host has a place beside theirs, since it waits in the task until all others have ended.
    """
    wanted = count(told, len(apps))
    if wanted == len(apps):
        return 0
    return max(LEAST, wanted) if arbiter in apps else wanted + 1


def rounds(told: str, apps: Sequence[str], *, arbiter: str) -> int:
    """Return in how many turns at most all app hosts come to a step: one place is the arbiter's."""
    places = throttle(told, apps, arbiter=arbiter)
    return -(-len(apps) // (places - 1)) if places else 1


def throttle_of(action: ReleaseAction) -> int:
    """Return the throttle of a run; none where one host does everything."""
    return throttle(_told(action), action.groups["app"], arbiter=action.arbiter) if action.several else 0


def rounds_of(action: ReleaseAction) -> int:
    """Return the turns of a run."""
    return rounds(_told(action), action.groups["app"], arbiter=action.arbiter) if action.several else 1


def start_s(action: ReleaseAction) -> float:
    """Return how long at most a host's new processes wait for those of the hosts that start after it."""
    waits = sum(float(action.settings[name]) for name in ("drain_s", "start_timeout_s", "soak_s"))
    each = waits + float(action.value("verify_timeout_s", 60)) + SESSION_S
    return 2 * (rounds_of(action) - 1) * each  # twice: a baseline starts, too


def workers_s(action: ReleaseAction) -> float:
    """Return for how long at most app hosts move their workers; 0 where a shift stands for that long by itself.

    For so long it may stand without a word to the other hosts: the arbiter is told all the time.
    """
    apps, turns = action.groups["app"], rounds_of(action)
    if not any(concerned.has_background(action, host) for host in apps):
        return 0.0
    ending = max(float(action.recall(f"listens-{host}").get("moving_s", 0)) for host in apps)
    each = ending + float(action.settings["worker_soak_s"])
    if turns == 1 and each <= float(action.settings["confirm_s"]):
        return 0.0
    return turns * (each + SESSION_S)


def _told(action: ReleaseAction) -> str:
    return str(action.value("serial", "100%"))
