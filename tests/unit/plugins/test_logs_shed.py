"""Which old logs go when there is too little room."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

PROGRAM = Path(__file__).parents[3] / "roles" / "logs" / "files" / "shed.py"


def load() -> ModuleType:
    """Return the script as a module; it lies with the role that puts it on hosts."""
    spec = importlib.util.spec_from_file_location("shed", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shed = load()

LOGS = st.lists(
    st.builds(
        shed.Log,
        path=st.integers(0, 10**6).map(lambda number: Path(f"/var/log/{number}")),
        size=st.integers(0, 10**9),
        written=st.floats(0, 10**9),
        rotated=st.booleans(),
    ),
    unique_by=lambda log: log.path,
    max_size=30,
)


@given(LOGS, st.integers(-(10**9), 10**10))
def test_as_few_as_will_do_go_the_oldest_first_and_none_that_is_written_to(logs: list[Any], above: int) -> None:
    by_path = {log.path: log for log in logs}
    gone = [by_path[path] for path in shed.decide(logs, above=above)]
    stay = [log for log in logs if log.rotated and log not in gone]
    assert all(log.rotated for log in gone)
    assert all(old.written <= young.written for old in gone for young in stay)
    freed = sum(log.size for log in gone)
    assert freed >= above or not stay
    assert not gone or freed - gone[-1].size < above


@given(LOGS, st.integers(0, 10**4), st.floats(0, 10**9))
def test_rotated_logs_go_after_their_days_and_none_without(logs: list[Any], days: int, now: float) -> None:
    gone = set(shed.expired(logs, days=days, now=now))
    old = {log.path for log in logs if (now - log.written) > days * 86400}
    assert gone == {log.path for log in logs if log.rotated and log.path in old and days}


@given(st.integers(0, 10**12), st.integers(0, 10**13))
def test_a_small_disk_need_not_be_emptied(keep_free: int, total: int) -> None:
    assert shed.floor(keep_free, total) <= max(total // 10, 0)
    assert shed.floor(keep_free, total) <= keep_free


def test_the_names_of_rotated_logs_are_known_from_those_of_logs_in_use(tmp_path: Path) -> None:
    for name in ("a.json", "a.json.1", "a.json.12.gz", "a.log-20261122", "a.log-20261122.gz", "a.error.log"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.1").symlink_to("a.error.log")
    (tmp_path / "directory.1").mkdir()
    told = {log.path.name for log in shed.logs_in({"path": str(tmp_path)}) if log.rotated}
    assert told == {"a.json.1", "a.json.12.gz", "a.log-20261122", "a.log-20261122.gz"}
    system = ["system.journal", "system@0006.journal", "user-1000.journal", "system@6.journal~"]
    assert [bool(shed.ARCHIVED.search(name)) for name in system] == [False, True, False, True]


def test_only_logs_of_the_disk_that_is_full_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.json.1").write_text("x")
    device = tmp_path.stat().st_dev
    assert [log.path.name for log in shed.look(tmp_path.iterdir(), shed.ROTATED, device)] == ["a.json.1"]
    assert shed.look(tmp_path.iterdir(), shed.ROTATED, device + 1) == []


def test_a_log_that_goes_while_it_is_looked_at_is_no_failure(tmp_path: Path) -> None:
    assert shed.look([tmp_path / "gone.1"], shed.ROTATED) == []
