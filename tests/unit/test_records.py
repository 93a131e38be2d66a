"""Records as the page that quotes them shows them: no figure is typed, and one that is missed is called so."""

import json
from pathlib import Path
from typing import Any

import pytest

from ferryman import records
from ferryman.errors import Stop

COMMIT = "0123456789"
AROUND = {"commit": COMMIT, "dirty": False, "at": "2026-11-22T12:00:00Z", "machine": {"cores": 2}}
PAGE = "# Proof\n\nwords\n\n<!-- figures: written -->\nold\n<!-- end of figures -->\n\nmore words\n"
ROWS = [("fast : bare", "2.47x", "at most 2.5x"), ("bytes", "182,259", "at most 180,720"), ("only told", "9", "")]


def record(root: Path, name: str, **said: Any) -> None:
    path = root / "docs" / "records" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": name, **AROUND, **said}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with a benchmark's record, a soak's, and the soak."""
    rows = [dict(zip(("what", "measured", "target"), row, strict=True)) for row in ROWS]
    record(tmp_path, "bench-x", rows=rows)
    record(tmp_path, "load", seed=1, duration_s=2.5, requests=31240, steps=["a", "b"], p95_ms=8.0, dirty=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_load.py").write_text('def test_soak_load():\n    """Nothing is lost."""\n')
    return tmp_path


@pytest.mark.parametrize(
    ("measured", "target", "expected"),
    [
        ("2.5x", "at most 2.5x", True),
        ("2.51x", "at most 2.5x", False),
        ("182,259", "at most 180,720", False),
        ("4", "at most 8", True),
        ("99.2", "at least 99", True),
        ("98.9", "at least 99", False),
        ("40.8 MB", "at most 50 MB", True),
        ("2.1 %", "at most 2 %", False),
    ],
)
def test_a_figure_is_within_what_is_wanted_or_not(measured: str, target: str, expected: bool) -> None:
    assert records.reached(measured, target) is expected


@pytest.mark.parametrize(
    ("measured", "target"),
    [("2x", "under 3x"), ("40 MB", "at most 50"), ("40 MB", "at most 50 s"), ("2x", "at most few")],
)
def test_what_cannot_be_compared_is_not_passed_over(measured: str, target: str) -> None:
    with pytest.raises(Stop) as refused:
        records.reached(measured, target)
    assert refused.value.hint


def test_a_page_has_every_figure_with_its_target_or_none_and_says_of_which_record_it_is(root: Path) -> None:
    page = records.page(PAGE, root)
    source = "[bench-x](records/bench-x.json)"
    soak = "Nothing is lost. `tests/test_load.py::test_soak_load`"
    assert "1 of 3 miss what is wanted" in page
    assert f"| fast : bare | 2.47x | at most 2.5x | yes | {source} |" in page
    assert f"| bytes | 182,259 | at most 180,720 | **no** | {source} |" in page
    assert f"| {soak} | requests 31,240, steps 2, p95 ms 8.0 | every time | yes | [load](records/load.json) |" in page
    assert f"- {source}: commit {COMMIT[:7]}, 2026-11-22, 2 cores\n" in page
    assert f"[load](records/load.json): commit {COMMIT[:7]} with changes in no commit, 2026" in page
    assert f"\n| only told | 9 | {source} |\n" in page
    assert "old" not in page.split()


def test_a_page_has_what_became_of_each_deploy_that_was_struck_by_boundary_and_fault(root: Path) -> None:
    def case(at: str, fault: str, settled_s: float, *, new: bool = False) -> dict[str, Any]:
        return {"at": at, "fault": fault, "host": "app1", "new_stands": new, "settled_s": settled_s}

    tasks = root / "roles" / "release" / "tasks" / "deploy_many.yml"
    tasks.parent.mkdir(parents=True)
    tasks.write_text("- name: Deploy | Build\n- name: Deploy | Commit\n")
    assert "struck" not in records.page(PAGE, root)
    record(root, "a", cases=[case("Commit", "killed", 9), case("Build", "killed", 0.2), case("Build", "killed", 3.4)])
    record(root, "b", cases=[case("Commit", "power", 4.6, new=True), case("Commit", "power", 1.1)])
    page = records.page(PAGE, root)
    assert "| struck at | killed | power |\n|---|---|---|\n" in page
    assert "| Build | 2 x old; 3 s | - |\n| Commit | 1 x old; 9 s | 1 x old, 1 x new; 5 s |\n" in page
    assert records.page(page, root) == page
    tasks.with_name("rollback_many.yml").write_text("- name: Rollback | Commit\n- name: Rollback | Settle\n")
    back = [{**case(at, "killed", 2), "of": "rollback"} for at in ("Settle", "Commit")]
    record(root, "c", cases=[*back, {**case("Build", "killed", 8), "of": "deploy"}])
    told = records.page(PAGE, root)
    assert "| Build | 3 x old; 8 s | - |\n" in told
    assert "| struck at | killed |\n|---|---|\n| Commit | 1 x old; 2 s |\n| Settle | 1 x old; 2 s |\n" in told


def test_what_struck_one_host_has_tables_of_its_own_in_the_order_of_its_boundaries(root: Path) -> None:
    def case(of: str, at: str, *, new: bool = False) -> dict[str, Any]:
        return {"of": of, "at": at, "fault": "power", "new_stands": new, "settled_s": 2.4}

    cases = [case("deploy", "commit done", new=True), case("rollback", "Build"), case("deploy", "Build")]
    record(root, "faults", cases=cases, deploy=["Build", "commit done"], rollback=["Build"])
    record(root, "kills", kills=2, deploy=["Build"], rollback=["Build"])
    deploys, rollbacks = records.page(PAGE, root).split("| struck at | power |\n|---|---|\n")[1:]
    assert deploys.startswith("| Build | 1 x old; 2 s |\n| commit done | 1 x new; 2 s |\n\n")
    assert rollbacks.startswith("| Build | 1 x old; 2 s |\n\n")
    assert "fleet" not in records.page(PAGE, root)


def test_a_page_keeps_its_words_and_is_written_once(root: Path) -> None:
    page = records.page(PAGE, root)
    assert page.startswith("# Proof\n\nwords\n")
    assert page.endswith("\nmore words\n")
    assert records.page(page, root) == page


def test_a_page_without_a_place_for_figures_is_told(root: Path) -> None:
    with pytest.raises(Stop, match="no place for figures"):
        records.page("# Proof\n", root)


def test_figures_by_name_are_told_each_and_of_what_is_many_or_listed_how_many_there_are() -> None:
    assert (
        records.figure({"slow": {"slower": 20}, "leaking": {"errors": 1500}})
        == "(slow (slower 20), leaking (errors 1,500))"
    )
    assert records.figure(dict.fromkeys(map(str, range(33)), 1)) == "33"
    assert records.figure([{"of": "deploy"}, {"of": "rollback"}]) == "2"
