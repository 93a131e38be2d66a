"""Whose release a line of a slot is."""

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.logs import timeline
from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site, unit_parts
from hypothesis import given, settings
from hypothesis import strategies as st


def start(result: str, release: str, at: str, *, slot: str = "blue", since: str = "") -> dict[str, Any]:
    detail = {"slot": slot, **({"since": since} if since else {})}
    return {"step": "start", "result": result, "release": release, "at": at, "detail": detail}


def moment(second: int, micros: int = 0) -> str:
    return f"2026-11-22T10:{second // 60:02}:{second % 60:02}" + (f".{micros:06}Z" if micros else "Z")


ZERO = 1_795_343_400 * 10**6  # 2026-11-22T10:30:00Z
BASE = ZERO - 30 * 60 * 10**6


def test_the_moment_at_which_the_slot_changed_parts_old_from_new() -> None:
    told = timeline.turns([
        start("started", "one", moment(10)), start("done", "one", moment(15), since=moment(11, 500_000)),
        start("started", "two", moment(60)), start("failed", "two", moment(70), since=moment(62, 250_000)),
        start("started", "elsewhere", moment(61), slot="green"),
    ])["blue"]  # fmt: skip
    at = {second: timeline.release_at(told, BASE + int(second * 10**6)) for second in (11.4, 11.5, 61.9, 62.25, 99)}
    assert at == {11.4: "", 11.5: "one", 61.9: "one", 62.25: "two", 99: "two"}


def test_a_start_of_what_is_warm_changes_nothing() -> None:
    first = [start("started", "one", moment(10)), start("done", "one", moment(12), since=moment(11, 1))]
    again = [start("started", "one", moment(50)), start("done", "one", moment(50), since=moment(11, 1))]
    assert timeline.turns(first + again) == timeline.turns(first)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_each_line_belongs_to_the_last_release_that_began_before_it(gaps: list[int]) -> None:
    lines, begun, second = [], [], 0
    for number, gap in enumerate(gaps):
        second += gap
        begun.append(second)
        lines.append(start("started", f"r{number}", moment(second)))
    told = timeline.turns(lines)["blue"]
    for at in range(second + 2):
        expected = [f"r{number}" for number, when in enumerate(begun) if when <= at]
        assert timeline.release_at(told, BASE + at * 10**6) == (expected[-1] if expected else "")


def test_lines_of_another_kind_are_passed_over() -> None:
    assert timeline.turns([{"step": "settle", "result": "done", "release": "r", "at": moment(1), "detail": {}}]) == {
        "blue": [], "green": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    "damage", [{"at": "yesterday"}, {"at": 5}, {"detail": ["blue"]}, {"detail": {"slot": "blue", "since": "now"}}]
)
def test_a_damaged_line_of_the_hosts_journal_hides_no_log(
    damage: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "SITES", tmp_path)
    good = start("started", "one", moment(10))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/journal.jsonl").write_text(f"{json.dumps({**good, **damage})}\n{json.dumps(good)}\n")
    assert [release for _, release in timeline.of_site("shop")["blue"]] == ["one"]


def test_a_units_name_is_read_as_it_is_written() -> None:
    site = Site("shop-prod")
    assert unit_parts(site.unit("web", "green", 3)) == {
        "site": "shop-prod", "process": "web", "slot": "green", "number": "3",
    }  # fmt: skip
    assert unit_parts("shop-seed.service") == {"site": "shop", "process": "seed", "slot": "", "number": ""}
    assert unit_parts("ssh.service") == {}
