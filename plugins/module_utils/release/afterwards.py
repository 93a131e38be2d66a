"""After the commit, as long as the old slot is warm: a release that turns bad is brought back, with nobody there.

A unit of its own on the host judges by what clients get, as the watch before the commit did, and goes back as a
rollback does: with the lock, a run of its own, and all its steps. So it is on a host that is entry, application host
and arbiter; where there are several, none has the others do something (docs/decisions/0022-fleet.md).
"""

from __future__ import annotations

import io
import secrets
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    ledger,
    lock,
    names,
    probe,
    sharing,
    shift,
    slots,
    verdict,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import (
    facts,
    gathering,
    limits,
    metrics,
    reading,
    seen,
    telling,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.module_utils.release.provision import PYZ

EVERY_S = 5.0
LEASE_S = 30.0
OWNER = "guard"
STEPS = ("start", "switch", "workers", "commit", "settle")
"""Those of a rollback on one host."""
HEALTH = "the health of its processes"
Told = Mapping[str, Any]


def begin(host: Host, request: Told) -> float:
    """Have the host watch what was settled; return for how many seconds, 0 where it cannot.

    `after` of the request holds log, salt, since (when everybody had it, in seconds since 1970) and limits.
    """
    warm_s, before = float(request["settings"]["warm_s"]), slots.holds(host, names.other(str(request["slot"])))
    if host.check or not warm_s or not before or not _knows_how():
        return 0.0
    moment = now()
    told = {key: request[key] for key in ("slot", "release", "roles", "entry", "settings", "after")}
    ends = {"before": before, "boot": moment.boot, "until": moment.boottime + warm_s}
    host.write_json(_file(host), {"format": 1, **told, **ends}, mode=0o600)
    unit = f"ferryman-after:{host.site.name}:"
    host.systemctl("stop", f"{unit}*.service")
    started = ("systemd-run", "--quiet", "--collect", f"--unit={unit}{time.monotonic_ns()}")
    host.command(*started, "/usr/bin/python3", "-I", str(PYZ), "after", host.site.name)
    host.journal("after", "started", release=str(request["release"]), slot=str(request["slot"]), for_s=warm_s)
    return warm_s


def _knows_how() -> bool:
    """Say whether the code that provisioning left here knows of this: that which does the step may be a newer one's."""
    try:
        with zipfile.ZipFile(PYZ) as packed:
            return any(name.endswith(f"/{Path(__file__).name}") for name in packed.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def watch(site: str) -> None:
    """Watch the release that is live here until the one before it is cold, or something else has come in between."""
    host = Host(Site(site))
    told = read_json(_file(host))
    watched = Watched(host, told)
    while _goes_on(host, told):
        began = time.monotonic()
        try:
            if not shift.hidden(host) and _is_over(host, told, watched):  # else clients get the page
                return
        except Failed as failed:  # a look that came to nothing: the next one may see more
            print(f"{site}: {failed}", flush=True)
        time.sleep(max(0.0, began + EVERY_S - time.monotonic()))  # a look at what fails is shorter


def _is_over(host: Host, told: Told, watched: Watched) -> bool:
    """Look, and go back where that is the verdict; say whether there is nothing to watch any more."""
    evidence = watched.look(host)
    found = verdict.judge(evidence, watched.limits)
    if found.word != verdict.ROLLBACK:
        return False
    return _back(Host(host.site), told, {**telling.record(found, evidence), "at": round(evidence.now, 3)})


def _goes_on(host: Host, told: Told) -> bool:
    return goes_on(told, shift.state(host), now(), holds=slots.holds(host, names.other(str(told["slot"]))))


def goes_on(told: Told, state: Told, moment: lock.Now, *, holds: str) -> bool:
    """Say whether what was begun to be watched is still live, and the slot before it `holds` what it did, and is warm.

    A deploy that came to nothing meanwhile leaves another release there: nobody goes back to that.
    """
    same = (state["phase"], state["stable"], state["release_stable"]) == ("stable", told["slot"], told["release"])
    return same and holds == told["before"] and told["boot"] == moment.boot and moment.boottime < float(told["until"])


def _file(host: Host) -> Path:
    return host.site.state / "after.json"


class Watched:
    """What was seen of a release since everybody had it."""

    def __init__(self, host: Host, told: Told) -> None:
        self.told, self.slot = told, str(told["slot"])
        self.limits = limits.read(told["after"]["limits"])
        self.log, self.since = Path(told["after"]["log"]), float(told["after"]["since"])
        described = slots.record(host, self.slot)["manifest"]["description"]
        self.metrics = described.get("metrics") or []
        _, self.place = reading.beginning(self.log)  # what came in the watch before the commit counts, too
        self.seen = seen.Seen()

    def look(self, host: Host) -> facts.Evidence:
        """Look for a while, and return what is known by then."""
        wanted: dict[str, Any] = {"log": str(self.log), "salt": self.told["after"]["salt"], "stages": [self.since]}
        wanted.update(share=1.0, place=self.place, wait_s=EVERY_S, hang_s=self.limits.hang_s, overdue=True)
        request = {**self.told, "look": wanted, "description": {"metrics": self.metrics}}
        answer = sharing.seen(host, request)
        self.place = answer["place"]
        self.seen.take(answer, new=self.slot, called=metrics.called(self.metrics))
        well = not probe.check(host, self.slot, kinds=("web",))
        self.seen.signals.append(seen.Asked(self.seen.now, HEALTH, (well, answer["old_probe"])))
        return self._evidence()

    def _evidence(self) -> facts.Evidence:
        entries, at = [self.seen], self.seen.now
        return facts.Evidence(
            now=at,
            since=self.since,
            until=at,
            share=1.0,
            minutes=gathering.minutes(self.seen.tally, new=self.slot, since=self.since, now=at),
            waiting=seen.waiting(entries, began=self.since, now=at, hang_s=self.limits.hang_s),
            signals=seen.signals(entries, now=at, asking=metrics.asking(self.metrics)),
            old_probes=seen.old_probes(entries, now=at),
        )


# The way back


def _back(host: Host, told: Told, record: Told) -> bool:
    """Go back to the slot that is still warm; return whether there is nothing to watch any more.

    Whoever has the lock is at work on it: then it is his to judge, and the next look tells what he came to.
    """
    old = names.other(str(told["slot"]))
    if not sharing.old_is_well(host, old):
        return False
    host.run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    try:
        arbiter.attempt(host, owner=OWNER, purpose="rollback", lease_s=LEASE_S)
    except (lock.Held, lock.Behind):
        return False
    if not _goes_on(host, told):
        arbiter.free(host)
        return True
    reason = f"it turned bad once it was live: {record['sentence']}"
    request = _request(host, told, slot=old)
    line = {**request["line"], "verdicts": [record]}
    failed = _do(host, {**request, "line": {**line, "reason": reason}}, STEPS)
    if failed:
        _do(host, {**request, "line": line, "reason": f"{reason}; but {failed}"}, ("return",))
    return True


def _request(host: Host, told: Told, *, slot: str) -> dict[str, Any]:
    """Return what a driver would ask of this host, who had decided to go back."""
    release = slots.record(host, slot)
    known = ledger.story(arbiter.lines(host))
    before = known.releases[release["id"]].line if release["id"] in known.releases else {}
    line = {key: before.get(key) for key in ("commit", "ref", "subject", "digest", "configuration", "hosts")}
    line.update(event="rollback", release=release["id"], previous=known.live, slot=slot, who=OWNER)
    line.update(schema_before=known.schema, schema_after=known.schema)
    return {
        "roles": told["roles"],
        "entry": told["entry"],
        "settings": {**told["settings"], "soak_s": 0.0, "watch_s": 0.0},  # it has served these clients before
        "lease_s": LEASE_S,
        "release": release["id"],
        "slot": slot,
        "description": release["manifest"]["description"],
        "line": line,
    }


def _do(host: Host, request: Told, wanted: Sequence[str]) -> str:
    """Do steps as a driver's session does; return why they failed, nothing where they did not."""
    from ansible_collections.ferryman.ops.plugins.module_utils.release import agent  # which begins us

    try:
        agent.do(host, {**request, "steps": [*wanted]}, io.BytesIO(), {"steps": []})
    except Failed as failed:
        print(f"{host.site.name}: {failed}", flush=True)
        return str(failed)
    return ""
