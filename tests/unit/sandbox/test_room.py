"""Room for systemd hosts in the kernel: seen before a host would fail to boot, made where one may, said in any case."""

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman.errors import Stop
from ferryman.sandbox import room


@given(st.integers(1, 4096), st.integers(0, 4096), st.integers(0, 100))
def test_a_limit_that_is_enough_stays_and_any_other_leaves_as_much_room_again(
    limit: int, used: int, hosts: int
) -> None:
    given, needed = room.enough(limit, used, hosts), used + hosts * room.PER_HOST
    assert given == limit if needed <= limit else given >= 2 * needed
    assert room.enough(given, used, hosts) == given, "once is enough"


@pytest.fixture
def limit(tmp_path: Path) -> Path:
    path = tmp_path / "max_user_instances"
    path.write_text("128\n")
    return path


def test_a_limit_that_is_too_low_is_raised_and_said(limit: Path, tmp_path: Path) -> None:
    said: list[str] = []
    room.ensure(2, said.append, limit, tmp_path)
    assert (said, limit.read_text()) == ([], "128\n")
    room.ensure(30, said.append, limit, tmp_path)
    (line,) = said
    assert "too little for 30 more hosts" in line
    assert f"set to {int(limit.read_text())} until" in line
    assert int(limit.read_text()) >= 2 * 30 * room.PER_HOST


def test_who_may_not_raise_it_is_told_the_command(tmp_path: Path) -> None:
    kept = Path("/proc/sys/kernel/cap_last_cap")  # a number that nobody may write, root neither
    with pytest.raises(Stop) as stop:
        room.ensure(30, lambda text: pytest.fail(text), kept, tmp_path)
    assert "too little for 30 more hosts" in str(stop.value)
    assert stop.value.hint == "sudo sysctl -w fs.inotify.max_user_instances=512"


def test_where_there_is_no_such_limit_there_is_nothing_to_do(tmp_path: Path) -> None:
    room.ensure(1000, lambda text: pytest.fail(text), tmp_path / "none", tmp_path)


def test_what_watches_is_counted_and_what_ended_is_left_out(tmp_path: Path) -> None:
    mine = [Path(f"/proc/{os.getpid()}/fd"), tmp_path / "4711" / "fd"]
    before = room.watches(mine)
    watch = ctypes.CDLL(None).inotify_init()
    try:
        assert room.watches(mine) == before + 1
    finally:
        os.close(watch)
    assert room.watches(mine) == before
