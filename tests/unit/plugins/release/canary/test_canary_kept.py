"""What the ledger keeps of a run's verdicts: each end of a stage, and a bounded number of what held one up."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import canary_kept
from hypothesis import given
from hypothesis import strategies as st

GISTS = [
    ("hold", "time", False),
    ("hold", "shared", False),
    ("hold", "shared", True),
    ("no_data", "few", False),
    ("no_data", "few", True),
    ("promote", "time", False),
    ("rollback", "errors", False),
]


def kept(gists: list[tuple[str, str, bool]]) -> list[dict[str, Any]]:
    found, last = list[canary_kept.Record](), None
    for at, (word, rule, ask) in enumerate(gists):
        record = {"verdict": word, "rule": rule, "ask": ask, "at": at, "draws": [1]}
        found = canary_kept.kept(found, record, last=last)
        last = None if word == "promote" else record
    return [dict(each) for each in found]


def told(gists: list[tuple[str, str, bool]]) -> list[int]:
    return [each["at"] for each in kept(gists)]


def test_a_hold_is_kept_with_its_first_look_and_again_once_somebody_is_asked() -> None:
    assert told([GISTS[0], GISTS[1], GISTS[1], GISTS[2], GISTS[2], GISTS[0], GISTS[1], GISTS[5]]) == [1, 3, 6, 7]


def test_that_time_is_not_over_or_few_have_come_yet_is_no_news() -> None:
    assert told([GISTS[3], GISTS[0], GISTS[3], GISTS[4], GISTS[5]]) == [3, 4]


def test_a_question_in_the_next_stage_is_another_one() -> None:
    assert told([GISTS[4], GISTS[5], GISTS[4]]) == [0, 1, 2]


@given(st.lists(st.sampled_from(GISTS), max_size=200))
def test_of_what_flutters_the_last_ones_are_kept_and_of_what_ended_stages_all(
    gists: list[tuple[str, str, bool]],
) -> None:
    found = kept(gists)
    ends = [each["at"] for each in found if each["verdict"] in canary_kept.ENDS]
    assert ends == [at for at, (word, _, _) in enumerate(gists) if word in ("promote", "rollback")]
    holds = [each for each in found if each["verdict"] not in canary_kept.ENDS]
    assert len(holds) <= canary_kept.HOLDS
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    assert all(("draws" in each) is (each["verdict"] in canary_kept.ENDS) for each in found)


def test_the_newest_holds_stay() -> None:
    assert told([GISTS[0], GISTS[1]] * 30) == list(range(21, 60, 2))
