"""What two states of a table differ in, against a plain count of the same."""

from collections import Counter
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.data import comparing
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text("abc", max_size=2)
KEYED = st.dictionaries(TEXT, TEXT, max_size=12)
ROWS = st.lists(TEXT, max_size=12)
COLUMNS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["integer", "text"]))
NUMBER = st.one_of(st.none(), st.integers(0, 99))
PART = st.fixed_dictionaries(
    {
        **dict.fromkeys(comparing.COUNTS, NUMBER),
        "going": st.dictionaries(TEXT, st.integers(0, 9)),
        **dict.fromkeys(comparing.LISTS, st.lists(TEXT)),
    }
)


@given(KEYED, KEYED)
def test_rows_with_a_key_came_changed_or_went_and_each_is_counted_once(
    now: dict[str, str], then: dict[str, str]
) -> None:
    told = comparing.counted(sorted(now.items()), sorted(then.items()))
    assert told == {
        "now": len(now),
        "then": len(then),
        "added": len(now.keys() - then.keys()),
        "changed": sum(now[key] != then[key] for key in now.keys() & then.keys()),
        "deleted": len(then.keys() - now.keys()),
    }


@given(ROWS, ROWS)
def test_rows_without_a_key_are_held_against_equal_ones_one_for_one(now: list[str], then: list[str]) -> None:
    told = comparing.counted(((row, row) for row in sorted(now)), ((row, row) for row in sorted(then)))
    here, there = Counter(now), Counter(then)
    assert (told["added"], told["deleted"]) == ((here - there).total(), (there - here).total())
    assert (told["now"], told["then"], told["changed"]) == (len(now), len(then), 0)


@given(COLUMNS, COLUMNS)
def test_every_column_is_compared_or_told_to_go_to_come_back_or_to_be_another(
    now: dict[str, str], then: dict[str, str]
) -> None:
    pair = comparing.paired(now, then, keys=(sorted(now)[:1], sorted(then)[:1]))
    told = [*pair.columns, *pair.going, *pair.returning, *pair.uncompared]
    assert sorted(told) == sorted({*now, *then})
    assert all(now[name] == then[name] for name in pair.columns)
    assert set(pair.key) <= set(pair.columns), "a key that is not alike on both sides pairs nothing"


def test_a_key_that_was_another_is_none() -> None:
    alike = {"a": "integer", "b": "integer"}
    assert comparing.paired(alike, alike, keys=(["a"], ["a"])).key == ["a"]
    assert not comparing.paired(alike, alike, keys=(["a"], ["b"])).key
    assert not comparing.paired(alike, alike, keys=(["a", "b"], ["b", "a"])).key


@given(PART, PART)
def test_parts_of_a_table_add_up_and_what_nobody_knows_of_both_stays_unknown(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    told = comparing.joined(one, two)
    for key in comparing.COUNTS:
        assert (told[key] is None) == (one[key] is None and two[key] is None)
        assert (told[key] or 0) == (one[key] or 0) + (two[key] or 0)
    assert sum(told["going"].values()) == sum(one["going"].values()) + sum(two["going"].values())
