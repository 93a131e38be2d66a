"""What is kept and why, over thousands of catalogues."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup import retention
from hypothesis import given
from hypothesis import strategies as st

NOW = of.moment("2026-11-26T03:00:00Z")
DAY = retention.DAY_S
RULE = retention.Rule(keep_days=7, keep_years={})


def record(days: float, state: str = "passed", kind: str = "database", **more: Any) -> dict[str, Any]:
    """A backup of so many days ago; `state` is passed, point, bad, unseen or failed."""
    began = NOW - days * DAY
    result = {"passed": "passed", "point": "point", "bad": "failed"}.get(state)
    check = {"result": result, "findings": []} if result else None
    return {
        "format": 1, "id": of.name(kind, began), "set": kind, "began_at": of.said(began),
        "result": "failed" if state == "failed" else "taken", "check": check, "held_until": "", "reason": "",
        "duration_s": 6.8, **more,
    }  # fmt: skip


def why(records: list[dict[str, Any]], rule: retention.Rule = RULE, now: float = NOW) -> dict[str, tuple[bool, str]]:
    return {kept.id: (kept.keep, kept.why) for kept in retention.decide(records, rule, now)}


catalogues = st.lists(
    st.builds(
        record,
        st.integers(0, 800 * 24).map(lambda hours: hours / 24),
        st.sampled_from(["passed", "point", "bad", "unseen", "failed"]),
        st.sampled_from(of.SETS),
        held_until=st.sampled_from(["", "2026-11-25T00:00:00Z", "2026-12-24T00:00:00Z"]),
    ),
    max_size=40,
    unique_by=lambda one: one["id"],
)
rules = st.builds(
    retention.Rule,
    st.integers(1, 60),
    st.dictionaries(st.sampled_from(of.SETS), st.integers(0, 3)),
)


@given(catalogues, rules)
def test_nothing_goes_before_a_newer_backup_of_its_set_has_passed(records: list[Any], rule: retention.Rule) -> None:
    by_id = {one["id"]: one for one in records}
    for gone in retention.expired(records, rule, NOW):
        newer = (
            one
            for one in records
            if one["set"] == by_id[gone]["set"] and one["began_at"] > by_id[gone]["began_at"] and of.has_passed(one)
        )
        assert any(newer)


@given(catalogues, rules)
def test_every_moment_of_the_days_that_are_kept_stays_within_reach(records: list[Any], rule: retention.Rule) -> None:
    """What could be gone back to before pruning can be gone back to after it."""
    gone = set(retention.expired(records, rule, NOW))
    left = [one for one in records if one["id"] not in gone]
    for kind in of.SETS:
        for hours in range(0, rule.keep_days * 24, 5):
            moment = NOW - hours * 3600

            def reaches(some: list[Any], kind: str = kind, moment: float = moment) -> bool:
                return any(of.is_restorable(one) and one["set"] == kind and of.taken_at(one) <= moment for one in some)

            assert reaches(left) == reaches(records)


@given(catalogues, rules)
def test_pruning_twice_prunes_nothing_more_and_each_backup_is_answered_once(
    records: list[Any], rule: retention.Rule
) -> None:
    decided = retention.decide(records, rule, NOW)
    assert sorted(kept.id for kept in decided) == sorted(one["id"] for one in records)
    assert all(kept.why for kept in decided)
    left = [one for one in records if one["id"] not in {kept.id for kept in decided if not kept.keep}]
    assert retention.expired(left, rule, NOW) == []


@given(catalogues, rules, st.randoms())
def test_the_order_of_the_catalogue_decides_nothing(records: list[Any], rule: retention.Rule, random: Any) -> None:
    shuffled = random.sample(records, len(records))
    assert retention.decide(shuffled, rule, NOW) == retention.decide(records, rule, NOW)


@given(catalogues, rules)
def test_what_is_held_and_what_is_young_stays(records: list[Any], rule: retention.Rule) -> None:
    gone = set(retention.expired(records, rule, NOW))
    for one in records:
        young = NOW - of.taken_at(one) < rule.keep_days * DAY
        held = one["held_until"] and of.moment(one["held_until"]) > NOW
        assert not ((young or held) and one["id"] in gone)


def test_each_reason_is_said() -> None:
    listed = [record(0.5, "unseen"), record(1), record(3, "bad"), record(7.5), record(8.5), record(9, "bad")]
    said = why(listed)
    assert [said[one["id"]] for one in listed] == [
        (True, "no newer one has passed its check"),
        (True, "the newest that passed its check"),
        (True, "younger than 7 days"),
        (True, "every moment of the last 7 days is reached from it"),
        (False, "older than 7 days, and newer ones have passed"),
        (False, "older than 7 days, and newer ones have passed"),
    ]


def test_a_backup_that_did_not_pass_never_stands_in_for_one_that_did() -> None:
    listed = [record(40), record(30, "bad"), record(20, "unseen"), record(10, "failed")]
    assert retention.expired(listed, RULE, NOW) == []


def test_a_set_is_not_thinned_out_by_another() -> None:
    assert retention.expired([record(40, kind="media"), record(1, kind="database")], RULE, NOW) == []


def test_the_first_good_one_of_each_month_is_kept_for_years_where_the_set_is_chosen() -> None:
    months = [record(days) for days in range(0, 400, 10)]
    rule = retention.Rule(7, {"database": 1})
    kept = [one for one in months if one["id"] not in retention.expired(months, rule, NOW)]
    assert len(kept) == 2 + 12  # the newest, the one that reaches back, and a first of each month of the last year
    assert why(months, rule)[months[36]["id"]] == (True, "the first good one of 2025-12, kept for 1 years")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (retention.Rule(0, {}), "backup_keep_days: 0 would keep nothing; 1 or more"),
        (retention.Rule(7, {"medai": 3}), "backup_keep_years.medai: there is no such set"),
        (retention.Rule(7, {"media": -1}), "backup_keep_years.media: -1 is less than none"),
    ],
)
def test_a_rule_that_is_a_typo_is_refused(rule: retention.Rule, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        retention.decide([], rule, NOW)
