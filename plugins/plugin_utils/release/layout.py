"""Which layouts of hosts a release can be brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WAY_OUT = "groups `entry` and `app` of hosts.yml, and lock_host, say which host does what"


def refusal(groups: Mapping[str, Sequence[str]]) -> str:
    """Return why a release cannot be brought to these hosts (names by kind: entry, app, arbiter), or nothing.

    The arbiter is an entry, since what the other hosts ask it is answered by its nginx.
    """
    entry, app, arbiter = (list(groups.get(kind, [])) for kind in ("entry", "app", "arbiter"))
    if not entry:
        return "there is no entry, and clients come through one"
    if not app:
        return "there is no app host, and a release runs on one"
    if len(arbiter) != 1 or arbiter[0] not in entry:
        return f"the lock is kept on {', '.join(arbiter)} (lock_host), which is none of the entries: {', '.join(entry)}"
    return ""
