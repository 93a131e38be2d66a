"""A command that is cut short ends at once, with all that it began, and leaves nothing half done."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import children
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import INTERRUPTED, Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtimes import node, python
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import building
from tests.support.placed import Placed
from tests.support.processes import living, outlived
from tests.unit.plugins.release.test_artifact import Source, build

LONG = "sleep 300 & echo $$ > group; sleep 300"
STUBBORN = f"trap '' TERM; {LONG}"


def once_begun(mark: Path) -> Callable[[], None]:
    """Return what asks for the end as soon as a command has left its number in `mark`."""

    def heed() -> None:
        if mark.exists() and mark.read_text().strip():
            raise Failed("enough")

    return heed


def nobody() -> None:
    """Ask for nothing."""


def test_what_is_not_cut_short_is_run_as_ever(tmp_path: Path) -> None:
    done = children.run(["sh", "-c", "echo out; echo err >&2; exit 3"], heed=nobody, cwd=tmp_path, env={"PATH": "/bin"})
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert children.run("sleep 0.5; pwd", heed=nobody, cwd=tmp_path).stdout == f"{tmp_path}\n", "a text is the shell's"
    with pytest.raises(FileNotFoundError):
        children.run(["/no/such/program"], heed=nobody)


@pytest.mark.parametrize("command", [LONG, STUBBORN], ids=["asked", "killed"])
def test_a_command_ends_with_all_that_it_began(tmp_path: Path, command: str) -> None:
    with pytest.raises(Failed, match="enough"):
        children.run(command, heed=once_begun(tmp_path / "group"), cwd=tmp_path)
    assert outlived(int((tmp_path / "group").read_text())) == []


def test_a_command_that_takes_too_long_ends_in_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        children.run(LONG, heed=nobody, timeout=1, cwd=tmp_path)
    assert outlived(int((tmp_path / "group").read_text())) == []


def test_a_build_that_is_cut_short_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    commit, group = Source(tmp_path / "source").commit({"a": b"1"}), tmp_path / "group"
    commands = [LONG.replace("> group", f"> {group}")]
    with pytest.raises(Failed, match="enough"), building.heeding(once_begun(group)):
        build(commit, tmp_path / "cache", build={"commands": commands})
    assert outlived(int(group.read_text())) == []
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert build(commit, tmp_path / "cache", build={"commands": ["true"]}).manifest["files"] == 1, (
        "nobody asks any more"
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Placed("tiny", place=tmp_path), run="run")


def test_on_a_host_a_run_that_is_to_stop_ends_what_may_be_cut_short_and_nothing_else(host: Host) -> None:
    host.ask_to_stop()
    began = time.monotonic()
    with pytest.raises(Failed, match=INTERRUPTED):
        host.command("sleep", "300", cut_short=True)
    assert time.monotonic() - began < 100
    assert host.command("sh", "-c", "sleep 0.5; echo done") == "done\n", "a migration goes on to its end"


@pytest.mark.parametrize("runtime", [python, node])
def test_installing_is_cut_short_in_each_of_its_commands(
    host: Host, runtime: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def command(*_: str, cut_short: bool = False, **__: Any) -> str:
        told.append(cut_short)
        return ""

    monkeypatch.setattr(host, "command", command)
    runtime.install(host, tmp_path / "environment", [tmp_path / "package"])
    assert told
    assert all(told)


def test_a_group_is_seen_as_long_as_one_of_it_lives() -> None:
    assert os.getpid() in living(os.getpgid(0))
