"""What is compared before a copy takes a database's place."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.data import copying
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Trouble
from hypothesis import given
from hypothesis import strategies as st

TABLES = st.dictionaries(st.text(min_size=1), st.integers(0, 10**9))


@given(TABLES, TABLES)
def test_every_table_with_other_rows_is_told_and_no_other(wanted: dict[str, int], found: dict[str, int]) -> None:
    told = copying.differences(wanted, found)
    assert len(told) == len({name for name, _ in wanted.items() ^ found.items()})


def test_a_table_that_is_missing_is_told_as_such() -> None:
    assert copying.differences({"a": 1}, {}) == ["a has no table and no rows and should have 1"]


def test_a_name_that_would_be_cut_off_is_refused() -> None:
    with pytest.raises(Trouble, match="take a shorter name"):
        copying.Exchange("x" * 60, 5432)


@given(st.text())
def test_a_text_stays_one_text_in_sql(text: str) -> None:
    assert copying.literal(text)[1:-1].replace("''", "").count("'") == 0
