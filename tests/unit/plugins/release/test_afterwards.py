"""Once a release is live: how long its host watches it, and of what that watch still is."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import afterwards
from ansible_collections.ferryman.ops.plugins.module_utils.release.lock import Now
from hypothesis import given
from hypothesis import strategies as st

TOLD = {"slot": "green", "release": "r2", "before": "r1", "boot": "b", "until": 1000.0}
LIVE = {"phase": "stable", "stable": "green", "release_stable": "r2", "candidate": None}
OTHERS: list[dict[str, Any]] = [
    {"phase": "shifting", "candidate": "blue"},
    {"phase": "doubt"},
    {"stable": "blue"},
    {"release_stable": "r3"},
]


def moment(boottime: float, boot: str = "b") -> Now:
    return Now(boottime=boottime, boot=boot, utc="")


@given(st.floats(0, 2000))
def test_a_watch_goes_on_for_the_old_slots_warm_time_and_no_longer(boottime: float) -> None:
    assert afterwards.goes_on(TOLD, LIVE, moment(boottime), holds="r1") == (boottime < 1000)


@given(st.sampled_from(OTHERS), st.floats(0, 999))
def test_it_is_over_once_anything_else_is_done_with_what_is_live(other: dict[str, Any], boottime: float) -> None:
    assert not afterwards.goes_on(TOLD, {**LIVE, **other}, moment(boottime), holds="r1")


@given(st.sampled_from(["", "r3"]), st.floats(0, 999))
def test_nobody_goes_back_to_what_a_deploy_left_in_the_old_slot_that_came_to_nothing(
    holds: str, boottime: float
) -> None:
    assert not afterwards.goes_on(TOLD, LIVE, moment(boottime), holds=holds)


def test_it_is_over_after_a_reboot_since_the_old_slot_is_cold() -> None:
    assert not afterwards.goes_on(TOLD, LIVE, moment(10, boot="another"), holds="r1")
