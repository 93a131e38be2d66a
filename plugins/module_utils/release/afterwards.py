"""After the commit, as long as the old slot is warm: a release that turns bad is brought back, with nobody there.

A unit of its own on the arbiter judges by what clients get, as the watch before the commit did, and goes back as a
rollback does (bringing_back.py). Where there are several hosts, the others count for it (counting.py), and follow what
it has committed (following.py): docs/decisions/0021-verdict.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    bringing_back,
    commits,
    counting,
    following,
    lock,
    members,
    names,
    probe,
    sharing,
    shift,
    slots,
    systemd,
    verdict,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import (
    access,
    elsewhere,
    facts,
    gathering,
    limits,
    metrics,
    reading,
    seen,
    telling,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, now, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.module_utils.release.provision import PYZ

EVERY_S = 5.0
HEALTH = "the health of its processes"
Told = Mapping[str, Any]


def begin(host: Host, request: Told) -> float:
    """Have the arbiter watch what was settled; return for how many seconds, 0 where it cannot.

    `after` of the request holds log, salt, since (when everybody had it, in seconds since 1970) and limits; where there
    are several hosts, `back` (what would be gone back to: release and description) and `entries`, the others' addresses
    by name.
    """
    warm_s, seal = float(request["settings"]["warm_s"]), str(shift.state(host).get("stable_run", {}).get("seal", ""))
    if host.check or not warm_s or not following.knows_how() or not _may(host, request, seal):
        return 0.0
    moment, before = now(), slots.holds(host, names.other(str(request["slot"])))
    told = {"before": before, "boot": moment.boot, "until": moment.boottime + warm_s, "seal": seal}
    # What an earlier version put on the host reads `metrics`, and would take a counter for what it is at.
    declared = request["description"].get("metrics") or []
    plain, ratios = ([each for each in declared if metrics.is_ratio(each) == wanted] for wanted in (False, True))
    _start(host, request, **told, metrics=plain, ratios=ratios)
    host.journal("after", "started", release=str(request["release"]), slot=str(request["slot"]), for_s=warm_s)
    return warm_s


def _may(host: Host, request: Told, seal: str) -> bool:
    """Say whether there is something to go back to, and the others still follow.

    They do not where a guard came before this driver: it has told them that nothing changes any more.
    """
    if not seal:
        return bool(slots.holds(host, names.other(str(request["slot"]))))
    before = str(request["after"]["back"]["release"])
    return following.has(host, before) and commits.stands(host, host.run_id) == commits.WATCHED


def follow(host: Host, request: Told) -> bool:
    """Have another host than the arbiter follow what becomes of what was settled, and an entry count for it.

    `after` is as for the arbiter. Return whether it will.
    """
    will = following.begin(host, before=str(request["after"]["back"]["release"]))
    if will and "entry" in request["roles"]:
        _start(host, request, seal=str(shift.state(host)["stable_run"]["asks"]["seal"]))
    return will


def _start(host: Host, request: Told, **more: Any) -> None:
    """Write down what is to be watched, and begin: no other watch of this site goes on."""
    told = {key: request[key] for key in ("slot", "release", "roles", "entry", "settings", "after")}
    host.write_json(_file(host), {"format": 1, "run": host.run_id, **told, **more}, mode=0o600, secret=True)
    unit = f"ferryman-after:{host.site.name}:"
    systemd.stop_matching(host, f"{unit}*.service")
    started = ("systemd-run", "--quiet", "--collect", f"--unit={unit}{time.monotonic_ns()}")
    host.command(*started, "/usr/bin/python3", "-I", str(PYZ), "after", host.site.name)


def watch(site: str) -> None:
    """Watch the release that is live here until the one before it is cold, or something else has come in between."""
    host = Host(Site(site))
    told = read_json(_file(host))
    if "arbiter" not in told["roles"]:
        counting.count(host, told, every_s=EVERY_S)
        return
    try:
        _watch(host, told)
    finally:
        with deciding(host):
            if shift.state(host)["phase"] == "stable":  # else who ends that says so
                commits.stays(host)


def _watch(host: Host, told: Told) -> None:
    watched = Watched(told)
    while _goes_on(host, told):
        began = time.monotonic()
        try:
            if not shift.hidden(host) and _is_over(host, told, watched):  # else clients get the page
                return
        except Exception as error:  # noqa: BLE001 - a look came to nothing; the next one may see more, an ended watch none
            print(f"{host.site.name}: {error if isinstance(error, Failed) else repr(error)}", flush=True)
        time.sleep(max(0.0, began + EVERY_S - time.monotonic()))  # a look at what fails is shorter


def _is_over(host: Host, told: Told, watched: Watched) -> bool:
    """Look, and go back where that is the verdict; say whether there is nothing to watch any more."""
    evidence = watched.look(host)
    found = verdict.judge(evidence, watched.limits)
    if found.word != verdict.ROLLBACK:
        return False
    if not _is_served(host, told):
        return False
    record = {**telling.record(found, evidence), "at": round(evidence.now, 3)}
    return bringing_back.bring_back(Host(host.site), told, record, goes_on=_goes_on)


def _is_served(host: Host, told: Told) -> bool:
    """Say whether what would be gone back to is well."""
    slot = str(told["slot"])
    if not told["seal"]:
        return bool(sharing.old_is_well(host, names.other(slot)))
    return elsewhere.may_go_back(*_ways(host, slot))


def _goes_on(host: Host, told: Told) -> bool:
    last = _last_run(host) if told["seal"] else ""
    return goes_on(told, shift.state(host), now(), holds=slots.holds(host, names.other(str(told["slot"]))), last=last)


def _last_run(host: Host) -> str:
    """Return the run that the ledger tells of last."""
    return next((str(line["run"]) for line in reversed(arbiter.lines(host)) if line.get("status")), "")


def goes_on(told: Told, state: Told, moment: lock.Now, *, holds: str, last: str = "") -> bool:
    """Say whether what was begun to be watched is still live, and the slot before it `holds` what it did, and is warm.

    A deploy that came to nothing meanwhile leaves another release there: nobody goes back to that. Of several hosts
    the arbiter does not see the slots: there any run that has begun since, the `last` one of the ledger, ends it.
    """
    same = (state["phase"], state["stable"], state["release_stable"]) == ("stable", told["slot"], told["release"])
    same = same and (not told.get("seal") or last == told["run"])
    return same and holds == told["before"] and told["boot"] == moment.boot and moment.boottime < float(told["until"])


def _file(host: Host) -> Path:
    return host.site.state / "after.json"


class Watched:
    """What was seen of a release since everybody had it."""

    def __init__(self, told: Told) -> None:
        self.told, self.slot = told, str(told["slot"])
        self.limits = limits.read(told["after"]["limits"])
        self.log, self.since = Path(told["after"]["log"]), float(told["after"]["since"])
        self.metrics = [*told["metrics"], *told.get("ratios", [])]
        _, self.place = reading.beginning(self.log)  # what came in the watch before the commit counts, too
        self.seen = seen.Seen()
        self.others: dict[str, access.Tally] = {}

    def look(self, host: Host) -> facts.Evidence:
        """Look for a while, and return what is known by then."""
        wanted: dict[str, Any] = {"log": str(self.log), "salt": self.told["after"]["salt"], "stages": [self.since]}
        wanted.update(share=1.0, place=self.place, wait_s=EVERY_S, hang_s=self.limits.hang_s, overdue=True)
        wanted["replay"] = self.seen.replays(self.seen.now)
        request = {**self.told, "look": wanted, "description": {"metrics": self.metrics}}
        ways = _ways(host, self.slot)
        answer = sharing.seen(host, {**request, "away": elsewhere.away(*ways)})
        self.place = answer["place"]
        if self.told["seal"]:
            new, answer["old_probe"] = elsewhere.well(*ways)
        else:
            new = not probe.check(host, self.slot, kinds=("web",))
        self.seen.take(answer, new=self.slot, declared=self.metrics)
        self.seen.signals.append(seen.Asked(self.seen.now, HEALTH, (new, answer["old_probe"])))
        self._hear()
        return self._evidence()

    def _hear(self) -> None:
        """Take in what other entries have counted; of who does not answer, what was heard last still counts."""
        known = {"run": str(self.told["run"]), "seal": str(self.told["seal"])}
        for name, address in (self.told["after"].get("entries") or {}).items():
            told = elsewhere.ask(self.told["entry"], address=str(address), **known)
            if told is not None:
                self.others[name] = told

    def _evidence(self) -> facts.Evidence:
        entries, at = [self.seen], self.seen.now
        whole = access.merged_tally([self.seen.tally, *self.others.values()])
        return facts.Evidence(
            now=at,
            since=self.since,
            until=at,
            share=1.0,
            minutes=gathering.minutes(whole, new=self.slot, since=self.since, now=at),
            waiting=seen.waiting(entries, began=self.since, now=at, hang_s=self.limits.hang_s),
            signals=seen.signals(entries, now=at, declared=self.metrics),
            old_probes=seen.old_probes(entries, now=at),
            replayed=seen.replayed(entries, now=at),
        )


def _ways(host: Host, slot: str) -> tuple[elsewhere.Ways, elsewhere.Ways]:
    """Ask the app hosts for the release in `slot` and for the one in the other; of one host there is nobody to ask."""
    new, old = (
        {way.removeprefix(members.WAY): answer for way, answer in members.ways(host, each).items()}
        for each in (slot, names.other(slot))
    )
    return new, old
