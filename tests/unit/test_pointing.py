"""What people read of a rollback that takes the database along."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ferryman import pointing, telling

NUMBER = st.one_of(st.none(), st.integers(0, 10**7))
TABLE = st.fixed_dictionaries(
    {
        "table": st.text("abc_.", min_size=1, max_size=20),
        **dict.fromkeys(("now", "then", "changed"), NUMBER),
        **dict.fromkeys(("added", "deleted"), st.integers(0, 10**7)),
        "going": st.dictionaries(st.text("xyz", min_size=1), st.integers(0, 9), max_size=2),
        **dict.fromkeys(("returning", "uncompared"), st.lists(st.text("xyz", min_size=1), max_size=2)),
    }
)
POINT = {"path": "/dumps/b.dump", "sha256": "sum", "at": "then", "before": "b"}


def table(**more: Any) -> dict[str, Any]:
    same = {"table": "notes", "now": 3, "then": 2, "added": 1, "changed": 0, "deleted": 0}
    return {**same, "going": {}, "returning": [], "uncompared": [], **more}


@given(st.lists(TABLE, min_size=1, max_size=5))
def test_every_table_has_a_line_and_what_nobody_knows_is_no_zero(lost: list[dict[str, Any]]) -> None:
    head, *lines = pointing.table(lost)
    for each, line in zip(lost, lines, strict=False):
        cells = line.split()
        assert cells[0] == each["table"]
        for key, cell in zip(("now", "then", "added", "changed", "deleted"), cells[1:], strict=True):
            assert cell == str(each[key]) if each[key] is not None else cell in ("-", "?")
    assert all(len(line) == len(head) for line in lines[: len(lost)])
    told = "\n".join(lines)
    assert all(f"{each['table']}.{column} goes" in told for each in lost for column in each["going"])


def test_nothing_that_was_written_is_said_in_a_sentence() -> None:
    assert pointing.table([]) == ["Nothing was written since: every table is as it was then"]


def test_a_table_without_a_key_says_how_its_rows_are_counted() -> None:
    told = pointing.table([table(changed=None)])
    assert told[1].split() == ["notes", "3", "2", "1", "?", "0"]
    assert "no primary key" in told[2]


def test_the_question_names_both_releases_the_dump_and_what_is_lost() -> None:
    said = pointing.question("prod", {"release": "a", "previous": "c", "point": POINT}, [table()])
    assert all(word in said for word in ("prod goes back from c to a", "before the migration of b", "/dumps/b.dump"))
    assert "notes" in said


def test_the_summary_says_where_what_was_left_lies_and_how_it_goes() -> None:
    told = {"environment": "prod", "app": "shop", "kept": "shop_ferryman_left", "point": POINT, "lost": [table()]}
    said = "\n".join(pointing.done(told))
    assert "shop_ferryman_left" in said
    assert "dropdb" in said
    report = {**told, "status": "live", "release": "a", "previous": "c", "duration_s": 1.0, "url": "u", "ca": "",
              "command": "rollback"}  # fmt: skip
    assert said in telling.summary(report)
    assert "goes back" not in telling.summary(report), "a rollback to what was left would be on the wrong data"


def test_releases_say_what_came_back_with_the_database_and_nothing_of_one_that_did_not() -> None:
    line = {"with_database": {**POINT, "lost": [table(), table(table="other", changed=None)], "kept": "left"}}
    assert "2 added, at least 0 changed, 0 deleted" in pointing.entry(line)
    assert not pointing.entry({"with_database": POINT})
    assert not pointing.entry({})


def test_a_request_that_may_have_come_late_is_told() -> None:
    told = {"kept": "k", "point": POINT, "environment": "prod", "app": "", "lost": [table()]}
    late = [line for line in pointing.done({**told, "under_way_s": 30.0}) if line not in pointing.done(told)]
    assert late == [
        "whether requests from before the page had ended was not known after 30 s (release_drain_s):",
        "what one of them wrote after that is in the database that serves",
    ]
