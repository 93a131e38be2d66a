"""Names and places of the write-ahead log."""

from ansible_collections.ferryman.ops.plugins.module_utils.backup import wal
from hypothesis import given
from hypothesis import strategies as st

lines = st.integers(1, 9)
segments = st.integers(0, 2**20)
DUMP = """
rmgr: Transaction len (rec/tot):     34/    34, tx:        741, lsn: 0/05000130, prev 0/050000F0, desc: COMMIT 2026-11-26
rmgr: Transaction len (rec/tot):     34/    34, tx:        742, lsn: 0/05000158, prev 0/05000130, desc: ABORT 2026-11-26
rmgr: Transaction len (rec/tot):     66/    66, tx:          0, lsn: 0/05000180, prev 0/05000158, desc: COMMIT_PREPARED 740: 2026
rmgr: Transaction len (rec/tot):     62/    62, tx:        744, lsn: 0/050001C8, prev 0/05000180, desc: INVALIDATION ; inval msgs
"""  # noqa: E501 -- as pg_waldump prints it


def test_names_are_those_that_postgresql_gives() -> None:
    assert wal.of(1, "0/5000130") == "000000010000000000000005"
    assert wal.of(2, "1/FF000028") == "0000000200000001000000FF"
    assert wal.written(wal.place("1/FF000028")) == "1/FF000028"


@given(lines, segments)
def test_a_name_says_timeline_and_segment(line: int, segment: int) -> None:
    name = wal.name(line, segment)
    assert wal.NAME.fullmatch(name)
    assert (wal.timeline(name), wal.number(name)) == (line, segment)
    assert wal.of(line, wal.written(segment * wal.SEGMENT)) == name


@given(lines, lines, segments, segments)
def test_a_file_follows_another_on_its_own_timeline_alone(line: int, other: int, one: int, two: int) -> None:
    assert wal.follows(wal.name(line, one), wal.name(other, two)) == (line == other and one > two)


@given(lines, segments, st.integers(0, 20), st.sets(st.integers(0, 20)))
def test_every_file_that_is_not_there_is_named_in_order(line: int, first: int, more: int, gone: set[int]) -> None:
    every = [wal.name(line, number) for number in range(first, first + more + 1)]
    there = [name for place, name in enumerate(every) if place not in gone]
    noise = [wal.name(line + 1, first), "00000001.history", "x.partial"]
    newest = max([*there, every[0]])
    assert wal.missing([*there, *noise], every[0]) == [name for name in every if name <= newest and name not in there]


def test_commits_are_read_in_their_order_and_what_is_none_is_left_out() -> None:
    assert wal.commits(DUMP) == [741, 740]
