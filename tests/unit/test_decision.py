"""When somebody is asked whether a release goes on, which key answers, and what is told of it."""

from typing import Any

import pytest

from ferryman.decision import HEARD_S, KEYS, READ_S, Decision

WAYS = "`release.promote` goes on, `release.abort` goes back"
ASKED = "Go on (p) or back (a)?"
READ = 100 + READ_S
"""When a question of moment 100 can have been read."""


SHARES = (0.1, 0.29, 1.0)


def look(
    *, ask: bool = True, stage: int = 0, at: float = 1000, left_s: float = 780, rule: str = "few"
) -> dict[str, Any]:
    verdict = {"ask": ask, "rule": rule}
    told: dict[str, Any] = {"at": at, "stage": stage, "share": SHARES[stage], "verdict": verdict}
    return {**told, "answer_by": at + left_s} if ask else told


def asked(*, by_key: bool = True) -> Decision:
    """Return a decision for which somebody is asked since moment 100."""
    decision = Decision(by_key=by_key)
    assert decision.take(look(), 100)
    return decision


def said(decision: Decision, moment: float = READ, width: int = 65) -> list[str]:
    return decision.lines(moment, ways=WAYS, width=width)


def test_whoever_is_asked_reads_the_keys_and_how_long_he_may_take_by_a_clock_that_runs() -> None:
    decision = asked()
    assert said(decision, 100) == [f"{ASKED} 13 min left, then it goes back."]
    assert said(decision, 400) == [f"{ASKED} 8 min left, then it goes back."]
    assert not decision.take(look(at=1005, left_s=775), 460), "it is the same question"
    assert said(decision, 465) == [f"{ASKED} 12 min left, then it goes back."]
    assert said(decision, 9999) == [f"{ASKED} 0 s left, then it goes back."]


def test_a_look_that_does_not_say_how_long_asks_all_the_same() -> None:
    decision = Decision(by_key=True)
    told = look()
    del told["answer_by"]
    decision.take(told, 100)
    assert said(decision) == [ASKED]
    assert decision.press("p", READ) == ("promote", 10)


@pytest.mark.parametrize(("key", "word", "meaning"), [("p", "promote", "go on"), ("a", "abort", "go back")])
def test_a_key_sends_its_word_once_and_what_became_of_it_is_told(key: str, word: str, meaning: str) -> None:
    decision = asked()
    assert decision.press(key, READ) == (word, 10)
    assert said(decision) == [f"Saying to {meaning} ... 12 min left, then it goes back."]
    assert [decision.press(each, READ) for each in KEYS] == [None, None], "one word at a time"
    decision.sent("", READ + 3)
    assert said(decision) == [f"Said to {meaning}."]
    assert [decision.press(each, READ + 4) for each in KEYS] == [None, None]
    assert decision.listens, "no shell gets what is pressed twice"
    decision.take(look(ask=False), READ + 5)
    assert said(decision) == []
    assert not decision.listens


def test_a_word_that_was_not_said_is_told_in_one_line_and_the_question_stays() -> None:
    decision = asked()
    decision.press("p", READ)
    decision.sent("web1 cannot be reached: " + "x " * 200 + "\x1b[2J", READ + 3)
    first, second = said(decision, READ + 3, 35)
    assert first.startswith("Not said: web1 cannot be")
    assert len(first) <= 35
    assert second.startswith(ASKED)
    assert decision.press("a", READ + 4) == ("abort", 10)
    (only,) = said(decision, READ + 4)
    assert only.startswith("Saying to go back ...")


@pytest.mark.parametrize("keys", ["", "x", "P", "A", "\x1b[A", "ap", "please go on", "\r", "\x03"])
def test_other_keys_and_different_ones_at_once_are_no_answer(keys: str) -> None:
    assert asked().press(keys, READ) is None


def test_a_key_that_is_pressed_twice_at_once_is_one_answer() -> None:
    assert asked().press("pp", READ) == ("promote", 10)


def test_what_is_pressed_before_anybody_can_have_read_the_question_is_no_answer() -> None:
    decision = asked()
    assert decision.press("p", READ - 0.1) is None
    assert decision.press("p", READ) == ("promote", 10)


def test_keys_count_for_nothing_where_nobody_is_asked() -> None:
    decision = Decision(by_key=True)
    assert not decision.listens
    assert decision.press("p", READ) is None
    assert not decision.take(look(ask=False), READ)
    assert decision.press("a", READ) is None
    assert not decision.take({"end": "live", "at": 5}, READ)
    assert said(decision) == []


def test_without_keys_it_is_told_what_to_type() -> None:
    decision = asked(by_key=False)
    assert said(decision, 100) == [f"Somebody must decide: {WAYS}; 13 min left, then it goes back"]
    assert not decision.listens
    assert decision.press("p", READ) is None


def test_each_stage_asks_anew_and_so_does_one_that_had_stopped_asking() -> None:
    decision = asked()
    assert decision.take(look(stage=1), 200)
    assert not decision.take(look(stage=1, ask=False), 210)
    assert decision.take(look(stage=1), 220)


def test_what_became_of_the_word_for_a_question_that_is_over_is_not_told_of_the_next_one() -> None:
    decision = asked()
    decision.press("p", READ)
    decision.take(look(stage=1), 200)
    decision.sent("", 201)
    assert said(decision, 201)[0].startswith(ASKED)


@pytest.mark.parametrize("problem", [None, "", "web1 cannot be reached"])
def test_another_rule_asks_anew_whatever_was_said_to_the_one_before_it(problem: str | None) -> None:
    decision = asked()
    decision.press("p", READ)
    if problem is not None:
        decision.sent(problem, READ)
    assert decision.take(look(rule="most_fail"), 200)
    assert said(decision, 200) == [f"{ASKED} 13 min left, then it goes back."]
    assert decision.press("p", 200 + READ_S - 0.1) is None
    assert decision.press("p", 200 + READ_S) == ("promote", 10)
    assert not decision.take(look(rule="most_fail"), 210)


def test_a_key_answers_for_the_stage_that_asks() -> None:
    decision = asked()
    decision.take(look(stage=1), 200)
    assert decision.press("p", 200 + READ_S) == ("promote", 29)


@pytest.mark.parametrize("over", [look(stage=1), look(rule="most_fail"), look(ask=False), {"end": "live", "at": 5}])
def test_a_word_to_go_on_is_given_up_with_its_question(over: dict[str, Any]) -> None:
    decision = asked()
    decision.press("p", READ)
    assert not decision.take(look(), READ + 1)
    assert decision.saying == "promote"
    decision.take(over, READ + 2)
    assert decision.saying == ""


@pytest.mark.parametrize("between", [[], [look(ask=False)]])
def test_a_word_to_go_back_is_for_the_questions_that_follow_it_too(between: list[dict[str, Any]]) -> None:
    decision = asked()
    decision.press("a", READ)
    for each in between:
        decision.take(each, 150)
    assert not decision.take(look(stage=1), 200), "that is answered already"
    assert said(decision, 200)[0].startswith("Saying to go back ...")
    assert decision.press("p", 210) is None
    decision.sent("web1 cannot be reached", 210)
    assert said(decision, 210)[0] == "Not said: web1 cannot be reached"
    assert decision.press("p", 211) == ("promote", 29)


def test_a_word_that_no_look_heard_is_asked_for_again() -> None:
    decision = asked()
    decision.press("p", READ)
    decision.sent("", 103)
    assert not decision.take(look(), 103 + HEARD_S)
    assert said(decision) == ["Said to go on."], "that look may have been under way before"
    assert not decision.take(look(), 104 + HEARD_S), "it is the same question"
    assert said(decision)[0].startswith(ASKED)


def test_once_a_run_goes_back_nobody_is_asked_any_more() -> None:
    decision = asked()
    decision.stop()
    assert not decision.take(look(), 101)
    assert said(decision) == []
