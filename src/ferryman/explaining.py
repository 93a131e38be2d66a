"""What people read of a deploy or a rollback that failed: cause, evidence, what it means for clients, what to type."""

import re
from collections.abc import Mapping
from typing import Any

from ferryman import paths, telling

RAN = ("start", "switch", "workers")
"""Steps in which a release's own processes run: what they wrote tells more than the ledger."""
UNIT = re.compile(r"-([a-z0-9]+)@(?:blue|green)-\d+\b")


def explain(said: Mapping[str, Any]) -> str:
    """Return what people read of a failure: the cause first, then the evidence, then what that means for clients."""
    still, again = "the release that served before still serves", "the release that served before serves again"
    if not said.get("serves"):
        still = again = "nothing serves yet"
    means = {
        "refused": "The hosts were provisioned for it, and stay so; of the release nothing was touched."
        if said.get("provisioned")
        else "Nothing was touched.",
        "failed": f"Clients were never sent to it; {still}.",
        "returned": f"Clients were sent back; {again}.",
        "unknown": "It is not known how far it came: `status` asks the hosts.",
    }
    if said.get("guarded_s"):
        means["unknown"] = (
            f"The hosts end it: a switch that nobody confirms is undone by them within {said['guarded_s']:g} s, "
            f"and the lock is free after {said['lease_s']:g} s."
        )
    means["live"] = "It is committed, and nothing is taken back."
    means = means | {"failed": "Another run has the site now."} if said.get("overtaken") else means
    reason, host = str(said["reason"]), str(said.get("host") or "")
    if said.get("several") and host and host not in reason and not said.get("canary"):  # a verdict is no one host's
        reason = f"{host}: {reason}"
    ended = {"live": "is live, and not well", "unknown": "may have gone either way"}.get(said["status"], said["status"])
    return "\n".join(
        [
            f"{said['command']} to {said['environment']} {ended}: {reason}",
            *(f"  | {line}" for line in said["evidence"]),
            *(f"({line})" for line in telling.waited(said)),
            *telling.reported(said),
            *([f"The way back failed, too: {said['reason_return']}"] if said.get("reason_return") else []),
            means[said["status"]],
            *(["The database that served before is in its place again."] if said.get("undone") else []),
        ]
    )


def next_command(said: Mapping[str, Any]) -> str:
    """Return what to type next; nothing where the reason itself says what to do."""
    if said["status"] == "refused":
        return ""
    what = f"release.why {said['release']}" if said.get("canary") else "releases"
    what = "status" if said["status"] in ("unknown", "live") else what
    if said.get("step") in RAN and said["status"] != "unknown" and not said.get("overtaken"):
        process = UNIT.search("\n".join([str(said["reason"]), *said["evidence"]]))
        what = f"logs --release {said['release']}" + (f" --process {process[1]}" if process else "")
    return paths.command(what, said["environment"], said["app"])
