"""Stages: which clients a share means, and which shares are fit."""

from itertools import pairwise
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import shift, stages
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import other
from hypothesis import given
from hypothesis import strategies as st


@given(st.sampled_from(["blue", "green"]), st.integers(1, 98))
def test_a_share_that_grows_moves_nobody_back(slot: str, percent: int) -> None:
    def served(share: int) -> set[int]:
        green = {bucket for bucket in range(shift.BUCKETS) if bucket < stages.share_of(slot, share)}
        return green if slot == "green" else {*range(shift.BUCKETS)} - green

    assert len(served(percent)) == percent
    assert served(percent) < served(percent + 1)
    for bucket, seen in stages.expected(slot, percent).items():
        assert seen == (slot if bucket in served(percent) else other(slot))


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_all_clients_are_a_share_too(slot: str) -> None:
    assert stages.share_of(slot, shift.BUCKETS) == shift.full(slot)


@given(st.lists(st.integers(-2, 102), max_size=4))
def test_stages_are_refused_but_for_growing_shares_below_all(shares: list[int]) -> None:
    fit = all(0 < share < shift.BUCKETS for share in shares) and all(a < b for a, b in pairwise(shares))
    assert (stages.refusal([{"share": share, "for_s": 1} for share in shares]) == "") == fit


stages_of = st.lists(st.fixed_dictionaries({"share": st.integers(1, 99), "for_s": st.floats(0, 1000)}), max_size=4)


@given(stages_of, stages_of)
def test_a_hotfix_has_its_own_stages_or_those_of_any_release_for_a_minute_at_most(told: Any, own: Any) -> None:
    found = stages.of_hotfix(told, own)
    if own:
        assert found == own
    else:
        assert [each["share"] for each in found] == [each["share"] for each in told]
        assert [each["for_s"] for each in found] == [min(each["for_s"], 60) for each in told]


def test_stages_that_are_not_fit_are_named_by_their_option() -> None:
    wrong = [{"share": 50, "for_s": 1}, {"share": 10, "for_s": 1}]
    assert stages.refusal(wrong).startswith("the shares of release_stages are 50, 10")
    assert stages.refusal(wrong, option="release_hotfix_stages").startswith("the shares of release_hotfix_stages are")
