"""Wheels that load on the hosts, whatever the driver is."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtimes import python as hosts
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes import lock, python
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import Lock
from tests.support import wheels

ALIKE = {"python": f"{sys.version_info.major}.{sys.version_info.minor}", "platform": f"linux-{os.uname().machine}"}


@pytest.mark.parametrize(
    ("here", "there", "runs"),
    [
        ("glibc-2.36", "glibc-2.36", True),
        ("glibc-2.36", "glibc-2.41", True),
        ("glibc-2.41", "glibc-2.36", False),
        ("glibc-2.9", "glibc-2.36", True),
        ("-", "glibc-2.36", False),
        ("-", "-", True),
    ],
)
def test_what_is_built_here_runs_with_an_equal_or_newer_c_library(here: str, there: str, runs: bool) -> None:
    assert lock.runs_on(here, there) is runs


@pytest.mark.parametrize(("driver", "word"), [("2.36", "wheel"), ("2.41", "download")])
def test_a_driver_with_a_newer_c_library_takes_ready_made_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, word: str
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", driver))
    monkeypatch.setattr(python, "_pip", lambda _, words, __: asked.append(words))
    python.fill(tmp_path / "key", Lock("requirements.txt", "shop==1.0"), {**ALIKE, "libc": "glibc-2.36"}, {})
    assert asked[0][0] == word
    assert not [each for each in asked[0] if "manylinux_2_37" in each or "manylinux_2_41" in each]


def test_environments_of_other_c_libraries_are_others() -> None:
    keys = {Lock("", "").key(*ALIKE.values(), libc) for libc in ("glibc-2.36", "glibc-2.41")}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [("", True), ("3", True), ("3.11", True), ("3.11.2", True), ("3.1", False), ("3.13", False), ("3.11.20", False)],
)
def test_hosts_must_have_the_python_that_is_wanted(wanted: str, fits: bool) -> None:
    told = {"runtime": {"version": wanted}}
    found = python.unfit(None, {"python": "3.11", "python_version": "3.11.2"}, told)
    assert found == ([] if fits else [f"ferryman.yml wants Python {wanted} (runtime.version), the hosts have 3.11.2"])


class Here:
    """This machine in a host's place."""

    def command(self, *words: str, env: dict[str, str] | None = None, **_: Any) -> None:
        """Run it."""
        subprocess.run(words, env=env, check=True)


def test_an_environment_holds_what_travelled_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels.of_pip(monkeypatch)
    hosts.install(cast("Host", Here()), tmp_path / "environment", [wheels.tool(tmp_path)])
    said = subprocess.run([tmp_path / "environment/bin/tool"], capture_output=True, text=True, check=True).stdout
    assert said == "tool 1.0\n"
    assert wheels.packages(tmp_path / "environment") == {"tool.py", "tool-1.0.dist-info"}


def test_an_environment_that_pip_is_missing_for_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WHEELS", str(tmp_path / "none"))
    with pytest.raises(Failed, match="install python3-venv"):
        hosts.install(cast("Host", Here()), tmp_path / "environment", [wheels.tool(tmp_path)])
    assert not (tmp_path / "environment").exists()


def test_an_application_without_packages_needs_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WHEELS", str(tmp_path / "none"))
    hosts.install(cast("Host", Here()), tmp_path / "environment", [])
    assert wheels.packages(tmp_path / "environment") == set()
