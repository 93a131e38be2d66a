"""When updates may be installed."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import updates_gate as gate
from ansible_collections.ferryman.ops.plugins.module_utils.release import host, lock
from hypothesis import given
from hypothesis import strategies as st

MINUTES = st.integers(min_value=0, max_value=24 * 60 - 1)
SUNDAY = datetime(2026, 11, 22)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@given(MINUTES, MINUTES, MINUTES)
def test_window_is_open_from_its_begin_to_its_end_also_over_midnight(begin: int, end: int, now: int) -> None:
    inside = (now - begin) % 1440 < ((end - begin) % 1440 or 1440)
    assert gate.is_open(f"{clock(begin)}-{clock(end)}", (), SUNDAY + timedelta(minutes=now)) is inside


@pytest.mark.parametrize(("hour", "open_"), [(23, True), (24 + 2, True), (24 + 7, False), (24 + 23, False), (2, False)])
def test_window_over_midnight_belongs_to_the_day_on_which_it_opens(hour: int, open_: bool) -> None:
    assert gate.is_open("22:00-06:00", ("Sun",), SUNDAY + timedelta(hours=hour)) is open_


WEEKDAYS = st.lists(st.sampled_from(gate.DAYS), unique=True).map(tuple)
WINDOWS = st.builds(lambda begin, end: f"{clock(begin)}-{clock(end)}", MINUTES, MINUTES)
MOMENTS = st.integers(min_value=0, max_value=14 * 86400).map(lambda seconds: SUNDAY + timedelta(seconds=seconds))


def within(span: timedelta, part: float) -> timedelta:
    """Return a part of a span that is not its end: what is short of it by less than a microsecond is rounded up."""
    return min(part * span, span - timedelta.resolution)


@given(WINDOWS, WEEKDAYS, MOMENTS, st.floats(min_value=0, max_value=1, exclude_max=True))
def test_what_is_left_of_a_window_is_open_to_its_end_and_no_longer(
    window: str, days: tuple[str, ...], now: datetime, part: float
) -> None:
    left = timedelta(seconds=gate.left_s(window, days, now))
    assert bool(left) is gate.is_open(window, days, now)
    if left:
        assert gate.is_open(window, days, now + within(left, part))
        assert left >= gate.WEEK or not gate.is_open(window, days, now + left)


@given(WINDOWS, WEEKDAYS, MOMENTS, st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_window_that_is_shut_stays_so_until_it_opens(
    window: str, days: tuple[str, ...], now: datetime, part: float
) -> None:
    opens = gate.opens(window, days, now)
    assert now < opens <= now + gate.WEEK
    assert gate.is_open(window, days, opens)
    if not gate.is_open(window, days, now):
        assert not gate.is_open(window, days, now + within(opens - now, part))


def test_a_window_that_is_open_all_day_on_two_days_has_both_left() -> None:
    assert gate.left_s("00:00-00:00", ("Sun", "Mon"), SUNDAY + timedelta(hours=1)) == 47 * 3600


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"held": False}, False),
        ({"boot": "another"}, False),
        ({"expires": 99.0}, False),
        ({"expires": None}, True),
    ],
)
def test_lock_counts_while_its_lease_runs_in_this_boot(change: dict[str, object], held: bool) -> None:
    taken = {"format": 1, "held": True, "boot": "this", "expires": 101.0, **change}
    assert gate.is_held(json.dumps(taken), "this", 100.0) is held


def test_lock_that_a_deploy_takes_on_this_host_is_seen_until_it_is_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is written by the code that deploys, so that its format and what is read here cannot drift apart."""
    path = tmp_path / "sites" / "shop" / "arbiter" / "lock.json"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(gate, "STATE", tmp_path)
    held = lock.take({}, host.now(), run="r1", owner="ada@desk", purpose="deploy", lease_s=30.0)
    path.write_text(json.dumps(held))
    assert gate.deploys() == [str(path)]
    path.write_text(json.dumps(lock.free(held, run="r1")))
    assert gate.deploys() == []


def test_lock_that_cannot_be_read_counts() -> None:
    assert gate.is_held("{", "this", 0.0)


def test_updates_go_on_once_the_deploy_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["lock"], ["lock"], []]
    monkeypatch.setattr(gate, "deploys", lambda: answers.pop(0))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert gate.main(["--window", "00:00-00:00", "--wait-minutes", "5"]) == 0
    assert not answers


def test_updates_give_up_when_the_deploy_does_not_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "deploys", lambda: ["lock.json"])
    assert gate.main(["--window", "00:00-00:00"]) == 1
    assert "a deploy is on its way (lock.json)" in capsys.readouterr().out
