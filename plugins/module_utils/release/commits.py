"""How the hosts of a fleet learn how a run ended whose driver is gone: they ask the arbiter, and never guess.

The arbiter's entry serves a small file for each run: `open` while it may still be committed, then `live` or `returned`.
A run that is live may be `watched`: as long as that is said, it may still be brought back (decision 21). Who asks knows
the answer to be the arbiter's by the seal, a number that the driver gave to the run's hosts alone; so no host need know
an authority for the entry's certificate.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release import shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json

PATH = "/.well-known/ferryman/run/"
ENDS = ("live", "returned")
PAST = "past"
"""How a run stands that was live, when another one is: who was away since then hears it."""
WATCHED = "watched"
"""How a run stands that is live, while it may still be brought back."""
BACK = "back"
"""How a run stands that was live until another one brought it back; beside it stands which (by), to what, its token."""
KEPT = 20
TIMEOUT_S = 2.0
BEGUN_S = 10.0
"""By when the arbiter has begun what all hosts begin at once."""
BEGUN_EVERY_S = 0.05


def proof(seal: str, run: str, end: str, told: Mapping[str, Any] | None = None) -> str:
    """Return what only a host of this run can say of its end, and of what is told beside it."""
    more = [json.dumps(told, sort_keys=True)] if told else []
    return hashlib.sha256(" ".join([seal, run, end, *more]).encode()).hexdigest()


def tell(host: Host, *, run: str, seal: str, end: str, told: Mapping[str, Any] | None = None) -> None:
    """Have the entry say how a run stands, to whoever asks; where the run has no other hosts, nobody does."""
    if not seal or host.check:
        return
    place = host.site.state / "runs"
    more = {"told": dict(told)} if told else {}
    host.write_json(place / run, {"format": 1, "run": run, "end": end, **more, "proof": proof(seal, run, end, told)})
    live = shift.state(host).get("stable_run", {}).get("run")  # is asked for after each boot
    # Not by their names: a clock may have been set.
    for old in sorted(place.glob("[0-9]*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        if old.name != live:
            old.unlink()


def overtake(host: Host) -> None:
    """Have the arbiter's entry say of the run that was live so far that it is no longer, once another one is.

    Of the run that it had brought back, too: who was away since before that has nothing to go back to any more.
    """
    state = shift.state(host)
    was = state.get("stable_run", {})
    if not was or was["run"] == host.run_id:
        return
    seal = str(was.get("seal", ""))
    if state.get("undoes") == was["run"]:
        to = {"slot": state["candidate"], "release": state["release_candidate"]}
        tell(host, run=str(was["run"]), seal=seal, end=BACK, told={"by": host.run_id, "token": host.token, **to})
        return
    for run in filter(None, [was["run"], was.get("undoes")]):
        tell(host, run=str(run), seal=seal, end=PAST)


def stays(host: Host) -> None:
    """Have the arbiter's entry say that the run which is live is not watched any more, where it is none of others."""
    was = shift.state(host).get("stable_run", {})
    if stands(host, str(was.get("run", ""))) == WATCHED:
        tell(host, run=str(was["run"]), seal=str(was.get("seal", "")), end="live")


def stands(host: Host, run: str) -> str:
    """Return what this entry says of a run; nothing where it has nothing to say."""
    return str(read_json(host.site.state / "runs" / run).get("end", "")) if run else ""


def await_begun(host: Host, asks: Mapping[str, Any]) -> None:
    """Wait until the arbiter has begun the run's shift, before this host does: else nobody would end it for this host.

    Its driver may be gone already. Where the arbiter is not reached from here that cannot be known, and clients are
    served all the same: the host goes on. Where the arbiter was without power it ends the run when it is there again
    (arbiter.promise). If it was cut off alone, and the driver dies before it has begun, this host is in doubt until the
    next command. Failed where the arbiter does not begin.
    """
    until = time.monotonic() + BEGUN_S
    while not host.check:
        found = heard(asks, host.run_id)
        if found is None or found.get("end") == "open":
            return
        if found:
            raise Failed(
                "the host that keeps the lock has ended this run: it was started again, or its driver was away",
                hint="`deploy` begins again",
            )
        if time.monotonic() > until:
            raise Failed(
                f"the host that keeps the lock has not begun within {BEGUN_S:.0f} s: the driver may be gone",
                hint="`deploy` begins again",
            )
        time.sleep(BEGUN_EVERY_S)


def answer(asks: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Ask the arbiter how a run stands; return `end`, with what is told beside it.

    Empty where nobody answers, or not as the arbiter does. `asks` holds address, port, domain and seal.
    """
    return heard(asks, run) or {}


def heard(asks: Mapping[str, Any], run: str) -> Optional[dict[str, Any]]:
    """Ask as `answer`; None where nobody answers at all, and empty where that one does not know the run."""
    try:
        entry = {"domain": asks["domain"], "port": asks["port"]}
        status, _, text = shift.get(entry, f"{PATH}{run}", address=str(asks["address"]), timeout_s=TIMEOUT_S)
    except (OSError, KeyError, ValueError):
        return None
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        said = json.loads(text) if status == 200 else {}
        end, told = str(said["end"]), dict(said.get("told") or {})
        if said["proof"] == proof(str(asks["seal"]), run, end, told):
            return {**told, "end": end}
    return {}


def ask(asks: Mapping[str, Any], run: str) -> str:
    """Ask the arbiter how a run ended: `live`, `returned`, `past`, or nothing where that is not known (yet)."""
    end = str(answer(asks, run).get("end", ""))
    if end == WATCHED:
        return "live"
    return end if end in (*ENDS, PAST) else ""
