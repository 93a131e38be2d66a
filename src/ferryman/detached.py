"""A deploy that its host drives itself: followed from wherever somebody is, with the end that it has.

The host tells events as a run here does, so everything that is made of them is the same.
"""

import json
from typing import Any

from ferryman import answering, canary, interrupts, outcomes, paths, playing, readiness, release, runs, secrets
from ferryman.decision import Decision
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, REFUSED, Stop
from ferryman.progress import progress

MARK = "ferryman-follows "
"""What the action release_follow prints before each line of the driver's."""


class Followed:
    """What has been heard of a run: its story, and its end once it was told. Shows what it hears."""

    def __init__(self, asks: str, decision: Decision | None = None) -> None:
        self.story, self.ended, self.asks = outcomes.Story(), runs.Ended("unknown", 0.0), asks
        self.seen = progress(decision=decision)

    def said(self, line: str) -> None:
        """Take in what the action prints; a line that is not the driver's own is nobody's business."""
        told = answer(line)
        if told.get("format") == canary.FORMAT:
            self.story.see(told)
            self.seen.look(told, self.asks)
        elif "event" in told:
            playing.hear(runs.Event(**told["event"]), self.story, self.seen)
        elif "end" in told and "format" not in told:
            self.ended = runs.Ended(**told["end"])


def answer(line: str) -> dict[str, Any]:
    """Return what a line of the action says; nothing where it is any other line."""
    _, mark, text = line.partition(MARK)
    try:
        found = json.loads(text) if mark else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def attach(env: str, *, app: str) -> dict[str, Any]:
    """Follow the last deploy that was handed over; return its report, or raise what it failed with.

    Ctrl-C leaves it going.
    """
    environment = readiness.looked_at(env, app=app, one=True)
    run, outer, ended = _followed(environment, app)
    if ended.status == "left":
        hint = f"`{paths.command('attach', environment.name, app)}` follows it again"
        raise Stop("interrupted: the deploy goes on by itself", hint=hint, code=NEEDS_PERSON)
    code = NEEDS_PERSON if run.story.steps else REFUSED
    playing.stop_unless_done(outer, ended, environment, code=code)
    if run.ended.status == "unknown":
        last = "\n".join(outer.facts.get("log") or [])
        run.ended = runs.Ended(
            "unknown", run.ended.seconds, last or "its host was started again, or somebody stopped it"
        )
    said = outcomes.report("deploy", run.story, run.ended, environment=environment.name, app=app)
    said["ca"] = outer.facts.get("ca", "")
    if "report" in said:
        said["report"] = f"{outer.facts['host']}:{said['report']}"
    return release.told_of(said, run.story, environment)


def _followed(environment: Environment, app: str) -> tuple[Followed, outcomes.Story, runs.Ended]:
    """Return what was heard of the run, and how the following itself went."""
    decision = Decision(by_key=answering.able())
    run, outer = Followed(canary.ways(environment.name, app), decision), outcomes.Story()
    values = {**({"release_app": app} if app else {}), **secrets.stand_ins(environment)}
    runs.own_processes_only()
    try:
        with (
            interrupts.heard(run.seen.note, way_back=False) as heard,
            answering.answered(decision, environment.name, app) as answers,
        ):

            def leaves() -> bool:
                answers.poll()
                return heard.leave()

            ended = runs.play(
                "release_attach", environment, values=values, key=secrets.key_file(environment), listen=outer.hear,
                printed=run.said, stop=leaves,
            )  # fmt: skip
    finally:
        run.seen.close()
    return run, outer, ended
