"""How the hosts of a fleet hear that a release was brought back after its commit, and go along: they ask, and do it.

The arbiter alone judges and decides (afterwards.py). Every other host asks how the run stands by which its release
became the stable one, until it is told that this stays so: over a reboot, and however long nobody answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import commits, names, shift, slots
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.provision import PYZ

WAIT, OVER, FOLLOW, REST = "wait", "over", "follow", "rest"


def comes_to(state: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Return what a host does by its shift `state`, once the arbiter has said how the run of its stable release stands.

    `follow` what has brought it back; `rest`, since another release went live without this host; `over`, since nothing
    can change any more without a driver; or `wait`, which is all that anybody does without an answer, and while another
    run is under way here: that one's end says what is stable.
    """
    if state["phase"] != "stable":
        return WAIT
    if not state.get("stable_run", {}).get("asks"):
        return OVER
    end = answer.get("end")
    if end == commits.BACK:
        return FOLLOW
    return {commits.PAST: REST, "live": OVER}.get(str(end), WAIT)


def begin(host: Host, *, before: str) -> bool:
    """Have this host follow what becomes of its stable release; say whether it will.

    It will not where the code on it is too old for that, and where it is an app host without the release `before`.
    """
    asks = shift.state(host).get("stable_run", {}).get("asks")
    if host.check or not (asks and has(host, before) and knows_how()):
        return False
    host.write(host.site.follows, "")
    host.systemctl("start", "ferryman-guard.service")
    return True


def has(host: Host, before: str) -> bool:
    """Say whether the slot that clients have left holds the release `before`, where this is an app host."""
    return not host.site.root.exists() or slots.holds(host, names.other(shift.state(host)["stable"])) == before


def knows_how() -> bool:
    """Say whether the code that provisioning left here knows of this: that which does a step may be a newer one's."""
    import zipfile  # few runs have stages, after which this is asked

    try:
        with zipfile.ZipFile(PYZ) as packed:
            return any(name.endswith(f"/{Path(__file__).name}") for name in packed.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def follows(host: Host, run: str) -> bool:
    """Say whether this host follows what becomes of a run that is live."""
    return host.site.follows.exists() and shift.state(host).get("stable_run", {}).get("run") == run


def step_back(host: Host, told: Mapping[str, Any]) -> bool:
    """Begin to go where a run (`by`, with its token) has brought what was live here; return whether that is elsewhere.

    From here on that run is pending on this host like any that was committed, and the guard brings it to its end. Who
    calls this holds the host's decision. A token below the highest that was seen here is no reason to stay: whoever
    came since has not moved this host, or its stable release would be of another run.
    """
    state = shift.state(host)
    slot, release = str(told["slot"]), str(told["release"])
    if state["phase"] != "stable" or slot == state["stable"]:
        return False
    seen = int(read_json(host.site.state / "token.json").get("token", 0))
    host.run_id, host.token = str(told["by"]), max(seen, int(told["token"]))
    host.admit()  # who drove before is refused from now on
    shift.begin(host, slot=slot, release=release, confirm_s=0, asks=state["stable_run"]["asks"])
    if slots.holds(host, slot) == release:
        try:
            slots.start(host, slot, release)  # it is warm, or nearly so
        except Failed as failed:  # the entries pass by a host that does not serve
            host.journal("start", "failed", release=release, reason=str(failed))
    return True
