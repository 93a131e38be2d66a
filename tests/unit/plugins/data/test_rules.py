"""Rules for columns: what they leave open is refused by name, all at once, and never a value is told."""

import itertools
import json

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.data import copytext, find, plain, rules, work
from ansible_collections.ferryman.ops.plugins.module_utils.data.rules import Column
from hypothesis import given
from hypothesis import strategies as st

USERS = [
    Column("users", "id", "integer", nullable=False),
    Column("users", "email", "text", nullable=False),
    Column("users", "born_on", "date", nullable=False),
    Column("users", "photo", "bytea"),
    Column("users", "notes", "text"),
]
ENOUGH = {"users.email": "email", "users.photo": "remove", "users.born_on": "birth_date"}


def test_rules_that_leave_nothing_open_are_taken() -> None:
    assert rules.refusals(ENOUGH, USERS, {}) == []


@pytest.mark.parametrize(
    ("change", "found", "said"),
    [
        ({"users.emial": "email"}, {}, "users.emial is no column of this database; did you mean users.email?"),
        ({"users.notes": "scrubb"}, {}, "users.notes: scrubb is no rule; did you mean scrub?"),
        ({"users.notes": {"keep": " "}}, {}, "users.notes: a column is kept for a reason: {keep: REASON}"),
        ({"users.born_on": "remove"}, {}, "users.born_on: it may not be empty, so it cannot be removed"),
        ({"users.photo": "name"}, {}, "users.photo: of bytes only `remove` can be made, or {keep: REASON}"),
        ({}, {"users.notes": {"iban": 2, "email": 1}}, "users.notes holds personal data (1 times email, 2 times iban)"),
    ],
)
def test_a_rule_that_is_wrong_or_missing_is_refused_with_the_way_out(
    change: dict[str, object], found: dict[str, dict[str, int]], said: str
) -> None:
    refused = rules.refusals({**ENOUGH, **change}, USERS, found)
    assert len(refused) == 1
    assert refused[0].startswith(said)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(rules.refusals({}, USERS, {"users.notes": {"phone": 1}})) == 3


@pytest.mark.parametrize("name", ["email", "first_name", "homePhone", "billing_street", "ip_address", "last_login_ip"])
def test_a_column_that_is_called_like_personal_data_is_seen(name: str) -> None:
    assert rules.sounds_personal(name)


@pytest.mark.parametrize(
    "name", ["id", "name", "created_at", "description", "shipping_cost", "recipient_count", "zipped"]
)
def test_other_columns_are_not(name: str) -> None:
    assert not rules.sounds_personal(name)


@given(st.lists(st.none() | st.text(alphabet=st.characters(exclude_characters="\0")), min_size=1))
def test_a_row_survives_the_way_through_copy(values: list[str | None]) -> None:
    assert copytext.fields(copytext.line(values)) == values
    assert "\n" not in copytext.line(values)[:-1]


@given(st.text(max_size=200))
def test_each_character_that_is_read_stands_somewhere_in_the_text(text: str) -> None:
    seen = plain.read(text)
    assert len(seen.text) == len(seen.at)
    assert all(0 <= start < end <= len(text) for start, end in seen.at)
    assert [start for start, _ in seen.at] == sorted(start for start, _ in seen.at)


@given(st.text(max_size=200))
def test_what_is_found_lies_in_the_text_and_never_overlaps(text: str) -> None:
    found = find.shaped(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_json_keeps_its_shape_and_only_its_texts_change(value: object) -> None:
    changed = json.loads(work.in_json(json.dumps(value), lambda text: f"<{text}>"))
    assert json.loads(work.in_json(json.dumps(changed), lambda text: text[1:-1])) == value
