"""What a live release is judged by where it has several hosts: how it is on each app host, and what other entries saw.

Each entry keeps its counts where only a host of the run finds them (the name is a digest over the run's seal), and the
arbiter asks for them. Whoever does not answer says nothing: what he said before still counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release import commits, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import MINUTE_S
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host

MOST = 1 << 20
WORD = "counts"
Ways = Mapping[str, Mapping[str, Any]]
"""What app hosts answered, by their names (members.ways)."""


# App hosts


def away(new: Ways, old: Ways) -> set[str]:
    """Return the app hosts on which neither release answers: they say nothing of either."""
    return {name for name in {*new, *old} if not (_good(new, name) or _good(old, name))}


def well(new: Ways, old: Ways) -> tuple[bool, bool]:
    """Return whether the new release is well and whether the old one is, on all app hosts that are not away.

    Where all are away, neither is.
    """
    there = {*new, *old} - away(new, old)
    if not there:
        return False, False
    return all(_good(new, name) for name in there), all(_good(old, name) for name in there)


def may_go_back(new: Ways, old: Ways) -> bool:
    """Say whether the old release serves wherever the new one does, and somewhere: nobody goes back to fewer hosts."""
    serving = {name for name in old if _good(old, name)}
    return bool(serving) and serving.issuperset(name for name in new if _good(new, name))


def _good(ways: Ways, name: str) -> bool:
    return bool(ways.get(name, {}).get("good"))


# Other entries


def short(tally: access.Tally, *, since: float, least: int) -> access.Tally:
    """Return what others need of a tally: its minutes from `since` on.

    Of each minute's failing clients it names `least`, the first in order: whether in some minutes so many failed at
    several entries comes to the same by these as by all.
    """
    minutes = {
        key: access.Minute(each.requests, each.failed, set(sorted(each.failing)[:least]), each.seconds)
        for key, each in tally.minutes.items()
        if key[0] + MINUTE_S > since
    }
    return access.Tally(minutes=minutes)


def tell(host: Host, *, run: str, seal: str, tally: access.Tally) -> None:
    """Have this entry tell its counts to whoever knows the seal of a run."""
    told = access.told(tally)
    body = {"format": 1, "told": told, "proof": commits.proof(seal, run, WORD, told)}
    host.write(_place(host, run, seal), json.dumps(body) + "\n", secret=True)  # no diff of a watch's every look


def forget(host: Host, *, run: str, seal: str) -> None:
    """Tell nobody any more."""
    host.remove(_place(host, run, seal))


def _place(host: Host, run: str, seal: str) -> Any:
    return host.site.state / "runs" / _name(run, seal)


def _name(run: str, seal: str) -> str:
    return f"{WORD}-{commits.proof(seal, run, WORD)}"


def ask(entry: Mapping[str, Any], *, address: str, run: str, seal: str) -> Optional[access.Tally]:
    """Return what another entry has counted since everybody has the release of a run; None where it does not say."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        path = f"{commits.PATH}{_name(run, seal)}"
        status, _, text = shift.get(entry, path, address=address, timeout_s=commits.TIMEOUT_S, most=MOST)
        said = json.loads(text) if status == 200 else {}
        if said["proof"] == commits.proof(seal, run, WORD, said["told"]):
            return access.read(said["told"])
    return None
