"""A verdict on what is live: too few are no good sign, and one that answers nobody is no quiet one.

Requirements: REL-5.
"""

from dataclasses import replace

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import facts, telling
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Arm, Evidence, Minute, Waiting
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.limits import Limits
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import live
from hypothesis import given
from hypothesis import strategies as st

AT = 6000.0


def evidence(requests: int, *, failed: int = 0, waiting: Waiting | None = None, old: facts.Pair = (0, 0)) -> Evidence:
    """Ten minutes in which so many came in each."""
    failing = frozenset(map(str, range(failed)))
    minutes = [Minute(AT - 60 * each, Arm(requests, failed, failing), Arm()) for each in range(10, 0, -1)]
    return Evidence(
        now=AT, since=AT - 600, until=AT, share=1.0, minutes=minutes, waiting=waiting, old_probes=old,
    )  # fmt: skip


def said(seen: Evidence) -> tuple[str, str, str]:
    found = live.verdict(seen, Limits())
    return found.word, found.rule, telling.record(found, seen)["sentence"]


@given(st.integers(0, 50))
def test_nothing_is_called_well_of_which_too_few_have_seen_anything(requests: int) -> None:
    found = live.verdict(evidence(requests), Limits())
    assert found.word == ("no_data" if 10 * requests < 20 else "promote")


def test_too_few_are_told_with_their_number() -> None:
    assert said(evidence(0)) == ("no_data", "few_requests", "Too few to judge: 0 requests in the last 10 min.")
    few = evidence(0)
    one = replace(few, minutes=[*few.minutes[:-1], Minute(AT - 60, Arm(1), Arm())])
    assert said(one)[2] == "Too few to judge: 1 request in the last 10 min."


def test_what_speaks_against_it_is_said_before_that_few_came() -> None:
    signal = facts.Signal("metric 'pool'", (0, 4), (4, 4), least_samples=4)
    assert said(replace(evidence(0), signals=(signal,)))[:2] == ("rollback", "signal")
    assert said(replace(evidence(0), signals=(replace(signal, back=False),)))[:2] == ("hold", "signal")


HANGING = Waiting((7, 0), (0, 0), 15.0)


@pytest.mark.parametrize(
    ("old", "word", "beside"),
    [
        ((4, 4), "rollback", "the old one answered 4 of 4 probes well"),
        ((1, 4), "hold", "the old one answered 1 of 4 probes well"),
        ((0, 0), "hold", "nobody has the old one to compare"),
    ],
)
def test_one_that_answers_nobody_goes_back_where_the_old_one_would_answer(
    old: facts.Pair, word: str, beside: str
) -> None:
    sentence = f"It hangs: 7 requests wait, and it answered none in the last 15 s; {beside}."
    seen = evidence(0, waiting=HANGING, old=old)
    assert said(seen) == (word, "stalled", sentence)
    assert live.verdict(seen, Limits()).ask is (word == "hold")
    assert said(replace(seen, waiting=replace(HANGING, hanging=(4, 0))))[:2] == (word, "stalled")


@pytest.mark.parametrize("waiting", [None, replace(HANGING, hanging=(3, 0)), replace(HANGING, answered=(1, 0))])
def test_a_few_that_wait_or_one_that_is_answered_say_nothing(waiting: Waiting | None) -> None:
    assert said(evidence(30, waiting=waiting, old=(4, 4)))[:2] == ("promote", "well")


def test_what_sends_back_anyway_does_so_by_its_own_rule() -> None:
    assert said(evidence(30, failed=10, waiting=HANGING))[:2] == ("rollback", "many_errors")
