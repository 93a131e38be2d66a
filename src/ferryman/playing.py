"""A playbook's run as people see it: its steps as they come, Ctrl-C, and what went wrong with the way out."""

from collections.abc import Mapping
from typing import Any

from ferryman import answering, canary, interrupts, outcomes, paths, readiness, runs, secrets, telling
from ferryman.decision import Decision
from ferryman.environments import Environment
from ferryman.errors import REFUSED, Stop
from ferryman.progress import Progress, parts, progress

UNFIT = ("has no attribute", "is undefined")
"""What Ansible says of values that are not as a playbook wants them, with no word of where they stand."""


def run(
    playbook: str,
    environment: Environment,
    values: Mapping[str, Any],
    *,
    check: bool = False,
    stand_ins: Mapping[str, str] | None = None,
    way_back: bool = False,
) -> tuple[outcomes.Story, runs.Ended]:
    """Run a playbook and show its steps; return what happened, and how it ended.

    It is refused where a secret is missing, unless `stand_ins` give values in their place. The first Ctrl-C takes the
    `way_back` where it has one, else it leaves.
    """
    if stand_ins is None:
        secrets.require(environment)
    story, decision = outcomes.Story(), Decision(by_key=answering.able())
    seen = progress(asks=check, decision=decision)

    def listen(event: runs.Event) -> None:
        looks.follow()  # what was seen before it is told before it
        hear(event, story, seen)

    def see(look: canary.Look) -> None:
        story.see(look)
        seen.look(look, asks)

    def printed(line: str) -> None:
        for said in telling.queues(line):
            seen.note(said)

    app = str(values.get("release_app", ""))
    asks = canary.ways(environment.name, app)
    runs.own_processes_only()
    given = {name: value for name, value in {**values, **(stand_ins or {})}.items() if value not in ("", None)}
    key = secrets.key_file(environment)
    try:
        with (
            interrupts.heard(seen.note, way_back=way_back) as heard,
            answering.answered(decision, environment.name, app) as answers,
            canary.followed(see) as looks,
        ):

            def leaves() -> bool:
                looks.follow()
                answers.poll(going_back=heard.count > 0)
                return heard.leave()

            if way_back:
                given |= {"release_stop_file": str(heard.stop_file), "release_progress_file": str(looks.file)}
            ended = runs.play(
                playbook,
                environment,
                values=given,
                listen=listen,
                key=key,
                check=check,
                printed=printed,
                stop=leaves,
            )
    finally:
        seen.close()
    return story, ended


def hear(event: runs.Event, story: outcomes.Story, seen: Progress) -> None:
    """Take an event into the story of a run, and show it."""
    story.hear(event)
    if event.kind == "task":
        seen.step(event.title)
    elif event.kind == "begun":
        seen.begun(event.host)
    else:
        told = event.result.get("ferryman") or {}
        seen.ended(event.title, event.host, event.kind, parts(told))
        for line in telling.waits(told):
            seen.note(line)


def look_at(playbook: str, environment: Environment, values: Mapping[str, Any]) -> tuple[outcomes.Story, runs.Ended]:
    """Run a playbook that only looks, as `run` does: a secret that no host has yet hides nothing."""
    return run(playbook, environment, values, stand_ins=secrets.stand_ins(environment))


def stop_unless_done(
    story: outcomes.Story,
    ended: runs.Ended,
    environment: Environment,
    *,
    code: int = REFUSED,
    what: str = "",
    again: str = "",
) -> None:
    """Raise what went wrong, after `what` that means; `again` is for what was done in part and has no hint itself."""
    if ended.status == "left":
        done = "nothing was changed" if code == REFUSED else "what was under way may be done in part"
        raise Stop(f"interrupted: {done}", hint=interrupts.AGAIN, code=code)
    if ended.status != "done":
        reason = story.failure.get("reason") or ended.cause
        evidence = story.failure.get("evidence") or []
        raise Stop(
            "\n".join([what + reason, *(f"  {line}" for line in evidence)]),
            hint=str(story.failure.get("hint") or "") or after(story, environment) or again * (code != REFUSED),
            code=code,
        )


def after(story: outcomes.Story, environment: Environment) -> str:
    """Return what to type after a failure that says nothing of that itself."""
    if not story.failure:
        return readiness.unbegun(environment)
    if story.failure.get("setting"):
        return secrets.another(environment, str(story.failure["setting"]))
    if any(word in str(story.failure.get("reason")) for word in UNFIT):
        return f"`{paths.command('check', environment.name)}` says which line of its files that comes from"
    if not story.failure.get("lost"):
        return ""
    return f"`{paths.command('check --hosts', environment.name)}` looks at every host, and says how one is reached"
