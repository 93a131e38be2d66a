"""What a rollback would go to, by what the hosts have answered when they were looked at."""

from __future__ import annotations

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import leaving
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction


def target(action: ReleaseAction) -> str:
    """Return the release that a rollback would go to, whatever the database's schema; empty where there is none.

    Every app host that was reached and gets clients must have it; where none was reached, the ledger alone is asked.
    """
    lines = action.look_of(action.arbiter)["ledger"]["lines"]
    looks = {host: action.look_of(host) for host in action.groups["app"]}
    held = {host: [each["id"] for each in told["releases"]] for host, told in looks.items() if "releases" in told}
    present = leaving.everywhere(held, action.away) if held else ledger.story(lines).releases
    try:
        return ledger.rollback_target(lines, present=present, accept_schema=True).id
    except ledger.Refused:
        return ""
