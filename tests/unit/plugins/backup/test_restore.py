"""Which backup a restore begins from, and where it goes."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup import restore
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plugins.backup.test_retention import DAY, NOW, record

STATES = ["passed", "bad", "unseen", "failed"]


def backup(days: float, state: str = "passed") -> dict[str, Any]:
    return record(days, state, point={"at": of.said(NOW - days * DAY + 60)})


catalogues = st.lists(
    st.builds(backup, st.integers(1, 300).map(lambda hours: hours / 24), st.sampled_from(STATES)),
    max_size=20,
    unique_by=lambda one: one["id"],
).map(lambda listed: sorted(listed, key=lambda one: one["id"]))


@given(catalogues, st.integers(0, 400))
def test_a_moment_is_reached_from_the_newest_good_backup_before_it(records: list[Any], hours: int) -> None:
    to = of.said(NOW - hours * 3600)
    before = [one for one in records if of.has_passed(one) and one["point"]["at"] <= to]
    try:
        found, target = restore.choose(records, "database", to, NOW)
    except of.Trouble:
        assert not before
        return
    assert target == {"time": to}
    assert found is before[-1]


@given(catalogues)
def test_the_last_that_was_streamed_is_reached_from_the_newest_good_one(records: list[Any]) -> None:
    good = [one for one in records if of.has_passed(one)]
    try:
        assert restore.choose(records, "database", "latest", NOW) == (good[-1], {"latest": True})
    except of.Trouble:
        assert not good


def test_a_backup_by_its_name_is_restored_to_its_own_point() -> None:
    listed = [backup(2), backup(1)]
    assert restore.choose(listed, "database", listed[0]["id"], NOW) == (listed[0], {"point": True})


@pytest.mark.parametrize(
    ("records", "to", "said"),
    [
        ([], "latest", "no backup of database has passed a check"),
        ([backup(1, "bad")], "latest", "no backup of database has passed a check"),
        ([backup(1)], "2026-11-20T00:00:00Z", "take a moment from 2026-11-25T03:01:00Z on"),
        ([backup(1)], "2026-12-20T00:00:00Z", "is not over yet"),
        ([backup(1)], "noon", "names no backup of database"),
        ([backup(1)], "2026-11-25T12:00:00", "names no backup of database"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(records: list[Any], to: str, said: str) -> None:
    with pytest.raises(of.Trouble, match=said):
        restore.choose(records, "database", to, NOW)


def test_a_moment_carries_its_zone() -> None:
    assert restore.moment("2026-11-26T03:00:00Z") == NOW == restore.moment("2026-11-26T05:00:00+02:00")
    assert restore.moment("2026-11-26T03:00:00") is None
