"""What is made of the lines of a driver that is followed: the same story that a run here would have."""

import json
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action import release_follow

from ferryman import detached, outcomes, telling
from ferryman.errors import DONE
from ferryman.runs import Ended, Event

LOOKED: dict[str, Any] = {
    "kind": "ok",
    "task": "Drive | Take up the run",
    "host": "web1",
    "seconds": 0.1,
    "role": "ferryman.ops.release",
}
HOST = {"roles": ["app", "entry", "arbiter"], "app": "shop", "url": "https://shop.test", "run": "run-1"}


def heard(*told: object) -> detached.Followed:
    found = detached.Followed("")
    for each in told:
        found.said(each if isinstance(each, str) else detached.MARK + json.dumps(each))
    found.seen.close()
    return found


def test_events_and_the_end_become_what_they_were_and_other_lines_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"stale": "another commit", "ferryman": HOST}
    found = heard(
        {"event": {"kind": "task", "task": "Deploy | Settle", "host": "", "result": {}, "seconds": 0.0, "role": ""}},
        {"event": {**LOOKED, "result": result}},
        {"format": 2, "end": "live"},
        "[WARNING]: of Ansible", f"{detached.MARK}no JSON", f"{detached.MARK}[1]",
        {"end": {"status": "failed", "seconds": 12.5}},
    )  # fmt: skip
    own = outcomes.Story()
    own.hear(Event(**LOOKED, result={**result, "ferryman": dict(HOST)}))
    assert (found.story.hosts, found.story.stale) == (own.hosts, own.stale)
    assert found.story.stages == {}, "a newer format is none of ours"
    assert found.ended == Ended("failed", 12.5)
    assert "Settle" in capsys.readouterr().err


def test_what_the_action_prints_is_heard_by_the_mark_that_it_prints() -> None:
    assert release_follow.MARK == detached.MARK


def test_without_a_told_end_nobody_knows_it() -> None:
    assert heard({"event": {**LOOKED, "result": {}}}).ended.status == "unknown"


def test_a_deploy_that_was_handed_over_is_no_live_one_yet_and_says_how_it_is_followed() -> None:
    story = outcomes.Story()
    story.hear(Event("ok", "Look", "web1", {"stale": "another commit", "ferryman": dict(HOST)}))
    told = {"plan": {"release": "r2", "previous": "r1"}, "handed_over": {"host": "web1", "unit": "u", "run": "run-1"}}
    story.hear(Event("ok", "Deploy | Hand it over", "web1", {"ferryman": told}))
    said = outcomes.report("deploy", story, Ended("done", 3.0), environment="prod", app="shop")
    assert (said["status"], said["code"], said["handed_over"]["host"]) == ("handed_over", DONE, "web1")
    words = telling.summary(said)
    assert "r2 is handed over: web1 brings it live by itself" in words
    assert "`./invoke attach --env prod --app shop` follows it" in words
