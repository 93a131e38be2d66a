"""What a run's events amount to: exit codes, status and JSON never disagree."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman import outcomes, telling
from ferryman.errors import DONE, NEEDS_PERSON, REFUSED, RETURNED
from ferryman.outcomes import Story, report, status
from ferryman.runs import Ended, Event

LOOK = Event("ok", "Deploy | Look at the hosts", "a1", {"stale": "r1 is live", "ferryman": {"roles": ["arbiter"]}})
CURRENT = Event("ok", "Deploy | Look at the hosts", "a1", {"stale": "", "ferryman": {"roles": ["arbiter"]}})
SETTLED = Event("ok", "Deploy | Settle", "a1", {"changed": True, "ferryman": {"status": "live", "steps": []}})
FAILED = Event("failed", "Deploy | Send the clients to it", "a1", {"msg": "it died", "ferryman": {"step": "switch"}})
REFUSAL = Event("failed", "Deploy | Look at the hosts", "a1", {"msg": "locked", "ferryman": {"refused": True}})
BACK = Event("ok", "Deploy | Go back", "a1", {"ferryman": {"moved": True}})
BACK_UNMOVED = Event("ok", "Deploy | Go back", "a1", {"ferryman": {"moved": False}})
OVERTAKEN = Event("failed", "Deploy | Go back", "a1", {"msg": "token", "ferryman": {"refused": True}})
PLANNED = Event("ok", "Deploy | Build the artifact", "a1", {"ferryman": {"plan": {"release": "r2"}}})
STAGED = Event("ok", "Deploy | Stage", "a1", {"ferryman": {"steps": [{"host": "a1", "step": "stage"}]}})
REFUSED_NOT = Event("failed", "Set the page", "a1", {"msg": "disk full", "ferryman": {"refused": False}})
LATE = Event("failed", "Deploy | Start", "a1", {"msg": "too few ports", "ferryman": {"refused": True}})
HALF = Event(
    "failed",
    "Deploy | Stage and start",
    "a1",
    {"msg": "too few ports", "ferryman": {"refused": True, "steps": [{"host": "a1", "step": "migrate"}]}},
)
BACK_DONE = Event(
    "ok",
    "Deploy | Go back",
    "a1",
    {"changed": True, "ferryman": {"moved": False, "steps": [{"host": "a1", "step": "return"}]}},
)
CHANGED = Event("ok", "Install packages", "a1", {"changed": True})
LOST = Event("unreachable", "Deploy | Send the clients to it", "a1", {"msg": "no route"})
NO_WAY_BACK = Event("unreachable", "Deploy | Go back", "a1", {"msg": "no route"})


def told(*events: Event) -> Story:
    """Return the story of these events."""
    story = Story()
    for event in events:
        story.hear(event)
    return story


@pytest.mark.parametrize(
    ("events", "ended", "word", "code"),
    [
        ([LOOK, SETTLED], "done", "live", DONE),
        ([CURRENT], "done", "unchanged", DONE),
        ([REFUSAL], "failed", "refused", REFUSED),
        ([LOOK, LATE, BACK_DONE], "failed", "refused", REFUSED),
        ([LOOK, LATE, OVERTAKEN], "failed", "refused", REFUSED),
        ([LOOK, STAGED, LATE, BACK_DONE], "failed", "failed", RETURNED),
        ([LOOK, HALF, BACK_DONE], "failed", "failed", RETURNED),
        ([LOOK, STAGED, LATE, OVERTAKEN], "failed", "failed", RETURNED),
        ([LOOK, STAGED, LATE], "failed", "unknown", NEEDS_PERSON),
        ([LOOK, FAILED, BACK], "failed", "returned", RETURNED),
        ([LOOK, FAILED, BACK, BACK_UNMOVED], "failed", "returned", RETURNED),
        ([LOOK, FAILED, BACK_UNMOVED], "failed", "failed", RETURNED),
        ([LOOK, FAILED, OVERTAKEN], "failed", "failed", RETURNED),
        ([LOOK, FAILED, NO_WAY_BACK], "failed", "unknown", NEEDS_PERSON),
        ([LOOK, PLANNED, LOST], "failed", "unknown", NEEDS_PERSON),
        ([LOST], "failed", "refused", REFUSED),
        ([LOOK], "unknown", "unknown", NEEDS_PERSON),
    ],
)
def test_each_ending_has_its_word_and_its_exit_code(events: list[Event], ended: str, word: str, code: int) -> None:
    said = report("deploy", told(*events), Ended(ended, 1.0), environment="prod", app="notes")
    assert (said["status"], said["code"]) == (word, code)


@pytest.mark.parametrize("events", [[REFUSAL], [LOOK, LATE, BACK_DONE], [LOOK, LATE, OVERTAKEN], [LOST]])
def test_whoever_was_refused_is_told_of_no_change_and_no_step(events: list[Event]) -> None:
    said = report("rollback", told(*events), Ended("failed", 1.0), environment="prod", app="notes")
    assert (said["status"], said["changed"], said["steps"]) == ("refused", False, [])


def test_what_is_refused_after_the_hosts_were_provisioned_for_it_has_not_left_them_untouched() -> None:
    refused = outcomes.after_provisioning({"status": "refused", "code": REFUSED})
    assert refused == {"status": "refused", "code": RETURNED, "provisioned": True, "changed": True}
    for code in (DONE, RETURNED, NEEDS_PERSON):
        assert outcomes.after_provisioning({"code": code}) == {"code": code}


def test_a_release_that_is_committed_is_live_even_if_the_last_step_failed() -> None:
    committed = Event("ok", "Deploy | Go back", "a1", {"ferryman": {"committed": True}})
    assert status(told(LOOK, FAILED, committed), Ended("failed", 1.0)) == "live"


def test_a_hotfix_is_called_one_and_no_other_deploy_is() -> None:
    live = Event("ok", "Deploy | Settle", "a1", {"ferryman": {"status": "live"}})
    for kind in ({}, {"hotfix": True}):
        plan = Event("ok", "Deploy | Build", "a1", {"ferryman": {"plan": {"release": "r2", **kind}}})
        said = report("deploy", told(LOOK, plan, live), Ended("done", 1.0), environment="prod", app="notes")
        assert {key: said[key] for key in kind} == kind
        assert ("hotfix" in said) == bool(kind)
        assert (" as a hotfix " in telling.summary(said)) == bool(kind)


@pytest.mark.parametrize(
    ("last", "ended"), [("Deploy | Settle", "done"), ("Deploy | Go back", "failed"), ("Deploy | Settle", "failed")]
)
def test_the_report_is_named_however_a_deploy_ended(last: str, ended: str) -> None:
    written = Event("ok", last, "a1", {"ferryman": {"report": "/runs/1/report.html", "status": "live"}})
    said = report("deploy", told(LOOK, PLANNED, STAGED, written), Ended(ended, 1.0), environment="prod", app="notes")
    assert said["report"] == "/runs/1/report.html"
    assert "report" not in report("deploy", told(CURRENT), Ended("done", 1.0), environment="prod", app="notes")


def test_the_first_failure_is_the_cause_and_later_ones_are_not() -> None:
    later = Event("failed", "Deploy | Say why", "a1", {"msg": "the deploy failed"})
    said = report("deploy", told(LOOK, FAILED, BACK, later), Ended("failed", 1.0), environment="prod", app="")
    assert said["reason"] == "it died"
    assert said["step"] == "switch"


def test_who_leaves_while_a_step_goes_back_is_sent_to_the_hosts_and_not_to_the_hint_of_that_step() -> None:
    stopped = {"step": "watch", "hint": "the same command begins again"}
    interrupted = Event("failed", "Deploy | Send the clients to it", "a1", {"msg": "stopped", "ferryman": stopped})
    said = report("deploy", told(LOOK, PLANNED, STAGED, interrupted), Ended("left", 0.1, ""), environment="e", app="a")
    assert (said["status"], said["hint"]) == ("unknown", "")


def test_an_unreachable_host_is_named() -> None:
    gone = Event("unreachable", "Deploy | Look at the hosts", "a1", {"msg": "no route"})
    said = report("deploy", told(gone), Ended("failed", 1.0), environment="prod", app="")
    assert said["reason"] == "a1 cannot be reached: no route"


def test_of_a_loop_the_item_that_failed_is_the_cause() -> None:
    items = [{"failed": False, "msg": "fine"}, {"failed": True, "msg": "port 443 has another owner"}]
    loop = Event("failed", "Serve an application", "a1", {"msg": "One or more items failed", "results": items})
    assert told(loop).failure["reason"] == "port 443 has another owner"


def test_what_ansible_puts_before_a_reason_is_left_out() -> None:
    failed = Event("failed", "Deploy | Read the source", "a1", {"msg": "Task failed: Module failed: no commit"})
    assert told(failed).failure["reason"] == "no commit"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": "Task failed.", "exception": "(traceback unavailable)"}, "'Provision' failed and said nothing"),
        ({"msg": "Task failed.", "exception": "Traceback:\n  line 1\nKeyError: 'slots'\n"}, "KeyError: 'slots'"),
        ({"msg": "Task failed: Action failed.", "module_stderr": "sudo: no tty\n"}, "sudo: no tty"),
        ({}, "'Provision' failed and said nothing"),
    ],
)
def test_no_failure_is_told_by_ansibles_bare_words(result: dict[str, Any], reason: str) -> None:
    assert told(Event("failed", "Provision", "a1", result)).failure["reason"].startswith(reason)


def test_a_loop_that_failed_after_one_of_its_items_had_changed_something_needs_a_person() -> None:
    done, broke = {"changed": True}, {"failed": True, "msg": "no package"}
    failed = Event("failed", "Install", "a1", {"msg": "One or more items failed", "results": [done, broke]})
    assert outcomes.code_of_act(told(failed), Ended("failed", 1.0)) == NEEDS_PERSON


@pytest.mark.parametrize(
    ("events", "ended", "code"),
    [
        ([REFUSAL], "failed", REFUSED),
        ([], "failed", REFUSED),
        ([Event("failed", "Choose the application", "a1", {"msg": "name one of: a, b"})], "failed", REFUSED),
        ([REFUSED_NOT], "failed", NEEDS_PERSON),
        ([STAGED, REFUSAL], "failed", NEEDS_PERSON),
        ([LOST], "failed", REFUSED),
        ([Event("ok", "Validating arguments", "a1", {}), LOST], "failed", REFUSED),
        ([Event("ok", "Read the marker", "a1", {"invocation": {}}), LOST], "failed", NEEDS_PERSON),
        ([LOOK, LOST], "failed", NEEDS_PERSON),
        ([LOOK, Event("failed", "Set the page", "a2", {"msg": "x"}), LOST], "failed", NEEDS_PERSON),
        ([CHANGED, Event("failed", "Install", "a1", {"msg": "no package"})], "failed", NEEDS_PERSON),
        ([LOOK, Event("failed", "Preflight", "a1", {"msg": "a foreign listener"})], "failed", REFUSED),
        ([], "unknown", NEEDS_PERSON),
    ],
)
def test_an_act_without_a_way_back_says_refused_only_where_nothing_was_touched(
    events: list[Event], ended: str, code: int
) -> None:
    assert outcomes.code_of_act(told(*events), Ended(ended, 1.0)) == code


EVENTS = st.lists(
    st.sampled_from(
        [LOOK, CURRENT, SETTLED, FAILED, REFUSAL, BACK, BACK_UNMOVED, NO_WAY_BACK, STAGED, LATE, HALF, BACK_DONE]
    ),
    max_size=8,
)


@given(EVENTS, st.sampled_from(["done", "failed", "unknown"]))
def test_no_run_that_failed_is_ever_called_done(events: list[Event], ended: str) -> None:
    said: dict[str, Any] = report("deploy", told(*events), Ended(ended, 1.0), environment="prod", app="")
    assert said["code"] == outcomes.CODES[said["status"]]
    if ended != "done" and said["code"] == DONE:
        assert any(event is SETTLED for event in events)
    if said["code"] == REFUSED:
        assert not any(event in (STAGED, HALF, FAILED) for event in events)


def test_what_is_committed_and_not_well_behind_the_page_needs_a_person_and_is_live() -> None:
    ill = Event("ok", "Rollback | Settle", "a1", {"ferryman": {"status": "live", "unwell": "answers 500", "steps": []}})
    said = Event("failed", "Rollback | Say what is not well", "a1", {"msg": "answers 500"})
    told_of = report("rollback", told(LOOK, ill, said), Ended("failed", 1.0), environment="prod", app="shop")
    assert (told_of["status"], told_of["code"], told_of["reason"]) == ("live", NEEDS_PERSON, "answers 500")


def test_what_was_ill_before_a_deploy_or_was_not_reached_says_nothing_of_what_is_live_now() -> None:
    ill = Event("ok", "Deploy | Look at the hosts", "a1", {"ferryman": {"roles": ["arbiter"], "ill": ["web: is down"]}})
    told_of = report("deploy", told(ill, SETTLED), Ended("done", 1.0), environment="prod", app="shop")
    assert (told_of["status"], told_of["code"]) == ("live", DONE)
    assert "lost" not in report("deploy", told(LOOK, LOST), Ended("failed", 1.0), environment="prod", app="shop")


def test_why_a_way_back_failed_is_told_beside_the_first_failure() -> None:
    lost = Event("failed", "Rollback | Stay where we were", "a1", {"msg": "PostgreSQL is down", "ferryman": {}})
    told_of = report("rollback", told(LOOK, STAGED, FAILED, lost), Ended("failed", 1.0), environment="prod", app="shop")
    assert (told_of["status"], told_of["code"]) == ("unknown", NEEDS_PERSON)
    assert (told_of["reason"], told_of["reason_return"]) == ("it died", "PostgreSQL is down")


def test_what_one_host_tells_is_not_said_of_another() -> None:
    story = Story()
    for host in ("a1", "a2"):
        told = {"roles": ["app"], "health": {f"web of {host}": {"good": host == "a1", "said": ""}}}
        story.hear(Event("ok", "Look | Read what the host serves", host, {"ferryman": told}))
    assert {host: [*told["health"]] for host, told in story.hosts.items()} == {"a1": ["web of a1"], "a2": ["web of a2"]}
