"""Whether to go back from what is live: what the thresholds say now, and what to type."""

from collections.abc import Mapping
from typing import Any

from ferryman import canary, paths, playing, readiness, telling
from ferryman import release as releases
from ferryman.logs_telling import printable

Told = Mapping[str, Any]


def of(env: str, *, app: str, minutes: int) -> Told:
    """Return the verdict on the live release by its last `minutes`, and what a rollback would go to."""
    environment = readiness.looked_at(env, app=app, one=True)
    values = {"release_app": app, "release_judge_s": 60 * minutes}
    story, ended = playing.look_at("release_judge", environment, values)
    playing.stop_unless_done(story, ended, environment)
    seen = releases.answered(story, environment)
    arbiter = telling.arbiter({"hosts": seen})
    target = str(arbiter.get("would_roll_back_to") or "")
    return {"environment": environment.name, "app": arbiter["app"], **story.facts["judged"], "rollback_to": target}


def page(told: Told) -> str:
    """Say what speaks against the live release, with its figures and the command that goes back."""
    new = told["arms"]["new"]
    counted = f"{new['failed']:,} of {new['requests']:,} requests failed, p95 {canary.seconds(new['p95_s'])}"
    lines = [
        f"{told['release']} on {told['environment']}, the last {canary.span(told['stage_s'])}: {counted}",
        printable(told["sentence"]),
    ]
    if told["verdict"] == "promote":
        return "\n".join(lines)
    back = paths.command("rollback", told["environment"], told["app"])
    way = f"`{back}` goes back to {told['rollback_to']}" if told["rollback_to"] else "there is no release to go back to"
    worth = {"rollback": "It is worth going back", "hold": "Somebody must decide"}
    return "\n".join([*lines, f"{worth.get(told['verdict'], 'Nothing can be said')}: {way}."])
