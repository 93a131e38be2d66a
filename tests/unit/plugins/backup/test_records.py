"""Names, moments and damaged files."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plugins.backup.test_retention import NOW, record


@given(st.integers(0, 2**32), st.sampled_from(of.SETS))
def test_an_id_says_when_and_what(now: int, kind: str) -> None:
    found = of.ID.fullmatch(of.name(kind, now))
    assert found
    assert (of.moment(found[1]), found[2]) == (now, kind)
    assert of.moment(of.said(now)) == now


def test_an_unknown_set_is_named_with_those_that_there_are() -> None:
    with pytest.raises(of.Trouble, match="there is no set 'medai': take one of database, media, config"):
        of.name("medai", NOW)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"format": "1"}'])
def test_a_damaged_record_is_named_and_not_guessed_at(text: str) -> None:
    with pytest.raises(of.Trouble, match=r"records/x\.json is damaged"):
        of.read(text, "records/x.json")


@given(st.data())
def test_a_record_in_which_a_byte_flipped_is_never_taken_for_one(data: Any) -> None:
    text = of.written(record(1))
    assert of.read(text, "x")["id"] == record(1)["id"]
    place, other = data.draw(st.integers(0, len(text) - 1)), data.draw(st.characters(codec="ascii"))
    changed = text[:place] + other + text[place + 1 :]
    if changed.split() != text.split():  # spaces between words say nothing
        with pytest.raises(of.Trouble):
            of.read(changed, "x")


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(of.Trouble, match=r"written by a newer Ferryman \(format 2, this one reads 1\): upgrade"):
        of.read('{"format": 2}', "records/x.json")


def test_a_backup_is_found_by_the_beginning_of_its_id() -> None:
    listed = [record(0), record(1), record(1, kind="media")]
    assert of.find(listed, "20261125", "database") is listed[1]
    with pytest.raises(of.Trouble, match="'2026' names 2 backups"):
        of.find(listed, "2026", "database")
    with pytest.raises(of.Trouble, match="'2025' names no backup of database"):
        of.find(listed, "2025", "database")


def test_what_was_never_looked_at_and_what_failed_is_not_good() -> None:
    every = [record(0, state) for state in ("passed", "point", "bad", "unseen", "failed")]
    assert list(map(of.has_passed, every)) == [1, 0, 0, 0, 0]
    assert list(map(of.is_restorable, every)) == [1, 1, 0, 0, 0]
    assert list(map(of.has_failed_check, every)) == [0, 0, 1, 0, 0]
