"""Stages: which clients a share means, what the log counts per arm, and when a release is sent back for it."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import shift, stages
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import other
from ansible_collections.ferryman.ops.plugins.module_utils.release.stages import Arm, Log
from hypothesis import given
from hypothesis import strategies as st

counts = st.integers(0, 10_000)
arms = st.builds(lambda requests, errors: Arm(requests, min(errors, requests)), counts, counts)


@given(st.sampled_from(["blue", "green"]), st.integers(1, 98))
def test_a_share_that_grows_moves_nobody_back(slot: str, percent: int) -> None:
    def served(share: int) -> set[int]:
        green = {bucket for bucket in range(shift.BUCKETS) if bucket < stages.share_of(slot, share)}
        return green if slot == "green" else {*range(shift.BUCKETS)} - green

    assert len(served(percent)) == percent
    assert served(percent) < served(percent + 1)
    for bucket, seen in stages.expected(slot, percent).items():
        assert seen == (slot if bucket in served(percent) else other(slot))


@given(arms, arms)
def test_a_release_that_fails_no_oftener_than_the_old_one_stays(new: Arm, old: Arm) -> None:
    bad = stages.judge(new, old)
    if bad:
        assert new.rate > old.rate
        assert new.errors > stages.ENOUGH
        assert not stages.judge(old, new)
    assert not stages.judge(new, new)


def test_a_release_that_fails_one_request_in_eight_goes_back_and_a_few_failures_decide_nothing() -> None:
    assert "12 of 96 requests to the new release failed, 0 of 900" in stages.judge(Arm(96, 12), Arm(900, 0))
    assert not stages.judge(Arm(5, 5), Arm(900, 0))
    assert not stages.judge(Arm(96, 12), Arm(900, 110)), "the old one fails as often: something else is at fault"


def line(arm: str, status: int, *, first: int | None = None) -> str:
    return json.dumps({"arm": arm, "status": status, "upstream_status": first}) + "\n"


def test_the_log_is_counted_from_now_on_per_arm_over_a_rotation_and_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "shop.access.json"
    path.write_text(line("green", 500) * 7)
    log = Log(path)
    with path.open("a") as stream:
        stream.write(line("green", 200) + line("blue", 200, first=502) + "no JSON\n" + line("", 500) + '{"arm": "gre')
    assert (log.read()["green"], log.read()["blue"]) == (Arm(1, 0), Arm(1, 1))
    with path.open("a") as stream:
        stream.write('en", "status": 500, "upstream_status": null}\n')
    assert log.read()["green"] == Arm(2, 1)
    path.rename(tmp_path / "shop.access.json.1")
    path.write_text(line("green", 200))
    assert log.read()["green"] == Arm(3, 1)


def test_where_nothing_was_logged_yet_nothing_is_counted(tmp_path: Path) -> None:
    assert Log(tmp_path / "none").read() == {"blue": Arm(), "green": Arm()}


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_all_clients_are_a_share_too(slot: str) -> None:
    assert stages.share_of(slot, shift.BUCKETS) == shift.full(slot)


@given(st.lists(st.integers(-2, 102), max_size=4))
def test_stages_are_refused_but_for_growing_shares_below_all(shares: list[int]) -> None:
    fit = all(0 < share < shift.BUCKETS for share in shares) and all(a < b for a, b in pairwise(shares))
    assert (stages.refusal([{"share": share, "for_s": 1} for share in shares]) == "") == fit
