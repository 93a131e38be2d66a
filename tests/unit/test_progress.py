"""What people see while work goes on."""

import time

import pytest

from ferryman import progress


@pytest.fixture
def lines() -> progress.Lines:
    made = progress.Lines()
    made.MOMENT_S = 0.02
    return made


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines without their times."""
    return [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]


def test_a_step_is_told_with_its_hosts_before_it_ends(
    lines: progress.Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.step("release : Deploy | Stage")
    lines.begun("web1")
    lines.begun("web2")
    time.sleep(0.1)
    assert said(capsys) == ["Stage (web1, web2)"]
    lines.ended("release : Deploy | Stage", "web1", "ok")
    lines.ended("release : Deploy | Stage", "web2", "failed")
    assert said(capsys) == ["Stage: failed on web2"]


def test_a_step_that_is_over_at_once_is_told_once(lines: progress.Lines, capsys: pytest.CaptureFixture[str]) -> None:
    lines.step("Build")
    lines.begun("web1")
    lines.ended("Build", "web1", "ok")
    time.sleep(0.05)
    assert said(capsys) == ["Build (web1)"]


def test_a_step_that_all_skip_is_not_told_and_one_that_some_skip_is(
    lines: progress.Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.step("Dump")
    lines.begun("web1")
    lines.ended("Dump", "web1", "skipped")
    time.sleep(0.05)
    assert said(capsys) == []
    lines.step("Stage")
    lines.begun("web1")
    lines.begun("web2")
    lines.ended("Stage", "web1", "skipped")
    time.sleep(0.05)
    assert said(capsys) == ["Stage (web2)"]
    lines.close()


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("ferryman.ops.nginx : Packages | Install", "nginx: Install"),
        ("ferryman.ops.release : Deploy | Stage the release", "Stage the release"),
        ("Take a backup", "Take a backup"),
    ],
)
def test_a_step_is_told_with_its_role_unless_it_is_one_of_a_release(task: str, told: str) -> None:
    assert progress.short(task) == told


def test_of_many_hosts_some_are_named() -> None:
    assert progress.named(f"h{number}" for number in range(5)) == " (h0, h1, h2 and 2 more)"
    assert progress.named([]) == ""


def test_a_live_list_names_the_hosts_that_still_run_and_afterwards_those_that_ran(
    capsys: pytest.CaptureFixture[str],
) -> None:
    live = progress.Live()
    try:
        live.step("Stage")
        live.begun("web1")
        live.begun("web2")
        live.begun("web3")
        live.ended("Stage", "web1", "skipped")
        live.ended("Stage", "web2", "ok")
        now = live.draw().plain
        live.ended("Stage", "web3", "ok")
        live.step("Settle")
    finally:
        live.close()
    assert "Stage (web3)" in now
    assert "Stage (web2, web3)" in capsys.readouterr().err


def test_what_hosts_tell_of_a_step_is_put_together_the_slowest_of_times_and_the_sum_of_bytes() -> None:
    slow = progress.parts({"steps": [{"step": "stage", "seconds": 2.0, "sent_bytes": 1500}]})
    fast = progress.parts({"steps": [{"step": "stage", "seconds": 1.0, "sent_bytes": 500}]})
    assert progress.together([slow, fast]) == progress.together([fast, slow]) == [progress.Part("stage", 2.0, 2000)]
    assert str(progress.together([slow, fast])[0]) == "stage 2.0 s, 2.0 kB sent"


def test_a_start_tells_how_its_gate_was_passed() -> None:
    steps = [{"step": "stage", "seconds": 1.0}, {"step": "start", "seconds": 2.0}]
    told = progress.parts({"steps": steps, "gate": [{"unit": "shop-web@blue-1", "reason": "ready after 1.2 s"}]})
    assert list(map(str, told)) == ["stage 1.0 s", "start 2.0 s, ready after 1.2 s"]


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_340_000, "2.3 MB"), (5 * 10**12, "5000.0 GB")]
)
def test_sizes(count: int, said: str) -> None:
    assert progress.size(count) == said
