"""What is compared before a copy takes a database's place."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.data import copying, database
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Trouble
from hypothesis import given
from hypothesis import strategies as st

TABLES = st.dictionaries(st.text(min_size=1), st.integers(0, 10**9))


@given(TABLES, TABLES)
def test_every_table_with_other_rows_is_told_and_no_other(wanted: dict[str, int], found: dict[str, int]) -> None:
    told = copying.differences(wanted, found)
    assert len(told) == len({name for name, _ in wanted.items() ^ found.items()})


def test_a_table_that_is_missing_is_told_as_such() -> None:
    assert copying.differences({"a": 1}, {}) == ["a has no rows and should have 1"]


def test_a_name_that_would_be_cut_off_is_refused() -> None:
    with pytest.raises(Trouble, match="take a shorter name"):
        copying.Exchange("x" * 60, 5432)


def test_privileges_are_those_that_were_given_and_no_others() -> None:
    told = [["CONNECT", False, "shop"], ["TEMPORARY", True, '"a b"']]
    assert copying.grants("shop new", told) == [
        'revoke all on database "shop new" from public',
        'grant CONNECT on database "shop new" to shop',
        'grant TEMPORARY on database "shop new" to "a b" with grant option',
    ]


def test_a_list_among_settings_stays_a_list_and_a_text_a_text() -> None:
    told = [(None, 'search_path=app, "$user"'), ("shop", "application_name=it's = me")]
    assert copying.settings("s", told) == [
        'alter database "s" set "search_path" to app, "$user"',
        """alter role shop in database "s" set "application_name" to 'it''s = me'""",
    ]


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        (
            (
                "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 2; 3079 16385 EXTENSION postgis\n"
                'pg_restore: error: could not execute: ERROR:  extension "postgis" is not available\nDETAIL: row 7'
            ),
            'could not execute: ERROR:  extension "postgis" is not available',
        ),
        ("pg_dump: something else\nmore", "pg_dump: something else"),
        ("", "exit code 3"),
    ],
)
def test_the_reason_is_found_in_what_a_program_complains(complaint: str, told: str) -> None:
    assert database.reason(complaint, 3) == told


@given(st.text())
def test_a_text_stays_one_text_in_sql(text: str) -> None:
    assert copying.literal(text)[1:-1].replace("''", "").count("'") == 0
