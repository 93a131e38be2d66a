"""How the hosts of a fleet learn how a run ended whose driver is gone: they ask the arbiter, and never guess.

The arbiter's entry serves a small file for each run: `open` while it may still be committed, then `live` or `returned`.
Who asks knows the answer to be the arbiter's by the seal, a number that the driver gave to the run's hosts alone; so
no host need know an authority for the entry's certificate.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host

PATH = "/.well-known/ferryman/run/"
ENDS = ("live", "returned")
PAST = "past"
"""How a run stands that was live, when another one is: who was away since then hears it."""
KEPT = 20
TIMEOUT_S = 2.0


def proof(seal: str, run: str, end: str) -> str:
    """Return what only a host of this run can say of its end."""
    return hashlib.sha256(f"{seal} {run} {end}".encode()).hexdigest()


def tell(host: Host, *, run: str, seal: str, end: str) -> None:
    """Have the entry say how a run stands, to whoever asks; where the run has no other hosts, nobody does."""
    if not seal or host.check:
        return
    place = host.site.state / "runs"
    host.write_json(place / run, {"format": 1, "run": run, "end": end, "proof": proof(seal, run, end)})
    live = shift.state(host).get("stable_run", {}).get("run")  # is asked for after each boot
    # Not by their names: a clock may have been set.
    for old in sorted(place.glob("[0-9]*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        if old.name != live:
            old.unlink()


def overtake(host: Host) -> None:
    """Have the arbiter's entry say of the run that was live so far that it is no longer, once another one is."""
    was = shift.state(host).get("stable_run", {})
    if was and was["run"] != host.run_id:
        tell(host, run=str(was["run"]), seal=str(was.get("seal", "")), end=PAST)


def ask(asks: Mapping[str, Any], run: str) -> str:
    """Ask the arbiter how a run stands: `live`, `returned`, `past`, or nothing where that is not known (yet).

    Nor is it where nobody answers.

    `asks` holds address, port, domain and seal.
    """
    with suppress(OSError, ValueError, http.client.HTTPException, KeyError, TypeError, AttributeError):
        entry = {"domain": asks["domain"], "port": asks["port"]}
        status, _, text = shift.get(entry, f"{PATH}{run}", address=str(asks["address"]), timeout_s=TIMEOUT_S)
        end = str(json.loads(text).get("end")) if status == 200 else ""
        if end in (*ENDS, PAST) and json.loads(text).get("proof") == proof(str(asks["seal"]), run, end):
            return end
    return ""
