"""What clients of the live release got lately, at one entry: for a person who asks whether to go back."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, sharing, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now

if TYPE_CHECKING:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.lock import Now

PAUSE_S = 1.0
"""Between two times that the application is asked: what is bad for less is a hiccup."""
EPOCH, TOOK = (re.compile(rb'"%s":\s*"?(\d+\.?\d*)' % name) for name in (b"epoch", b"request_s"))
Request = Mapping[str, Any]
Told = Mapping[str, Any]


def recent(host: Host, request: Request, _: IO[bytes]) -> dict[str, Any]:
    """Answer what the live release's clients got in the last `for_s` seconds, as looks that canary.seen takes in.

    `recent` of the request holds log, salt, for_s and hang_s; `beside` is the release in the other slot, where that is
    what one would go back to; `description` and `verify` say what the application is asked. Of the answer, `since` is
    from when on requests are counted: for no longer than this release serves everyone, and than the log says; `metrics`
    are those that were asked for. Refused while a release is in its stages.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, seen

    told, state = request["recent"], shift.state(host)
    if state["phase"] != "stable":
        raise Failed("clients are being moved to another release now", hint="`status` says to which", refused=True)
    slot, empty = str(state["stable"]), access.told(access.Tally())
    looks = [{"tally": empty, **each} for each in _asked(host, request, state)]
    at, moment = time.time(), now()
    since = max(at - float(told["for_s"]), serves_since(state, moment, at))
    window = Window(told, since=since, lately=at - float(told["hang_s"]) - seen.ANSWERED_S)
    window.read(Path(told["log"]))
    before = {"at": window.lately, "waiting": [0, 0], "tally": access.told(window.before.tally)}
    looks[-1].update(at=at, tally=access.told(window.after.tally))
    answer = {"at": at, "since": max(since, window.reaches or since), "looks": [before, *looks]}
    answer.update(slot=slot, release=state["release_stable"], metrics=request["description"].get("metrics") or [])
    return {"recent": answer}


def serves_since(state: Told, moment: Now, at: float) -> float:
    """Return from when on everybody has had the stable release, in seconds since 1970; 0 where that is not known.

    `at` is the time of day at `moment`. Of a run that came to nothing, that is when its clients came back. What a clock
    wrote down that has been set back since says nothing.
    """
    left, known = state.get("left") or {}, [0.0]
    with suppress(KeyError, TypeError, ValueError):
        known.append(float(timegm(time.strptime(state["since"], "%Y-%m-%dT%H:%M:%SZ"))))
    if left.get("boot") == moment.boot:
        known.append(at - moment.boottime + float(left["at"]))
    return max(each for each in known if each <= at)


def is_warm(state: Told, moment: Now, *, warm_s: float) -> bool:
    """Say whether the slot that clients left still runs: one that is cold does not answer, and is not ill."""
    left = state.get("left") or {}
    there = (left.get("slot"), left.get("boot")) == (names.other(str(state["stable"])), moment.boot)
    return there and moment.boottime < float(left["at"]) + warm_s


def _asked(host: Host, request: Request, state: Told) -> Iterator[dict[str, Any]]:
    """Yield what both releases say as often as a look's signals want: the old one where it is warm.

    Behind a maintenance page the application may be at rest, and is not asked.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils.release import asking
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import seen

    settings, slot = request["settings"], str(state["stable"])
    warm = is_warm(state, now(), warm_s=max(settings["warm_s"], settings["drain_s"]))
    old = names.other(slot) if warm and request.get("beside") else ""
    for number in range(seen.PROBES):
        time.sleep(PAUSE_S * bool(number))
        flight = sharing.Flight(host, (slot, old), float(request["recent"]["hang_s"]))
        flight.hanging(0.0)
        told = {} if shift.hidden(host) else asking.both(host, {**request, "look": {"turn": number}}, (slot, old))
        well = sharing.old_is_well(host, old) if old else None
        yield {"at": time.time(), "waiting": flight.seen, "old_probe": well, **told}


class Window:
    """Counts the requests of a log that began after a moment: those that ended `before` `lately`, and those `after`.

    `reaches` is the time of the first line that was read; None where there was none.
    """

    def __init__(self, told: Told, *, since: float, lately: float) -> None:
        from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access

        self.since, self.lately = since, lately
        self.before, self.after = (
            access.Reader(bytes.fromhex(told["salt"]), [since], float(told["hang_s"])) for _ in range(2)
        )
        self.reaches: Optional[float] = None

    def read(self, log: Path) -> None:
        """Read a log as far back as it is looked into (canary.reading.BEFORE)."""
        from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import reading

        place, back = reading.beginning(log)
        reading.read(log, back, self.count, until=place)

    def count(self, block: bytes) -> None:
        """Count a block of whole lines; one without the time of its request is no line of this log."""
        lines: tuple[list[bytes], list[bytes]] = ([], [])
        for line in block.split(b"\n"):
            epoch, took = EPOCH.search(line), TOOK.search(line)
            if not (epoch and took):
                continue
            ended = float(epoch[1])
            self.reaches = ended if self.reaches is None else min(self.reaches, ended)
            if ended - float(took[1]) >= self.since:
                lines[ended > self.lately].append(line + b"\n")
        for reader, each in zip((self.before, self.after), lines):
            reader.count(b"".join(each))
