"""What comes beside the stream: how it is, and whose it is."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import incoming, streaming, wal, wal_sending
from hypothesis import given
from hypothesis import strategies as st

ASKED: dict[str, Any] = {
    "mode": "on", "command": f"{wal_sending.PROGRAM} demo %p", "last": wal.name(1, 4), "failed": 0, "age_s": 2.0,
    "failing": False,
}  # fmt: skip


def state(**more: Any) -> dict[str, Any]:
    return incoming.state({**ASKED, **more}, wal.name(1, 7))


@pytest.mark.parametrize(
    ("told", "on"),
    [({}, True), ({"mode": "always"}, True), ({"mode": "off"}, False), ({"command": "/bin/true"}, False),
     ({"command": ""}, False)],
)  # fmt: skip
def test_a_source_that_gives_its_files_to_another_program_sends_none(told: dict[str, Any], on: bool) -> None:
    assert state(**told)["on"] is on


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_the_files_that_wait_are_those_between_the_last_that_came_and_the_one_that_is_written(
    last: int, on: int
) -> None:
    told = incoming.state({**ASKED, "last": wal.name(1, last)}, wal.name(1, last + on))
    assert told["waiting"] == max(0, on - 1)


@pytest.mark.parametrize("last", [None, "", "00000002.history", wal.name(2, 4)])
def test_nobody_knows_how_many_wait_where_the_last_that_came_says_nothing_of_it(last: Any) -> None:
    assert state(last=last)["waiting"] is None


def test_a_file_of_a_history_that_broke_off_or_of_a_backup_counts_as_the_file_it_belongs_to() -> None:
    assert [state(last=f"{wal.name(1, 4)}{end}")["waiting"] for end in (".partial", ".00000028.backup")] == [2, 2]


def of_system(number: int) -> bytes:
    """Return the beginning of a file of WAL as a server writes it (XLogLongPageHeaderData)."""
    return bytes(24) + number.to_bytes(8, "little") + bytes(64)


@pytest.fixture
def home(tmp_path: Path) -> str:
    (tmp_path / "incoming").mkdir()
    for segment, system in ((1, 7), (2, 9), (3, 7)):
        (tmp_path / "incoming" / wal.name(1, segment)).write_bytes(of_system(system))
    (tmp_path / "incoming" / "00000002.history").write_text("1\t0/5000000\tno recovery target specified\n")
    return str(tmp_path)


def test_files_of_another_server_lie_aside_and_are_told_and_the_rest_is_here(home: str) -> None:
    assert incoming.set_aside(home, "7", f"{home}/strange-1") == [wal.name(1, 2)]
    assert incoming.refused(home) == [f"{home}/strange-1/{wal.name(1, 2)}"]
    assert sorted(incoming.here(home)) == sorted(streaming.waiting(home)) == [wal.name(1, 1), wal.name(1, 3)]
    assert incoming.set_aside(home, "7", f"{home}/strange-2") == []
    assert not Path(f"{home}/strange-2").exists()


def test_before_anybody_knows_which_server_is_archived_every_file_is_its(home: str) -> None:
    assert incoming.set_aside(home, "", f"{home}/strange-1") == incoming.refused(home) == []


def test_a_file_that_came_whole_beside_the_stream_counts_for_the_part_that_the_stream_has_of_it(home: str) -> None:
    (Path(home) / "streaming").mkdir()
    (Path(home) / "streaming" / f"{wal.name(1, 3)}.partial").write_bytes(b"x")
    assert streaming.received(home)[wal.name(1, 3)] == f"{home}/incoming/{wal.name(1, 3)}"
    assert streaming.lying(home) == {wal.name(1, 3): f"{home}/streaming/{wal.name(1, 3)}.partial"}


def test_a_part_that_was_archived_is_not_counted_as_what_a_restore_goes_through(home: str) -> None:
    (Path(home) / "wals/0000000100000000").mkdir(parents=True)
    for segment in (3, 4):
        (Path(home) / "wals/0000000100000000" / f"{wal.name(1, segment)}.partial").write_bytes(b"x")
    assert sorted(streaming.whole_or_coming(home)) == [wal.name(1, number) for number in (1, 2, 3)]
