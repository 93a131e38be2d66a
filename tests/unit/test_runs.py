"""What runs leave behind on the driver, and several at once."""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from ptyprocess import ptyprocess
from tests.support.configured import Configured

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


def test_a_run_rests_no_moment_once_ansible_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setattr(ptyprocess, "time", SimpleNamespace(sleep=rests.append))
    monkeypatch.setattr(ptyprocess.PtyProcess, "delayafterclose", 0.1, raising=False)  # goes back to what it was
    ended = runs.play("check_apps", Configured(tmp_path).environment, values={}, listen=lambda _: None)
    assert (ended.status, rests) == ("done", [0.0])
