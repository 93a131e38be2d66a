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
    # Not by their names: a clock may have been set.
    for old in sorted(place.glob("[0-9]*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink()


def ask(asks: Mapping[str, Any], run: str) -> str:
    """Ask the arbiter how a run ended: `live`, `returned`, or nothing where it is not known (yet), or nobody answers.

    `asks` holds address, port, domain and seal.
    """
    with suppress(OSError, ValueError, http.client.HTTPException, KeyError, TypeError, AttributeError):
        entry = {"domain": asks["domain"], "port": asks["port"]}
        status, _, text = shift.get(entry, f"{PATH}{run}", address=str(asks["address"]), timeout_s=TIMEOUT_S)
        end = str(json.loads(text).get("end")) if status == 200 else ""
        if end in ENDS and json.loads(text).get("proof") == proof(str(asks["seal"]), run, end):
            return end
    return ""
