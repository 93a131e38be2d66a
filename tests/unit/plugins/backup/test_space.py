"""Whether there is room, asked before anything is written."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import space
from hypothesis import given
from hypothesis import strategies as st

sizes = st.integers(0, 10**14)


@given(sizes, sizes, sizes, sizes)
def test_what_is_allowed_leaves_free_what_must_stay_free(needed: int, free: int, total: int, keep: int) -> None:
    verdict = space.judge(needed, space.Room(free, total), keep, "disk")
    assert verdict.enough == (free - needed >= space.floor(total, keep))
    assert verdict.missing == max(0, needed + space.floor(total, keep) - free)
    assert verdict.enough == (verdict.missing == 0)


@given(sizes, sizes, st.integers(1, 10**12))
def test_more_room_never_turns_a_yes_into_a_no(needed: int, free: int, more: int) -> None:
    total = free + more
    if space.judge(needed, space.Room(free, total), 10**9, "disk").enough:
        assert space.judge(needed, space.Room(free + more, total), 10**9, "disk").enough


@given(sizes, st.none() | sizes)
def test_the_next_backup_is_expected_to_be_no_smaller_than_its_source_or_the_last_one(source: int, last: int) -> None:
    assert space.need(source, last) >= max(source, last or 0)


@pytest.mark.parametrize("room", [space.Room(None, 10), space.Room(10, None), space.Room(None, None)])
def test_no_data_is_no_room(room: space.Room) -> None:
    verdict = space.judge(0, room, 0, "disk")
    assert (verdict.enough, verdict.said) == (False, "disk: nobody could say how much is free")


def test_what_is_wanting_is_said_in_bytes_that_people_read() -> None:
    verdict = space.judge(3 * 10**9, space.Room(10**9, 10**10), 5 * 10**8, "/srv/backups")
    said = "/srv/backups: 3.0 GB are needed and 500.0 MB must stay free, and 1.0 GB are free: 2.5 GB too little"
    assert verdict.said == said


@given(st.integers(0, 10**12), st.integers(1, 10**9), st.integers(1, 300))
def test_days_until_full_are_those_of_the_straight_line(free: int, a_day: int, days: int) -> None:
    samples = [(0.0, 0), (days * 86400.0, a_day * days)]
    assert space.days_until_full(free, samples) == pytest.approx(free / a_day)


@pytest.mark.parametrize(
    "samples", [[], [(0.0, 5)], [(0.0, 5), (86400.0, 5)], [(0.0, 5), (86400.0, 1)], [(0.0, 5), (60.0, 10**8)]]
)
def test_a_disk_that_is_not_filling_is_never_full(samples: list[tuple[float, int]]) -> None:
    assert space.days_until_full(10**9, samples) is None
