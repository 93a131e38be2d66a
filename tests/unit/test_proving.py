"""How the tests are counted, and what a record carries."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ferryman import paths, program, proving
from ferryman.errors import Stop


@pytest.mark.parametrize(
    ("output", "code", "expected"),
    [
        ("...\n3 passed in 0.1s", 0, (3, 0)),
        ("F\n1 failed, 2 passed, 1 skipped in 3s", 1, (2, 1)),
        ("1 failed, 2 errors in 3s", 1, (0, 3)),
        ("ImportError while loading conftest", 4, (0, 1)),
        ("no tests ran in 0.1s", 5, (0, 1)),
        ("2 passed in 1s\nSegmentation fault", 139, (2, 1)),
    ],
)
def test_a_run_is_counted_by_its_closing_line(output: str, code: int, expected: tuple[int, int]) -> None:
    assert proving.count(output, code) == expected


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one soak, and a record's commit."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "galaxy.yml").touch()
    (tmp_path / "tests" / "conftest.py").write_text((paths.CHECKOUT / "tests" / "conftest.py").read_text())
    (tmp_path / "tests" / "support").symlink_to(paths.CHECKOUT / "tests" / "support")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["soak: long"]\n')
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    return tmp_path


def soak_test(checkout: Path, body: str) -> None:
    text = f"import pytest\n\n@pytest.mark.soak\ndef test_soak_load(soak):\n    {body}\n"
    (checkout / "tests" / "test_load.py").write_text(text)


def test_a_soak_counts_in_full_and_leaves_a_record(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FERRYMAN_SEED", raising=False)  # of this run itself
    soak_test(checkout, "soak.record(requests=soak.times(sample=3, full=1000), failed=0)")
    proving.soak("load")
    record = json.loads((checkout / "docs" / "records" / "load.json").read_text())
    assert (record["requests"], record["failed"], record["seed"]) == (1000, 0, 20261122)
    assert {"commit", "dirty", "at", "machine", "duration_s"} <= record.keys()
    assert record["machine"]["yardstick_s"] > 0
    assert os.uname().nodename not in json.dumps(record)


def test_a_record_that_is_not_committed_yet_makes_no_tree_dirty_and_a_change_of_code_does(checkout: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", checkout, "-c", "user.name=ada", "-c", "user.email=ada@example.org", *words],
                       check=True)  # fmt: skip

    record = checkout / "docs" / "records" / "load.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "all")
    record.write_text('{"requests": 1}')
    assert proving.provenance(checkout)["dirty"] is False
    (checkout / "galaxy.yml").write_text("namespace: ferryman\n")
    assert proving.provenance(checkout)["dirty"] is True


def test_tests_that_failed_are_one_object_with_their_sum(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "tests" / "faults").mkdir()
    (checkout / "tests" / "faults" / "test_one.py").write_text("def test_one(): pass\ndef test_two(): assert False\n")
    with pytest.raises(Stop, match="tests failed: faults") as stop:
        proving.prove("e2e", as_json=True)
    assert capsys.readouterr().out == ""
    told = json.loads(program.explain(stop.value, as_json=True))
    (step,) = told.pop("steps")
    assert (told["passed"], told["failed"], told["code"]) == (1, 1, 2)
    assert (step["name"], step["failed"]) == ("faults", 1)


def test_a_benchmark_is_one_object_with_its_lines(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "tests" / "bench").mkdir()
    tiny = checkout / "tests" / "bench" / "tiny.py"
    tiny.write_text("print('a figure')\nprint('another')\n")
    proving.bench("tiny", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["lines"] == ["a figure", "another"]
    assert {"name", "commit", "at", "machine"} <= told.keys()
    tiny.write_text("print('a figure')\nraise SystemExit(1)\n")
    with pytest.raises(Stop, match="benchmark tiny failed") as stop:
        proving.bench("tiny", as_json=True)
    assert stop.value.facts == {"lines": ["a figure"]}
    assert capsys.readouterr().out == ""


def test_a_failed_soak_records_nothing(checkout: Path) -> None:
    soak_test(checkout, "soak.record(requests=1); assert False")
    with pytest.raises(Stop, match="soak load failed"):
        proving.soak("load")
    assert not (checkout / "docs").exists()


def test_an_unknown_soak_is_told_which_there_are(checkout: Path) -> None:
    soak_test(checkout, "pass")
    with pytest.raises(Stop) as stop:
        proving.soak("lod")
    assert stop.value.hint == "one of: load"


def test_without_a_word_a_soak_is_a_sample(checkout: Path) -> None:
    soak_test(
        checkout, "assert soak.times(sample=3, full=1000) == 3 and soak.random().random() == soak.random().random()"
    )
    words = [sys.executable, "-m", "pytest", "-q", "tests"]
    assert subprocess.run(words, cwd=checkout, capture_output=True, check=False).returncode == 0


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(Stop, match="no part 'units'"):
        proving.prove("units")


def test_a_part_of_the_tests_is_not_recorded() -> None:
    with pytest.raises(Stop, match="only all of the tests are recorded"):
        proving.prove("unit", record=True)


def test_the_record_of_a_whole_run_says_how_long_it_took_and_with_which_journeys(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "tests" / "e2e").mkdir(parents=True, exist_ok=True)
    marked = 'import pytest\n\n@pytest.mark.at_times(journey="the only one")\ndef test_one(): pass\n'
    (checkout / "tests" / "e2e" / "test_one.py").write_text(marked)
    (checkout / "tests" / "journeys.yml").write_text("the only one: 2\n")
    monkeypatch.setattr(proving, "side_by_side", lambda *_: [proving.Result("e2e", 7, 0, 3.5)])
    proving.prove("", record=True)
    said = json.loads((checkout / "docs" / "records" / "test.json").read_text())
    assert (said["passed"], said["failed"], said["journeys"]) == (14, 0, ["the only one"])
    assert said["rows"] == [{"what": "`./invoke test`", "measured": "0 s", "target": "at most 1,800 s"}]


def test_what_is_left_out_is_not_run() -> None:
    names = [step.name for step in proving.steps("roles", paths.CHECKOUT, "")]
    assert [step.name for step in proving.steps("roles", paths.CHECKOUT, "", {"roles": names[2:]})] == names[:2]
    steps = {
        step.name: step.command
        for step in proving.steps("e2e", paths.CHECKOUT, "", {"journeys": ["kinto", "node-red"]})
    }
    left = "not at_times(journey='kinto') and not at_times(journey='node-red')"
    assert f"not newcomer and not hosted and {left}" in steps["e2e"]
    assert f"newcomer and {left}" in steps["e2e of a newcomer"]
    assert left in steps["faults"]
    assert left in steps["e2e of backups"]
    assert f"hosted and {left}" in steps["e2e of a site"]


def collected(words: list[str]) -> list[str]:
    """Return the tests that a run of pytest would take; none of its files may fail to be read."""
    done = subprocess.run([*words, "--collect-only"], cwd=paths.CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(line for line in done.stdout.splitlines() if "::" in line)


def test_every_test_with_hosts_is_in_one_of_the_runs_and_in_no_two() -> None:
    steps = proving.steps("e2e", paths.CHECKOUT, "", {"journeys": ["none of this name"]})
    every = collected([sys.executable, "-m", "pytest", "-q", "tests/e2e", "tests/faults"])
    assert sorted(each for step in steps for each in collected(step.command)) == every


def test_a_roles_tests_leave_out_the_same_journeys_and_all_of_them_are_run_where_a_role_is_asked_for() -> None:
    name = "an archive that is encrypted"
    (step,) = (step for step in proving.scenarios(paths.CHECKOUT, [name]) if step.name == "role backup")
    words = [sys.executable, "-m", "pytest", "-q", "--collect-only", "molecule/backup/tests/test_sealed.py"]
    for variables, seen in ((step.variables, "no tests collected"), ({}, "test_sealed.py::")):
        done = subprocess.run(words, cwd=paths.CHECKOUT, env=proving.environment(**variables), capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert seen in done.stdout, done.stdout + done.stderr
    assert all("PYTEST_ADDOPTS" not in step.variables for step in proving.scenarios(paths.CHECKOUT))


def test_what_takes_long_begins_first(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def side_by_side(steps: list[proving.Step], *_: object) -> list[proving.Result]:
        begun.extend(step.name.partition(" on Debian ")[0] for step in steps)
        return []

    monkeypatch.setattr(proving, "side_by_side", side_by_side)
    proving.prove("")
    hosted = begun[begun.index("unit and contract") + 1 :]
    assert hosted[: len(proving.LONG)] == list(proving.LONG)


def test_six_hosts_are_brought_up_for_no_test_that_every_run_takes() -> None:
    files = [str(path) for path in sorted(paths.CHECKOUT.glob("tests/e2e/test_fleet*.py"))]
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not at_times", *files]
    done = subprocess.run(words, cwd=paths.CHECKOUT, capture_output=True, text=True, check=False)
    assert len(files) > 1
    assert "no tests collected" in done.stdout, done.stdout + done.stderr


def test_whoever_asks_for_journeys_alone_gets_every_one_of_them() -> None:
    steps = proving.steps("e2e", paths.CHECKOUT, "")
    assert all("at_times" not in word for step in steps for word in step.command)


def test_steps_go_side_by_side_as_wide_as_they_are_and_in_their_order() -> None:
    wide = [proving.Step(str(number), [], width=width) for number, width in enumerate([2, 1, 1, 3, 1, 9, 1, 2])]
    lock, busy, most, begun = threading.Lock(), 0, 0, []
    together = threading.Barrier(3)  # the first three, which are four wide

    def act(step: proving.Step) -> str:
        nonlocal busy, most
        width = min(step.width, 4)
        with lock:
            busy += width
            most = max(most, busy)
            begun.append(step.name)
        if step.name in ("0", "1", "2"):
            together.wait(30)
        with lock:
            busy -= width
        return step.name

    names = [step.name for step in wide]
    assert proving.side_by_side(wide, 4, act) == names
    assert (sorted(begun), most) == (names, 4)
