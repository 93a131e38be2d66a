"""Which layouts of hosts a release can be brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LATER = "fleets come with a later version; until then put one host, the same, under entry and app"


def refusal(groups: Mapping[str, Sequence[str]]) -> str:
    """Return why a release cannot be brought to these hosts (names by kind: entry, app, arbiter), or nothing.

    Lock, switch and commit record lie on one host, so that no two hosts need agree on them. With several, one could
    serve what another went back from, and until that is prevented nothing of it may begin.
    """
    entry, app, arbiter = (list(groups.get(kind, [])) for kind in ("entry", "app", "arbiter"))
    if len(entry) == 1 and app == entry and arbiter == entry:
        return ""
    if len(entry) != 1:
        return f"there are {len(entry)} entries ({', '.join(entry) or 'none'}), and a release can be brought to one"
    if app != entry:
        return f"the entry is {entry[0]} and the app hosts are {', '.join(app) or 'none'}: they must be one host"
    return f"the lock is kept on {', '.join(arbiter)} (lock_host), and it must be {entry[0]}, the entry and app host"
