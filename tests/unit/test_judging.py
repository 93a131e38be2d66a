"""What people read of a verdict on the live release."""

from typing import Any

import pytest

from ferryman import judging

ARMS = {"new": {"requests": 1200, "failed": 3, "p95_s": 0.12}, "old": {"requests": 0, "failed": 0, "p95_s": 0.0}}
TOLD: dict[str, Any] = {
    "environment": "prod", "app": "notes", "release": "r2", "rollback_to": "r1", "arms": ARMS, "asked_s": 600,
    "stage_s": 600.0, "verdict": "promote", "rule": "time", "sentence": "Nothing speaks against it in the last 10 min.",
}  # fmt: skip
FEW = {"verdict": "no_data", "rule": "few_requests", "sentence": "Too few to judge: 3 requests in the last 10 min."}


def test_nothing_is_to_be_typed_where_nothing_speaks_against_it() -> None:
    assert judging.page(TOLD).splitlines() == [
        "r2 on prod, the last 10 min: 3 of 1,200 requests failed, p95 120 ms",
        "Nothing speaks against it in the last 10 min.",
    ]


def test_of_too_few_nothing_is_said_but_that() -> None:
    text = judging.page({**TOLD, **FEW})
    assert "speaks against" not in text
    assert text.endswith("Too few to judge: 3 requests in the last 10 min.\nNothing can be said yet.")


def test_where_both_are_ill_no_way_back_is_named_that_would_not_help() -> None:
    ill = {"verdict": "hold", "rule": "shared", "sentence": "Old is as bad as new: to go back would not help."}
    assert judging.page({**TOLD, **ill}).splitlines()[1:] == [ill["sentence"], "Somebody must decide."]


@pytest.mark.parametrize(
    ("stage_s", "reach"), [(600.4, "10 min:"), (599.2, "9 min 59 s (all that"), (200.0, "3 min 20 s (all that")]
)
def test_it_says_how_far_back_it_goes(stage_s: float, reach: str) -> None:
    assert f"r2 on prod, the last {reach}" in judging.page({**TOLD, "stage_s": stage_s})


@pytest.mark.parametrize(
    ("verdict", "said"), [("rollback", "It is worth going back: "), ("hold", "Somebody must decide: ")]
)
def test_what_speaks_against_it_comes_with_what_to_type(verdict: str, said: str) -> None:
    told = {**TOLD, "verdict": verdict, "rule": "stalled"}
    last = judging.page(told).splitlines()[-1]
    assert last.startswith(said)
    assert "rollback --env prod --app notes` goes back to r1." in last
    assert judging.page({**told, "rollback_to": ""}).endswith("there is no release to go back to.")
