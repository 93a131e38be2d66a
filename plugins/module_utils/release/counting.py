"""An entry of a fleet counts what its clients get of a live release, for the arbiter, who alone judges by all entries.

Where it ends, or is cut off, the arbiter knows less, and nobody is judged by that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import following
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, elsewhere, limits, reading
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import MINUTE_S
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host


def count(host: Host, told: Mapping[str, Any], *, every_s: float) -> None:
    """Count, and tell it, for as long as this host follows what becomes of the run.

    `told` is what was written down of the watch (afterwards.follow).
    """
    known, after = {"run": str(told["run"]), "seal": str(told["seal"])}, told["after"]
    most, log, since = limits.read(after["limits"]), Path(after["log"]), float(after["since"])
    reader = access.Reader(bytes.fromhex(after["salt"]), [since], most.hang_s)
    _, place = reading.beginning(log)
    try:
        while following.follows(host, known["run"]):
            place = reading.read(log, place, reader.count)
            lately = max(since, time.time() - most.errors_back_s - 2 * MINUTE_S)  # two are under way, there and here
            elsewhere.tell(host, tally=elsewhere.short(reader.tally, since=lately, least=most.least_failing), **known)
            time.sleep(every_s)
    finally:
        elsewhere.forget(host, **known)
