"""A full drill: from the archive alone a new host gets everything, serves, and is asked; then it goes again.

Each step is the one that people would take after the loss of every host but the archive's: provision, restore, deploy
the release that was live, look. What is restored, compared and signed is decided in the collection (role `backup`).
"""

import base64
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from ferryman import (
    agreement,
    backup,
    drill_host,
    environments,
    explaining,
    outcomes,
    outside,
    playing,
    readiness,
    release,
    telling,
)
from ferryman.drill_host import Machine
from ferryman.environments import Environment
from ferryman.errors import REFUSED, RETURNED, Stop
from ferryman.variables import Loaded

Told = dict[str, Any]
Apps = Mapping[str, Mapping[str, Any]]
COMMITTED = re.compile(r"\d{8}T\d{6}Z-(?P<commit>[0-9a-f]{7,40})")
PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"
ANSWER: Told = {"result": "", "said": "", "release": "", "asked": [], "evidence": []}
"""What a drill's record has of an application."""


class Clock:
    """How long each step took; together they are all of the time until everything was asked."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[dict[str, float]]:
        """Measure a step; what is put into the map that it gives are parts of it that somebody else measured."""
        began, inner = time.monotonic(), dict[str, float]()
        try:
            yield inner
        finally:
            rest = time.monotonic() - began - sum(inner.values())
            for each, seconds in {**inner, name: max(0.0, rest)}.items():
                self.parts[each] = round(self.parts.get(each, 0.0) + seconds, 3)

    @property
    def whole_s(self) -> float:
        """All of it, in seconds."""
        return round(sum(self.parts.values()), 3)


def full(env: str, *, host: str) -> Told:
    """Make a full drill on a new container, or on the empty machine `host`; return its record, which is signed.

    A drill that did not pass is a Stop that carries the record.
    """
    environment = environments.resolve(env)
    readiness.require_sandbox(environment)
    loaded = agreement.require(environment)
    backup.require_group(environment, loaded.groups)
    told = _made(environment, loaded, host)
    drill = _archive(environment, "record", told=base64.b64encode(json.dumps(told).encode()).decode())
    said: Told = {"environment": environment.name, "drills": [drill]}
    if drill["result"] != PASSED:
        raise Stop(_why(drill), hint="mend what it says; nothing that serves was touched", code=RETURNED, facts=said)
    return said


def _made(environment: Environment, loaded: Loaded, host: str) -> Told:
    """Go through a drill to its end, whatever that is, and take its host away; return what is to be told of it.

    Stop where there is nothing to restore, or nowhere: then nothing was begun.
    """
    clock, began = Clock(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told: Told = {"run": "", "began_at": began, "on": {}, "sets": {}, "parts_s": clock.parts, "rto_s": None,
                  "checks": [], "applications": {}, "reason": ""}  # fmt: skip
    with clock.part("choose"):
        begun = _archive(environment, "begin")
    try:
        with ExitStack() as stack:
            with clock.part("host"):
                machine = stack.enter_context(drill_host.ready(environment, loaded, host))
                _host(machine, "claim", code=REFUSED)
            told["on"] = {"host": machine.host, "container": machine.is_container}
            _through(environment, machine, _apps(loaded), begun, told, clock)
            told["rto_s"] = clock.whole_s
    except Stop as stop:
        if not told["on"]:
            raise
        told["reason"] = stop.message
    return told


def _why(drill: Mapping[str, Any]) -> str:
    bad = [f"{one['name']}: {one['said']}" for one in drill["checks"] if one["result"] != PASSED]
    return f"{drill['id']} failed: {drill['reason'] or '; '.join(bad)}"


def _archive(environment: Environment, step: str, **given: Any) -> Told:
    """Have the archive's host do a step; return what it told."""
    story, ended = playing.run("backup_full", environment, _step(step, given))
    playing.stop_unless_done(story, ended, environment, code=REFUSED if step == "begin" else RETURNED)
    backup.require_archive(environment, story, "full")
    return dict(story.facts["full"])


def _on(machine: Machine, playbook: str, values: Mapping[str, Any], *, code: int = RETURNED) -> outcomes.Story:
    """Run a playbook on the drill's host."""
    story, ended = playing.run(playbook, machine.environment, {**values, **machine.values})
    playing.stop_unless_done(story, ended, machine.environment, code=code)
    return story


def _host(machine: Machine, step: str, *, code: int = RETURNED, **given: Any) -> Told:
    """Have the drill's host do a step of its own; return what it told."""
    return dict(_on(machine, "backup_full_host", _step(step, given), code=code).facts["full"])


def _step(step: str, given: Mapping[str, Any]) -> Told:
    """Return a step and what it is given as the role takes them."""
    return {f"backup_full_drill_{key}": value for key, value in {"step": step, **given}.items()}


def _through(environment: Environment, machine: Machine, apps: Apps, begun: Told, told: Told, clock: Clock) -> None:
    """Go through all of it; what was measured and found is added to what is `told`."""
    with clock.part("provision"):
        _on(machine, "host_provision", {})
    with clock.part("restore") as inner:
        run = told["run"] = begun["run"]
        opened = _host(machine, "open", run=run, public_key=begun["public_key"], bytes=begun["bytes"])
        way = {"run": run, "address": machine.archive_address, "port": machine.archive_port}
        sent = _archive(environment, "send", **way, host_keys=opened["host_keys"], into=opened["into"])
        _add(told, sent, inner)
        files = {kind: one["files"] for kind, one in sent["sets"].items() if one["files"]}
        taken = _host(machine, "take", run=run, into=opened["into"], sets=files)
        _add(told, taken, inner)
    machine.authorities.write_text("".join(taken["certificates"]), encoding="ascii")
    with clock.part("provision over it"):
        _on(machine, "host_provision", {})
    for app, told_of in apps.items():
        writes = ["driver"] if "drill" in told_of.get("verify_writes", []) else []
        with clock.part(f"release {app}"):
            live = _lived(machine, app)
            said = _released(machine, app, live) if live else {}
        if said:
            with clock.part(f"ask {app}"):
                answer = _asked(machine, app, said, writes)
            told["applications"][app] = answer
            told["checks"].append({key: answer[key] for key in ("result", "said")} | {"name": f"application {app}"})
        else:
            told["applications"][app] = {**ANSWER, "result": LEFT_OUT, "said": "nothing was live"}


def _apps(loaded: Loaded) -> Apps:
    """Return the applications of an environment, in the order of their names."""
    found = {str(app): told for _, apps in agreement.applications(loaded) for app, told in apps.items()}
    return dict(sorted(found.items()))


def _add(told: Told, said: Told, inner: dict[str, float]) -> None:
    """Add what a step measured and found; Stop where that is not well."""
    told["checks"] += said["checks"]
    told["sets"] |= {
        kind: {key: one[key] for key in one if key != "files"} for kind, one in said.get("sets", {}).items()
    }
    inner |= said["parts_s"]
    bad = [f"{one['name']}: {one['said']}" for one in said["checks"] if one["result"] != PASSED]
    reason = said.get("reason") or "; ".join(bad)
    if reason:
        raise Stop(reason, code=RETURNED)


def _lived(machine: Machine, app: str) -> str:
    """Return the release that was live as the restored ledger has it; empty where none was."""
    story, ended = playing.look_at("release_look", machine.environment, {"release_app": app, **machine.values})
    playing.stop_unless_done(story, ended, machine.environment, code=RETURNED)
    return lived(telling.arbiter({"hosts": story.hosts}).get("history", []))


def lived(history: Iterable[Mapping[str, Any]]) -> str:
    """Return the release that a ledger has live at its end: the one whose last span has no end; empty where none is."""
    return next((str(one["release"]) for one in history if one["spans"] and one["spans"][-1][1] is None), "")


def commit_of(live: str) -> str:
    """Return the commit that a release is built from again; Stop for one that came from a work tree."""
    found = COMMITTED.fullmatch(live)
    if not found:
        raise Stop(f"{live} was built from a work tree, and nobody can build it again", hint="deploy a commit")
    return found["commit"]


def _released(machine: Machine, app: str, live: str) -> Told:
    """Build the release that was live from its commit, and have it serve; return the deploy's report."""
    values = {"release_app": app, "release_ref": commit_of(live), "release_verify_writes": [], **machine.values}
    story, ended = playing.run("release_deploy", machine.environment, values)
    said = outcomes.report("deploy", story, ended, environment=machine.environment.name, app=app)
    if said["code"]:
        raise Stop(explaining.explain(said), code=RETURNED)
    return {**said, "live": live}


def _asked(machine: Machine, app: str, deployed: Told, writes: list[str]) -> Told:
    """Ask what serves now: from outside over HTTPS, for its health, and by its steps under verify.

    Those that write are asked from where `writes` says, at last: what they write is seen by none of the others.
    """
    url = str(deployed["url"])
    got = outside.look(url, ca=str(machine.authorities), address=machine.address)
    health = release.health_of(machine.environment, app, machine.values)["hosts"]
    has_steps = any(seen["passed"] for seen in deployed.get("verified", {}).values())
    results = (
        release.verified(machine.environment, app, {**machine.values, "release_verify_writes": writes})["results"]
        if has_steps
        else {}
    )
    steps = [step for listed in results.values() for step in listed]
    wrong = judged(url, got, health, steps)
    passed = sum(step["result"] == PASSED for step in steps)
    well = f"{deployed['live']} was live, and its commit serves at {url} over HTTPS, healthy"
    said = "; ".join(wrong) or f"{well}; {passed} of {len(steps)} steps passed"
    result = FAILED if wrong else PASSED
    return {**ANSWER, "result": result, "said": said, "release": deployed["release"], "asked": steps}


def judged(url: str, got: Told, health: Mapping[str, Mapping[str, Told]], steps: list[Told]) -> list[str]:
    """Return what is not well of an application that serves, in sentences.

    `got` is what a client got, `health` are answers by host and name, `steps` are results of those under verify.
    """
    answered = got.get("status") is not None and got["status"] < 500
    wrong = [] if answered else [f"{url} answered {got.get('status') or got.get('error')}"]
    named = [(host, name, one) for host, each in health.items() for name, one in each.items()]
    wrong += [f"{host} {name}: {one['said']}" for host, name, one in named if not one["good"]]
    wrong += [] if named else ["nothing could be asked for its health"]
    return wrong + [f"{step['name']}: {step['reason']}" for step in steps if step["result"] == FAILED]


def words(told: Mapping[str, Any]) -> str:
    """Say how the drill went, and how long each step took."""
    (drill,) = told["drills"]
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in drill["parts_s"].items())
    return f"{backup.drilled(told)}\n  of that: {steps}"
