"""How far the stream is behind, what will never come, and how all of it is told to monitoring."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import metrics, streaming, wal
from hypothesis import given
from hypothesis import strategies as st

SLOT = {"active": True, "wal_status": "reserved", "restart_lsn": "0/5000130"}


@pytest.mark.parametrize(
    ("slot", "newest", "said"),
    [
        (SLOT, 5, ""),
        (SLOT, 4, ""),  # the file that is confirmed may be on its way to its place
        (SLOT, 3, "the archive ends 2 files before what it has confirmed: an older one was put in its place"),
        (SLOT, 9, ""),
        (None, 5, "the source has no slot for this archive"),
        ({**SLOT, "wal_status": "lost"}, 5, "the source has given up WAL that this archive was to get"),
        ({**SLOT, "wal_status": "extended"}, 5, ""),
        ({**SLOT, "restart_lsn": None}, 5, ""),
    ],
)
def test_what_will_never_come_is_told(slot: Any, newest: int, said: str) -> None:
    found = streaming.gap(slot, [wal.name(1, number) for number in range(1, newest + 1)])
    assert found.startswith(said)
    assert bool(found) == bool(said)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_an_archive_that_ends_where_it_confirmed_or_after_has_no_gap(confirmed: int, more: int) -> None:
    slot = {**SLOT, "restart_lsn": wal.written(confirmed * wal.SEGMENT + 64)}
    assert streaming.gap(slot, [wal.name(1, confirmed + more)]) == ""


def test_a_stream_is_as_far_behind_as_its_source_says_and_else_since_something_came() -> None:
    assert streaming.lag({"behind": 0, "lag": 9.0}, [], 100.0) == 0.0
    assert streaming.lag({"behind": 512, "lag": 2.5}, [], 100.0) == 2.5
    assert streaming.lag({}, [40.0, 90.0], 100.0) == 10.0
    assert streaming.lag({}, [], 100.0) is None


def test_commits_wait_for_a_standby_only_where_its_source_says_so() -> None:
    states = ["sync", "quorum", "async", "potential", None]
    assert [streaming.is_awaited({"sync_state": state}) for state in states] == [True, True, False, False, False]
    assert streaming.is_awaited({}) is False


def test_files_are_found_wherever_they_wait(tmp_path: Path) -> None:
    for path in ("streaming/000000010000000000000006.partial", "streaming/000000010000000000000005",
                 "wals/0000000100000000/000000010000000000000004", "wals/main-xlog.db"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    home = str(tmp_path)
    assert sorted(streaming.received(home)) == [wal.name(1, number) for number in (4, 5, 6)]
    assert list(streaming.archived(home)) == [wal.name(1, 4)]
    told = {name: Path(path).name for name, path in streaming.waiting(home).items()}
    assert told == {wal.name(1, 5): wal.name(1, 5), wal.name(1, 6): wal.name(1, 6) + ".partial"}


def test_a_part_that_a_history_broke_off_with_gives_way_to_the_same_file_that_comes_again(tmp_path: Path) -> None:
    name = wal.name(1, 11)
    for path in (f"wals/{name[:16]}/{name}.partial", f"streaming/{name}.partial"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"x")
    home = str(tmp_path)
    assert streaming.received(home) == streaming.waiting(home) == {name: f"{home}/streaming/{name}.partial"}
    (tmp_path / f"wals/{name[:16]}/{name}").touch()
    assert streaming.received(home) == streaming.archived(home) == {name: f"{home}/wals/{name[:16]}/{name}"}


def place(home: Path, *paths: str, text: str = "x") -> None:
    for path in paths:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)


def test_a_file_in_which_nothing_is_has_not_come_and_yet_says_where_the_stream_goes_on(tmp_path: Path) -> None:
    home, old, new = str(tmp_path), wal.name(1, 7), wal.name(2, 7)
    place(tmp_path, f"wals/{old[:16]}/{old}")
    place(tmp_path, f"streaming/{new}.partial", text="")
    place(tmp_path, "wals/00000002.history", text="1\t0/7000100\tbefore 2026-11-26 09:00:00+00\n")
    assert list(streaming.received(home)) == [old]
    assert streaming.whole(streaming.lying(home)) == {new: False}
    assert streaming.way(home) == (2, {1: 0x7000100})


def test_the_last_that_was_streamed_is_what_a_receiver_would_go_on_from(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert streaming.way(home) is None
    place(tmp_path, f"wals/{wal.name(1, 7)[:16]}/{wal.name(1, 7)}")
    assert streaming.way(home) == (1, {})
    place(tmp_path, "streaming/00000003.history", text="1\t0/7000100\tx\n2\t0/8000000\tx\n")
    place(tmp_path, f"streaming/{wal.name(3, 8)}.partial", f"streaming/{wal.name(2, 8)}.partial")
    assert streaming.way(home) == (3, {1: 0x7000100, 2: 0x8000000})
    (tmp_path / "streaming/00000003.history").unlink()
    assert streaming.way(home) == (3, {}), "it leads through no other that anybody knows of"


def told(**more: Any) -> dict[str, Any]:
    one = {"age_s": 60.0, "bytes": 10, "duration_s": 2.0, "success_rate": 1.0, "count": 3, "passed": "x", "drill": None}
    return {
        "name": "demo", "sets": {"database": one}, "stream": None, "space": None, "offsite": None, "full": None,
        "at": "2026-11-26T01:00:00Z", "wrong": [{"severity": "P1"}], **more,
    }  # fmt: skip


def test_metrics_have_a_line_for_what_is_known_and_none_for_what_is_not() -> None:
    text = metrics.text(told())
    assert 'ferryman_backup_age_seconds{archive="demo",set="database"} 60\n' in text
    assert 'ferryman_backup_wrong{archive="demo",severity="P1"} 1\n' in text
    assert 'ferryman_backup_wrong{archive="demo",severity="P0"} 0\n' in text
    assert "wal_" not in text
    assert "drill" not in text
    well = metrics.text(told(stream={"running": True, "lag_s": 0.0, "behind_bytes": None}, space={"free": 5}))
    assert 'ferryman_backup_wal_running{archive="demo"} 1\n' in well
    assert "behind_bytes" not in well
    assert 'ferryman_backup_space_free_bytes{archive="demo"} 5\n' in well
    one = told()["sets"]["database"]
    drill = {
        "began_at": "2026-11-26T00:59:00Z",
        "result": "passed",
        "rto_s": 2.5,
        "rpo_s": None,
        "parts_s": {"copy": 1.5},
    }
    drilled = metrics.text(told(sets={"database": one, "media": {**one, "drill": drill}}))
    lines = [line for line in drilled.splitlines() if "drill" in line and not line.startswith("#")]
    assert lines == [
        'ferryman_backup_drill_passed{archive="demo",set="media"} 1',
        'ferryman_backup_drill_age_seconds{archive="demo",set="media"} 60',
        'ferryman_backup_drill_rto_seconds{archive="demo",set="media"} 2.5',
        'ferryman_backup_drill_step_seconds{archive="demo",set="media",step="copy"} 1.5',
    ]
    full = metrics.text(told(full=drill | {"parts_s": {"provision over it": 9.0}}))
    assert 'ferryman_backup_drill_passed{archive="demo",set="full"} 1\n' in full
    assert 'ferryman_backup_drill_step_seconds{archive="demo",set="full",step="provision over it"} 9\n' in full


def test_metrics_are_what_a_scraper_reads() -> None:
    for line in metrics.text(told()).splitlines():
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0
