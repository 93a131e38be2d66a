"""Whether to go back from what is live: what the thresholds say now, and what to type."""

from collections.abc import Mapping
from typing import Any

from ferryman import canary, paths, playing, readiness, secrets, telling
from ferryman import release as releases
from ferryman.logs_telling import printable

Told = Mapping[str, Any]
AGAINST = {"rollback": "It is worth going back", "hold": "Somebody must decide", "no_data": "Nothing can be said yet"}


def of(env: str, *, app: str, minutes: int) -> Told:
    """Return the verdict on the live release by its last `minutes`, and what a rollback would go to."""
    environment = readiness.looked_at(env, app=app, one=True)
    values: dict[str, Any] = {"release_app": app, "release_judge_s": 60 * minutes}
    if secrets.stand_ins(environment):
        values["release_verify"] = False  # with a stand-in for its password, whoever logs in would look ill
    story, ended = playing.look_at("release_judge", environment, values)
    playing.stop_unless_done(story, ended, environment)
    seen = releases.answered(story, environment)
    arbiter = telling.arbiter({"hosts": seen})
    judged = {**story.facts["judged"], "asked_s": 60 * minutes}
    return {"environment": environment.name, "app": arbiter["app"], **judged}


def page(told: Told) -> str:
    """Say what speaks against the live release, with its figures; the command that goes back where that may help."""
    new = told["arms"]["new"]
    counted = f"{new['failed']:,} of {new['requests']:,} requests failed, p95 {canary.seconds(new['p95_s'])}"
    lines = [
        f"{told['release']} on {told['environment']}, the last {_reach(told)}: {counted}",
        printable(told["sentence"]),
    ]
    if told["verdict"] == "promote":
        return "\n".join(lines)
    if told["verdict"] == "no_data" or told["rule"] == "shared":
        return "\n".join([*lines, f"{AGAINST[told['verdict']]}."])
    back = paths.command("rollback", told["environment"], told["app"])
    way = f"`{back}` goes back to {told['rollback_to']}" if told["rollback_to"] else "there is no release to go back to"
    return "\n".join([*lines, f"{AGAINST[told['verdict']]}: {way}."])


def _reach(told: Told) -> str:
    """Say how far back it goes, and where that is less than was asked for, that there is no more."""
    span = canary.span(told["stage_s"])
    return span if told["stage_s"] >= told["asked_s"] else f"{span} (all that there is of it)"
