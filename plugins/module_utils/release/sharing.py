"""What an entry does while a new release gets a growing share of its clients: gives it one, looks, draws back.

The driver goes through the stages and judges (plugin_utils/release/canary.py), since it alone hears of all entries; an
entry counts. Each look gives the shift time until the next one: without a driver the guard has everyone back soon.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    commits,
    fencing,
    guard,
    members,
    names,
    probe,
    settling,
    shift,
    slots,
    stages,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import (
    Failed,
    Host,
    Interrupted,
    Unwell,
    deciding,
    now,
    read_json,
)

POLL_S = 0.25
LEAST_S = 1.0
"""A look that has something to say ends after so long: what fails often is told once a second."""
FLIGHT_S = 1.0
KNOWN_S = 600.0
"""Who kept failing for so long before the first client is moved fails anyway."""
Request = Mapping[str, Any]
Answer = dict[str, Any]


def begin(host: Host, request: Request) -> None:
    """Begin the shift: from here on the guard watches over it."""
    if request.get("asks"):
        commits.await_begun(host, request["asks"])
    with deciding(host):
        settling.require_exchange(host, request)
        if "arbiter" in request["roles"] and not (host.check or arbiter.begun(host)):
            raise Failed("the run has ended here meanwhile", hint="`status` says how; `deploy` begins again")
        shift.begin(
            host,
            slot=request["slot"],
            release=request["release"],
            confirm_s=request["settings"]["confirm_s"],
            asks=request.get("asks"),
            seal=str(request.get("seal", "")),
            patience_s=float(request.get("patience_s", 0)),
            mends=fencing.take_part(host, request.get("takes_part", [])),
            undoes=str(request.get("undoes", "")),
        )
        if "arbiter" in request["roles"]:  # before anybody else can tell its end
            commits.tell(host, run=host.run_id, seal=str(request.get("seal", "")), end="open")
    if "entry" in request["roles"] and request.get("members"):
        members.keep(host, request["members"])


def require_pending(host: Host, *, in_time: bool = True) -> None:
    """Fail where the shift that this run began was undone meanwhile, or may no longer be confirmed (`in_time`)."""
    if not settling.still_shifting(host) or (in_time and guard.overdue(host)):
        raise Failed(
            "the driver was away for too long, and the guard has sent the clients back",
            hint="`deploy` begins again",
        )


def share(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Give the new release a share of the clients; answer when, where the log stands then, and who kept failing before.

    `share` of the request holds percent, for_s, log, salt, place (none before the first share), baseline (whether as
    many get that) and ends, the share that is over with its verdict.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, reading

    told, slot = request["share"], request["slot"]
    percent, log = int(told["percent"]), Path(told["log"])
    since = _alike_since(host)  # before the shift begins, which has another past
    if "place" not in told:
        begin(host, request)
        host.write_json(host.site.state / "operator.json", {"format": 1, "run": host.run_id, "word": ""})
    with deciding(host):
        require_pending(host)
        settling.extend(host, by_s=request["settings"]["confirm_s"])
    end(host, request, told.get("ends"))
    answer: Answer = {"began": time.time(), "place": told.get("place")}
    if answer["place"] is None:
        answer["place"], back = reading.beginning(log)
        before = access.Before(bytes.fromhex(told["salt"]), since, answer["began"], float(told["hang_s"]))
        reading.read(log, back, before.count, until=answer["place"])
        answer["before"] = access.told(before.kept_failing())
    beside = stages.baseline_of(slot, percent) if told.get("baseline") else shift.NOBODY
    shift.set_share(host, stages.share_of(slot, percent), baseline=beside)
    shift.read_back(host, request["entry"], stages.expected(slot, percent, baseline=beside))
    host.journal("share", "started", release=request["release"], slot=slot, percent=percent, for_s=told["for_s"])
    return answer


def _alike_since(host: Host) -> float:
    """Return from when on all clients had one release, in seconds since 1970, but not longer ago than KNOWN_S.

    Who failed while some had another one failed by the same draw that is judged by now.
    """
    left, moment = shift.state(host).get("left") or {}, now()
    ago = moment.boottime - float(left["at"]) if left.get("boot") == moment.boot else KNOWN_S
    return time.time() - min(ago, KNOWN_S)


def end(host: Host, request: Request, ends: Optional[Mapping[str, Any]]) -> None:
    """Write down that a share is over, with the verdict that ended it."""
    if ends:
        told = {"percent": ends["percent"], "verdict": ends["verdict"]}
        host.journal("share", "done", release=request["release"], slot=request["slot"], **told)


def look(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Watch for up to `wait_s`, until something speaks against the new release; answer what clients got meanwhile.

    `look` of the request holds place, salt, stages (when they began), hang_s, warm_until (from when on latency counts),
    wait_s, log, share (0 to 1), baseline, overdue, turn (how often the steps under verify were asked already), and
    replay (whether what fails is asked of both once more).
    Where nothing was seen, or it is overdue, the application's own steps under verify are asked of both releases, for
    which there is `verify`, and its metrics are read.
    Who finds the release unwell here, or is asked to stop, sends the clients back first; `drawn_back_at` of the failed
    answer says when.
    """
    from ansible_collections.ferryman.ops.plugins.module_utils.release import asking  # few runs have stages

    slot = request["slot"]
    with deciding(host):
        require_pending(host)
        lasts = float(request["look"]["wait_s"]) + asking.takes_s(request)
        settling.extend(host, by_s=lasts + request["settings"]["confirm_s"])
    try:
        found = seen(host, request, always=partial(_require_well, host, slot) if "app" in request["roles"] else None)
        host.heed()  # what it asks the application takes a while, too
        return found
    except Interrupted as interrupted:
        # The way back begins once all hosts have ended: clients need not wait for that.
        with suppress(Failed):  # the guard was there before
            interrupted.facts["drawn_back_at"] = _draw_back(host, slot)
        raise


def seen(host: Host, request: Request, *, always: Optional[Callable[[], None]] = None) -> Answer:
    """Return what a look sees, whether or not a shift is pending; `always` is done each time that the log is read."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import asking
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, reading, replay

    told, slot = request["look"], request["slot"]
    failed = replay.Failed(slot, float(told["hang_s"]))
    old, rest = (names.BASELINE, names.other(slot)) if told.get("baseline") else (names.other(slot), "")
    salt, warm_until = bytes.fromhex(told["salt"]), float(told.get("warm_until", 0.0))
    reader = access.Reader(salt, told["stages"], float(told["hang_s"]), apart=rest, warm_until=warm_until)
    flight = Flight(host, (slot, old), float(told["hang_s"]))
    place, began, percent = told["place"], time.monotonic(), round(float(told["share"]) * 100)

    def count(block: bytes) -> None:
        reader.count(block)
        if told.get("replay"):
            failed.count(block)

    while True:
        if always:
            always()
        place = reading.read(Path(told["log"]), place, count)
        word, lasted = _word(host), time.monotonic() - began
        heard = word is not None and stages.is_for(word, began=float(told["stages"][-1]), percent=percent)
        against = heard or flight.hanging(lasted) or _failing(reader.tally.firsts, slot)
        if lasted >= float(told["wait_s"]) or (against and lasted >= LEAST_S):
            break
        host.wait(POLL_S)
    answer: Answer = {"at": time.time(), "place": place, "tally": access.told(reader.tally), "word": word}
    answer["waiting"] = flight.seen
    answer.update(asking.both(host, request, (slot, old)) if not against or told.get("overdue") else {})
    if float(told["share"]) >= 1:
        answer["old_probe"] = old_is_well(host, names.other(slot))
        if failed.paths and not heard:
            answer["replayed"] = asking.once_more(host, request, (slot, old), failed.drawn())
    return answer


def _require_well(host: Host, slot: str) -> None:
    try:
        probe.require_well(host, slot)
    except Unwell as unwell:
        unwell.facts["drawn_back_at"] = _draw_back(host, slot)
        raise


def _failing(firsts: Mapping[tuple[str, str], tuple[float, float, str]], slot: str) -> bool:
    return any(kind.startswith("failing ") and first[2] == slot for (kind, _), first in firsts.items())


class Flight:
    """How many requests hang, of the new release and of the old one; None where the host can't say."""

    def __init__(self, host: Host, arms: Sequence[str], hang_s: float) -> None:
        from ansible_collections.ferryman.ops.plugins.module_utils.release import asking

        self.host, self.hang_s, self.next_s = host, hang_s, 0.0
        self.ports = tuple({*asking.listens(host, each)} for each in arms)
        self.seen: Optional[list[int]] = [0, 0]

    def hanging(self, at_s: float) -> bool:
        """Look again where it is time to; say whether some requests to the new release hang."""
        from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import flight

        if self.seen is not None and at_s >= self.next_s:
            self.next_s = at_s + FLIGHT_S
            try:
                told = self.host.command(*flight.COMMAND)
                self.seen = [flight.waiting(told, ports, since_s=self.hang_s) for ports in self.ports]
            except Failed:  # a host without iproute2
                self.seen = None
        return bool(self.seen and self.seen[0])


def old_is_well(host: Host, slot: str) -> Optional[bool]:
    """Ask the old slot, which gets no clients any more; None where it does not run."""
    if ways := members.ways(host, slot):
        return all(answer["good"] for answer in ways.values())
    webs = [i for i in slots.instances(host, slot, slots.record(host, slot)) if i.port]
    return all(probe.answer(host, web)[0] for web in webs) if webs else None


def _word(host: Host) -> Optional[dict[str, Any]]:
    told = read_json(host.site.state / "operator.json")
    return told if told.get("run") == host.run_id and told["word"] else None


def draw_back(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Send everyone to the stable slot at once, and say why; what else the way back needs comes after it."""
    verdict, slot = request["verdict"], request["slot"]
    _draw_back(host, slot)
    said = f"at {verdict['share'] * 100:g} % of the clients: {verdict['sentence']}"
    raise Unwell(said, evidence=shift.app_logs(host, slot) if "app" in request["roles"] else [])


def _draw_back(host: Host, slot: str) -> float:
    """Return when everyone was sent back, in seconds since 1970."""
    with deciding(host):
        require_pending(host, in_time=False)  # nobody goes back too late
        shift.draw_back(host)
    at = round(time.time(), 3)
    host.journal("draw_back", "done", slot=slot, at_s=at)
    return at


def say(host: Host, request: Request, _: IO[bytes]) -> Answer:
    """Leave a person's word for the run that is under way: it goes on with its next stage, or back.

    To go on is refused where it is meant for a share (`word_share`, 0 for whichever it is) that is over by now. It is
    left with the word, too: the next stage may begin at this moment.
    """
    if "entry" not in request["roles"]:
        return {}
    state, word = shift.state(host), str(request["word"])
    before = read_json(host.site.state / "operator.json")
    if state["phase"] != "shifting" or state["run"] != before.get("run"):  # who moves everyone at once hears nobody
        raise Failed("no release gets its clients in stages now", hint="`status` says what is served", refused=True)
    if before["word"] == "abort" and word == "promote":
        raise Failed(f"{before['who']} has said to go back", hint="`release.why` says what became of it", refused=True)
    told = {"format": 1, "run": state["run"], "word": word, "who": request["who"], "at": time.time()}
    if word == "promote" and (meant := int(request.get("word_share", 0))):
        _require_share(host, state, meant)
        told["percent"] = meant
    host.write_json(host.site.state / "operator.json", told)
    host.journal("word", "done", release=str(state["release_candidate"]), word=word, who=request["who"])
    return {"said": {"release": state["release_candidate"], "word": word}}


def _require_share(host: Host, state: Mapping[str, Any], meant: int) -> None:
    present = stages.share_of(str(state["candidate"]), shift.share(host))  # it is its own inverse
    if present != meant:
        said = f"that was meant for the stage with {meant} % of the clients, and {present} % have the release now"
        hint = "see how it does there; without --share `release.promote` is for the stage that goes on now"
        raise Failed(said, hint=hint, refused=True)
