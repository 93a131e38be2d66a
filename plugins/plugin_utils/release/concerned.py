"""Whom the steps concern that most runs have no use for, by what the hosts answered when they were looked at.

A task costs as much on a host that has nothing to do in it as on any other; one that concerns nobody is done once.
"""

from __future__ import annotations

from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

BACKGROUND = {"worker", "cron"}
"""The kinds of processes that run in the slot that serves alone."""


def mends(action: ReleaseAction, host: str) -> bool:
    """Say whether a host is not where the others are, has a migration that nobody waited for, or lets in the key of an
    earlier run, which goes with the first step there.
    """
    if host in action.left_out:
        return False
    mine, theirs = (action.look_of(each) for each in (host, action.arbiter))
    if "way" in mine or mine.get("migration"):
        return True
    if host == action.arbiter or "shift" not in mine:
        return False
    same = ("stable", "release_stable")
    return bool(mine["pending"]) or [mine["shift"][key] for key in same] != [theirs["shift"][key] for key in same]


def has_background(action: ReleaseAction, host: str) -> bool:
    """Say whether workers or timers may have to move: of the release that comes, or of any that a host has."""
    if host not in action.groups["app"]:
        return False
    coming = action.recall("plan").get("description") or {}
    told = [coming, *(release["checks"] for release in action.look_of(host).get("releases", []))]
    return any(process["kind"] in BACKGROUND for each in told for process in each.get("processes", {}).values())


CONCERN = {"mend": mends, "workers": has_background}
"""By the step, whether it concerns a host."""
ONCE = ("mend",)
"""Those whose task runs once where they concern nobody: that of `workers` is throttled, and no task is both."""


def nobodys(action: ReleaseAction) -> list[str]:
    """Return those of the steps that may run once that concern no host of the run, once it is planned."""
    hosts = {host for hosts in action.every.values() for host in hosts}
    return [step for step in ONCE if not any(CONCERN[step](action, host) for host in hosts)]
