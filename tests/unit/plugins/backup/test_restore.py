"""Which backup a restore begins from, and where it goes."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import choosing, restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
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
        found, target = choosing.choose(records, "database", to, NOW)
    except of.Trouble:
        assert not before
        return
    assert target == {"time": to}
    assert found is before[-1]


@given(catalogues)
def test_the_last_that_was_streamed_is_reached_from_the_newest_good_one(records: list[Any]) -> None:
    good = [one for one in records if of.has_passed(one)]
    try:
        assert choosing.choose(records, "database", "latest", NOW) == (good[-1], {"latest": True})
    except of.Trouble:
        assert not good


@given(catalogues, st.sets(st.integers(0, 19)))
def test_where_the_newest_does_not_lead_to_the_last_that_was_streamed_the_newest_that_does_is_taken_or_none(
    records: list[Any], astray: set[int]
) -> None:
    reasons = {one["id"]: f"reason {place}" for place, one in enumerate(records) if place in astray}
    good = [one for one in records if of.has_passed(one)]
    leading = [one for one in good if one["id"] not in reasons]

    def choose() -> tuple[Any, dict[str, Any]]:
        return choosing.choose(records, "database", "latest", NOW, lambda one: reasons.get(one["id"], ""))

    if leading:
        assert choose() == (leading[-1], {"latest": True})
    elif good:
        with pytest.raises(of.Trouble, match=f"{good[-1]['id']}: reason .*`backup.run --set database` begins anew"):
            choose()


class Works:
    """An engine whose last timeline is 5, which it follows since NOW."""

    def __init__(self, refusal: str = "") -> None:
        self.refused = refusal

    def line(self) -> int:
        return 5

    def refusal(self, _: Any) -> str:
        return self.refused

    def followed_since(self, _: int) -> float:
        return NOW


@pytest.mark.parametrize(
    ("line", "to", "refusal", "goes_on"),
    [
        (4, {"latest": True}, "", True),
        (5, {"latest": True}, "", False),
        (4, {"point": True}, "", False),
        (4, {"time": of.said(NOW + 1)}, "", True),
        (4, {"time": of.said(NOW - 1)}, "", False),
        (4, {"time": of.said(NOW + 1)}, "it does not lead there", False),
    ],
)
def test_recovery_goes_on_to_the_last_timeline_where_what_is_wanted_is_on_it_and_says_so(
    line: int, to: dict[str, Any], refusal: str, goes_on: bool
) -> None:
    one = {**backup(1), "engine_facts": {"begin_wal": f"{line:08X}0000000000000001"}}
    found = restore.along(Works(refusal), one, to)
    assert found == (one, {**to, "line": 5} if goes_on else to)
    said = "from timeline 4 it goes on to 5, which the source began after this backup"
    assert restore.crossing(*found) == (said if goes_on else "")


def test_a_backup_by_its_name_is_restored_to_its_own_point() -> None:
    listed = [backup(2), backup(1)]
    assert choosing.choose(listed, "database", listed[0]["id"], NOW) == (listed[0], {"point": True})


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
        choosing.choose(records, "database", to, NOW)


def test_a_moment_carries_its_zone() -> None:
    assert choosing.moment("2026-11-26T03:00:00Z") == NOW == choosing.moment("2026-11-26T05:00:00+02:00")
    assert choosing.moment("2026-11-26T03:00:00") is None
