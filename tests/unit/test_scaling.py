"""What `scale` takes, and what it says."""

import pytest

from ferryman import errors, outcomes, scaling
from ferryman.runs import Ended

TOLD = {
    "environment": "prod", "app": "", "release": "r", "instances": {"web": 5}, "was": {"web": 2}, "hosts": ["a", "b"],
    "emptied": {}, "changes": [], "changed": True, "check": False, "duration_s": 3.0,
}  # fmt: skip


def test_counts_are_read_by_name_and_one_may_be_given_back() -> None:
    assert scaling.read(["web=5", "worker=declared"]) == {"web": 5, "worker": "declared"}


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ([], "no process named"),
        (["web"], "'web' is no count of a process"),
        (["web=many"], "'web=many' is no count"),
        (["web=-1"], "'web=-1' is no count"),
        (["web=2", "web=3"], "web is named twice"),
    ],
)
def test_what_is_no_count_is_refused_before_anything_is_asked(size: list[str], said: str) -> None:
    with pytest.raises(errors.Stop, match=said) as stopped:
        scaling.scale("prod", app="", size=size, wait=0, check=False)
    assert stopped.value.hint
    assert stopped.value.code == errors.REFUSED


def test_the_end_says_what_was_and_what_is() -> None:
    assert scaling.page(TOLD) == "prod has web 5 (before 2) on each of a, b (3.0 s)"
    assert scaling.page({**TOLD, "changed": False}).endswith("on each of a, b already")
    assert "websockets" in scaling.page({**TOLD, "emptied": {"entry1": True, "entry2": False}})
    would = {**TOLD, "check": True, "changes": [{"host": "a", "did": ["shop-web@blue-3.service started"]}]}
    assert scaling.page(would).splitlines() == [
        "prod would have web 5 (before 2) on each of a, b; nothing was changed",
        "  a: shop-web@blue-3.service started",
    ]


@pytest.mark.parametrize(
    ("touched", "returned", "status", "code"),
    [
        (False, True, "failed", errors.REFUSED),
        (True, True, "failed", errors.RETURNED),
        (True, False, "failed", errors.NEEDS_PERSON),
        (True, True, "unknown", errors.NEEDS_PERSON),
    ],
)
def test_the_exit_code_tells_whether_all_is_as_it_was(touched: bool, returned: bool, status: str, code: int) -> None:
    story = outcomes.Story(touched=touched, returned=returned, failure={"refused": not touched})
    assert scaling._code(story, Ended(status, 1.0)) == code
