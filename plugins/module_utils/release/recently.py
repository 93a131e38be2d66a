"""What clients of the live release got lately, at one entry: for a person who asks whether to go back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, sharing, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host

PROBES = 3
"""How often the old slot is asked, where it is still warm: fewer answers say nothing of it."""
PAUSE_S = 0.3


def recent(host: Host, request: Mapping[str, Any], _: IO[bytes]) -> dict[str, Any]:
    """Answer what the log says of the last `for_s` seconds, as far as it reaches, and how the old slot is.

    `recent` of the request holds log, salt, for_s and hang_s. Refused while a release is in its stages.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, reading

    told, state = request["recent"], shift.state(host)
    if state["phase"] != "stable":
        raise Failed("clients are being moved to another release now", hint="`status` says to which", refused=True)
    now, log, slot = time.time(), Path(told["log"]), str(state["stable"])
    reader = access.Reader(bytes.fromhex(told["salt"]), [now - float(told["for_s"])], float(told["hang_s"]))
    place, back = reading.beginning(log)
    reading.read(log, back, reader.count, until=place)
    first = min((minute for minute, _ in reader.tally.minutes), default=now)
    well = list(_old(host, names.other(slot)))
    since = max(now - float(told["for_s"]), float(first))
    told_of = {"at": now, "since": since, "slot": slot, "release": state["release_stable"]}
    return {"recent": {**told_of, "tally": access.told(reader.tally), "old_probes": [sum(well), len(well)]}}


def _old(host: Host, slot: str) -> Iterator[bool]:
    """Ask the slot that was left, as long as it is warm."""
    for number in range(PROBES):
        time.sleep(PAUSE_S * bool(number))
        well = sharing.old_is_well(host, slot)
        if well is None:
            return
        yield well
