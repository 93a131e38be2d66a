"""Installing packages: a check on a bare host names what a run would install, and a run fails as apt does."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action import host_packages
from ansible_collections.ferryman.ops.plugins.action.host_packages import ActionModule

from ferryman import changes

NAMES = ["nginx", "sudo", "uv"]
ALL = "nginx installed\nsudo installed\nuv installed\n"
NO_LISTS = "No package matching 'nginx' is available"
NO_LIBRARY = "python3-apt must be installed to use check mode. If run normally this module can auto-install it."


class Host(ActionModule):
    """The action on a host with some packages, whose apt answers as it is told."""

    def __init__(self, apt: dict[str, Any], *, installed: str = "", check: bool = True) -> None:
        self._task = SimpleNamespace(check_mode=check)
        self.apt, self.installed = apt, installed
        self.asked: list[dict[str, Any]] = []

    def validate_argument_spec(self, *_: Any, **__: Any) -> Any:
        return None, {"names": NAMES}

    def _execute_module(self, **call: Any) -> dict[str, Any]:
        self.asked.append(call["module_args"])
        return self.apt

    def _low_level_execute_command(self, command: str, **_: Any) -> dict[str, Any]:
        assert command.startswith("dpkg-query ")
        assert all(name in command for name in NAMES)
        return {"stdout": self.installed}


@pytest.fixture(autouse=True)
def _without_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})


@pytest.mark.parametrize("said", [NO_LISTS, NO_LIBRARY])
@pytest.mark.parametrize(
    ("installed", "new"),
    [
        ("", ["nginx", "sudo", "uv"]),
        ("sudo installed\nnginx config-files\n", ["nginx", "uv"]),
    ],
)
def test_a_check_where_apt_cannot_tell_names_what_is_not_installed(said: str, installed: str, new: list[str]) -> None:
    result = Host({"failed": True, "msg": said}, installed=installed).run(task_vars={})
    assert not result.get("failed")
    assert result["changed"]
    assert changes.packages(result["diff"]["prepared"]) == new


@pytest.mark.parametrize("check", [True, False], ids=["a check", "a run"])
def test_where_all_are_installed_apt_is_not_even_started(check: bool) -> None:
    host = Host({"failed": True}, installed=ALL, check=check)
    assert host.run(task_vars={}) == {"changed": False}
    assert not host.asked


def test_what_is_there_for_others_alone_is_given_to_apt_which_notes_that_it_is_wanted() -> None:
    host = Host({"changed": False}, installed=f"{ALL}sudo\n", check=False)
    assert host.run(task_vars={}) == {"changed": False}
    assert [asked["name"] for asked in host.asked] == [NAMES]


class Shell(Host):
    """The action on a host that really runs what it is asked."""

    def _low_level_execute_command(self, command: str, **_: Any) -> dict[str, Any]:
        return {"stdout": subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout}


def test_what_others_brought_is_told_by_apts_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = tmp_path / "extended_states"
    noted = ["libc6 amd64 1", "sudo amd64 1", "nginx amd64 0", "nginx i386 1", "uv amd64 1"]
    stanza = "Package: {}\nArchitecture: {}\nAuto-Installed: {}\n\n"
    states.write_text("".join(stanza.format(*line.split()) for line in noted))
    for name, says in (("dpkg-query", "nginx installed\nsudo installed"), ("dpkg", "amd64")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(host_packages, "STATES", str(states))
    assert Shell({})._have_not(NAMES) == (["uv"], ["sudo"])
    states.unlink()
    assert Shell({})._have_not(NAMES) == (["uv"], [])


def test_a_check_where_apt_cannot_tell_finds_nothing_missing_where_all_is_there_for_others() -> None:
    assert Host({"failed": True, "msg": NO_LIBRARY}, installed=f"{ALL}sudo\n").run(task_vars={}) == {"changed": False}


@pytest.mark.parametrize(
    ("apt", "check"),
    [
        ({"changed": True, "diff": {"prepared": "x"}}, True),
        ({"failed": True, "msg": "E: dpkg was interrupted"}, False),
        ({"failed": True, "msg": "E: dpkg was interrupted"}, True),
    ],
    ids=["it can tell", "a run fails", "a check fails"],
)
def test_else_apts_own_answer_counts(apt: dict[str, Any], check: bool) -> None:
    host = Host(apt, check=check)
    assert host.run(task_vars={}) == apt
    assert [asked["name"] for asked in host.asked] == [NAMES]
    assert host.asked[0]["update_cache"]


def test_a_run_that_misses_a_name_brings_new_lists_before_it_fails() -> None:
    host = Host({"failed": True, "msg": NO_LISTS}, check=False)
    assert host.run(task_vars={})["failed"]
    assert [asked["cache_valid_time"] for asked in host.asked] == [86400, 0]
