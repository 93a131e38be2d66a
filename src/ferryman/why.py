"""Why a release went on or back: what the ledger tells of it, run by run. Nothing is decided here."""

import textwrap
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ferryman import canary, playing, readiness, telling
from ferryman import release as releases
from ferryman.logs_telling import printable

Told = Mapping[str, Any]
ENDS = {"live": "it went live", "returned": "its clients were sent back", "failed": "it failed before it had clients"}
ENDS |= {"abandoned": "nobody came back to end it", "started": "it has not ended"}


def of(env: str, *, app: str, release: str) -> Told:
    """Return what the ledger tells of a release: an id, a commit or the beginning of one; empty for the last run's."""
    environment = readiness.looked_at(env, app=app, one=True)
    story, ended = playing.look_at("release_why", environment, {"release_app": app, "release_why": release})
    playing.stop_unless_done(story, ended, environment)
    seen = releases.answered(story, environment)
    (arbiter,) = (told for told in seen.values() if "tale" in told)
    tale = arbiter["tale"]
    stands = telling.standing(tale, live=arbiter["shift"]["release_stable"])
    return {"environment": environment.name, "app": arbiter["app"], **tale, "stands": stands}


def page(told: Told) -> str:
    """Say what became of a release in each of its runs, and what was decided in its stages."""
    lines = [f"{told['release']} on {told['environment']}: {told['stands']}"]
    for run in told["runs"]:
        lines += ["", *_run(told["release"], run)]
    return "\n".join(lines)


def _run(name: str, run: Told) -> Iterator[str]:
    left = run["release"] != name
    kind = " of a hotfix" if run["hotfix"] else ""
    what = f"rollback from it to {run['release']}" if left else f"{run['event']}{kind}"
    yield from _wrapped(f"{run['at']}  {what} by {run['who'] or 'the hosts'}: {_end(run, left=left)}")
    if not left and run["commit"]:
        yield from _wrapped(f"{run['commit'][:7]} {telling.commit(run)}", before="  ")
    for line in str(run["reason"] or "").splitlines():
        yield from _wrapped(line, before="  ")
    for verdict in run["verdicts"]:
        yield from _verdict(verdict)


def _end(run: Told, *, left: bool) -> str:
    if left:
        return "it serves nobody since"
    took = f" after {canary.span(run['duration_s'])}" if run["duration_s"] else ""
    return ENDS.get(run["status"], str(run["status"])) + took


def _verdict(verdict: Told) -> Iterator[str]:
    clock = time.strftime("%H:%M:%S", time.gmtime(verdict["at"]))
    what = f"{clock}  {canary.percent(verdict['share']):>5}  {canary.WORDS[verdict['verdict']]}: {verdict['sentence']}"
    what += " Somebody had to decide." if verdict["ask"] else ""
    yield from _wrapped(what, before="  ", below=" " * 19)
    yield from _wrapped(canary.counts(verdict), before=" " * 19)


def _wrapped(text: str, *, before: str = "", below: str = "") -> list[str]:
    """Return a text as it fits the screen, its first line after `before` and the others after `below`."""
    rest = below or before
    return textwrap.wrap(
        printable(text), telling.WIDTH, initial_indent=before, subsequent_indent=rest, break_on_hyphens=False
    )
