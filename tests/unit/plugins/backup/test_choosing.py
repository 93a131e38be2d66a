"""Which backups a restore of every set takes, and one to a release: nothing from after, and a refusal that says all."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import choosing
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plugins.backup.test_retention import NOW, record

HOUR = 3600
OLD, NEW = "20261120T000000Z-aaaaaaa", "20261124T000000Z-bbbbbbb"


def backup(hours: int, kind: str = "database", state: str = "passed") -> dict[str, Any]:
    """A backup of so many hours ago; those of the database reach a minute further than they began."""
    began = NOW - hours * HOUR
    point = {"at": of.said(began + 60)} if kind == "database" else None
    return record(hours / 24, state, kind, point=point)


catalogues = st.lists(
    st.builds(
        backup, st.integers(1, 200), st.sampled_from(of.SETS), st.sampled_from(["passed", "point", "bad", "failed"])
    ),
    max_size=40,
    unique_by=lambda one: one["id"],
).map(lambda listed: sorted(listed, key=lambda one: one["id"]))


@given(catalogues, st.integers(0, 250))
def test_of_every_set_the_newest_good_one_before_the_moment_is_taken_and_nothing_later(
    records: list[Any], hours: int
) -> None:
    at = NOW - hours * HOUR
    before = {
        kind: [one for one in records if one["set"] == kind and of.is_restorable(one) and of.reaches(one) <= at]
        for kind in of.SETS
    }
    lacking = [kind for kind, listed in before.items() if not listed]
    if lacking:
        with pytest.raises(of.Trouble) as refused:
            choosing.whole(records, list(of.SETS), of.said(at), NOW, {})
        assert [kind for kind in of.SETS if f"{kind}: no" in str(refused.value)] == lacking
        return
    found = choosing.whole(records, list(of.SETS), of.said(at), NOW, {})
    assert {kind: one for kind, (one, _) in found.items()} == {kind: listed[-1] for kind, listed in before.items()}
    assert found["database"][1] == {"time": of.said(at)}


@given(catalogues.filter(lambda records: any(of.is_restorable(one) for one in records)), st.data())
def test_a_backup_that_is_named_says_of_which_moment_all_the_others_are(records: list[Any], data: Any) -> None:
    named = data.draw(st.sampled_from([one for one in records if of.is_restorable(one)]))
    try:
        found = choosing.whole(records, list(of.SETS), named["id"], NOW, {})
    except of.Trouble:
        return
    assert found[named["set"]][0] == named
    assert all(of.reaches(one) <= of.reaches(named) for one, _ in found.values())


def lives(**more: Any) -> dict[str, Any]:
    spans = {OLD: [[of.said(NOW - 100 * HOUR), of.said(NOW - 50 * HOUR)]], NEW: [[of.said(NOW - 50 * HOUR), None]]}
    return {name: {"spans": spans[name], "point": "", **more} for name in (OLD, NEW)}


def test_a_release_is_gone_back_to_by_the_newest_good_backup_of_its_time() -> None:
    records = [backup(101), backup(90), backup(60), backup(55, state="bad"), backup(40), backup(30, "media")]
    assert choosing.chosen(records, "database", OLD, NOW, lives()) == (records[2], {"point": True})
    assert choosing.chosen(records, "database", NEW, NOW, lives()) == (records[4], {"point": True})
    assert choosing.chosen(records, "media", NEW[:20], NOW, lives()) == (records[5], {"point": True})


@given(st.lists(st.integers(1, 120), unique=True, max_size=12), st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_of_a_release_that_was_live_several_times_no_backup_of_anothers_time_is_taken(
    taken: list[int], switches: list[int]
) -> None:
    """Two releases, live in turn between the switches."""
    moments = sorted({NOW - hours * HOUR for hours in switches})
    spans: dict[str, list[list[Any]]] = {OLD: [], NEW: []}
    for turn, (began, ended) in enumerate(zip(moments, [*moments[1:], None], strict=True)):
        spans[(OLD, NEW)[turn % 2]].append([of.said(began), of.said(ended) if ended else None])
    told = {name: {"spans": spans[name], "point": ""} for name in spans}
    records = sorted((backup(hours) for hours in taken), key=lambda one: one["id"])
    own = [
        one
        for one in records
        if any(
            of.moment(began) <= of.taken_at(one) and (not ended or of.taken_at(one) < of.moment(ended))
            for began, ended in spans[OLD]
        )
    ]
    try:
        assert choosing.during(records, "database", OLD, told) == own[-1]
    except of.Trouble:
        assert not own


@pytest.mark.parametrize(
    ("records", "release", "more", "said"),
    [
        ([backup(40)], OLD, {}, f"while {OLD} was live, there is one of {NEW}"),
        ([], OLD, {}, f"while {OLD} was live, and none while another one was"),
        (
            [backup(40)],
            OLD,
            {"point": "/var/dump"},
            f"`rollback --to {OLD} --with-database` takes its restore point, /var",
        ),
        (
            [backup(40)],
            "20261101T000000Z-ccccccc",
            {},
            f"names no release that was live; of database there is one of {NEW}",
        ),
    ],
)
def test_what_a_release_has_no_backup_of_is_refused_with_what_there_is(
    records: list[Any], release: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(of.Trouble) as refused:
        choosing.during(records, "database", release, lives(**more))
    assert said in str(refused.value)


def test_only_the_database_is_asked_whether_it_leads_to_what_was_streamed_last() -> None:
    def leads(one: dict[str, Any]) -> str:
        assert one["set"] == "database", "no other has a WAL"
        return ""

    records = [backup(9, kind) for kind in of.SETS]
    assert choosing.whole(records, list(of.SETS), "latest", NOW, {}, leads).keys() == set(of.SETS)
