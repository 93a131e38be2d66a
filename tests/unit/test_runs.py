"""What runs leave behind on the driver, and several at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ferryman import paths, runs


def test_several_runs_at_once_have_private_directories_although_others_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "state_directory", lambda: tmp_path)

    def begin_and_end(_: int) -> None:
        private = runs.private_directory("runner")
        assert private.stat().st_mode & 0o777 == 0o700
        shutil.rmtree(private)

    with ThreadPoolExecutor(4) as many:
        list(many.map(begin_and_end, range(2000)))
    assert not list((tmp_path / "runner").iterdir())


def test_the_runner_rests_no_moment_once_ansible_has_ended() -> None:
    from ptyprocess import PtyProcess

    runs._end_at_once()
    child = PtyProcess.spawn(["sh", "-c", "exit 3"])
    child.wait()
    child.close()
    assert child.delayafterclose == 0
    assert child.exitstatus == 3
