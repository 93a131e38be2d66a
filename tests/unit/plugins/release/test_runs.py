"""What a run remembers on the driver, whatever the clock does meanwhile."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import INTERRUPTED
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import action


@pytest.fixture(autouse=True)
def _new_process() -> None:
    """Each task has a process of its own, which has cached nothing."""
    action.run_directory.cache_clear()
    action.unique_id.cache_clear()


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the driver's clock, and begin another task."""
    monkeypatch.setattr(time, "time", lambda: seconds)
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((1970, 1, 1, 0, 0, int(seconds), 0, 0, 0)))
    action.run_directory.cache_clear()


def test_a_run_keeps_its_id_when_the_clock_is_set_between_two_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 20)
    first = action.run_directory(tmp_path, action.unique_id())
    at(monkeypatch, 10)
    action.unique_id.cache_clear()
    assert action.run_directory(tmp_path, action.unique_id()) == first
    assert first.name.startswith("19700101T000020Z-")


def test_old_runs_are_removed_but_none_that_may_go_on_nor_ones_own(tmp_path: Path) -> None:
    for number in range(60):
        old = tmp_path / f"20200101T0000{number:02}Z-{number:06}"
        old.mkdir()
        os.utime(old, (number, number))
    long_deploy = tmp_path / "20190101T000000Z-aaaaaa"  # a clock that was set back; it wrote something a moment ago
    long_deploy.mkdir()
    mine = action.run_directory(tmp_path, "bbbbbb")
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert {long_deploy.name, mine.name} <= left
    assert len(left) == action.RUNS_KEPT
    assert "20200101T000000Z-000000" not in left


def test_a_host_that_cannot_be_told_to_stop_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, raised = threading.Event(), list[object]()

    class Lost(action.ReleaseAction):
        def __init__(self) -> None:
            """Know nothing of Ansible but a connection."""
            self._connection = SimpleNamespace(become=None)

        def value(self, name: str, default: object = None) -> object:
            return "stop"

        def is_to_stop(self) -> bool:
            return True

        def ask(self, act: str, body: bytes = b"", **more: object) -> dict[str, object]:
            asked.set()
            raise AnsibleConnectionFailure("no route to host")

    monkeypatch.setattr(threading, "excepthook", raised.append)
    with Lost().watching(["start"]):
        assert asked.wait(10)
    assert raised == []


def test_of_two_sessions_that_begin_at_one_moment_each_waits_for_what_its_own_sudo_says() -> None:
    began, told = threading.Event(), threading.Event()

    class Both(action.ReleaseAction):
        def __init__(self) -> None:
            """Know nothing of Ansible but a connection, by sudo."""
            self._connection = SimpleNamespace(become=SimpleNamespace(success=""))

        def value(self, name: str, default: object = None) -> object:
            return "stop"

        def is_to_stop(self) -> bool:
            return began.is_set()

        def ask(self, act: str, body: bytes = b"", **more: object) -> dict[str, object]:
            mine = f"BECOME-SUCCESS-{more['steps']}"
            self._connection.become.success = mine
            if more["steps"] == ["interrupt"]:
                told.set()
            else:
                began.set()
                assert told.wait(10)
            assert self._connection.become.success == mine
            return {}

    both = Both()
    with both.watching(["start"]):
        both.ask("steps", steps=["start"])


def test_an_exception_without_words_is_told_by_its_name_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wordless(action.ReleaseAction):
        """ferryman.ops.wordless"""

        def __init__(self) -> None:
            """Know nothing of Ansible."""

        def validate_argument_spec(self, *_: object) -> tuple[None, dict[str, object]]:
            return None, {}

        def is_to_stop(self) -> bool:
            return False

        def work(self) -> dict[str, object]:
            return next(iter(()))

    monkeypatch.setattr(ActionBase, "run", lambda *_: {})
    said = r"unexpected StopIteration at test_runs\.py:\d+, in ferryman\.ops\.wordless"
    with pytest.raises(AnsibleError, match=said):
        Wordless().run(task_vars={"inventory_hostname": "a1"})


class Failing(action.ReleaseAction):
    """ferryman.ops.failing, on one of two hosts of a run."""

    def __init__(self, host: str, place: Path, error: Exception) -> None:
        """Know nothing of Ansible but a task."""
        hosts = {"app": ["app1", "app2"], "entry": ["entry1"], "arbiter": "entry1"}
        told = {"app": "shop", "environment": "prod", "work_dir": str(place), "hosts": hosts}
        self.vars_ = {"inventory_hostname": host, **{f"release_{name}": value for name, value in told.items()}}
        self.error, self._task = error, SimpleNamespace(_uuid="0242ac11-0002-9f1c-5d0e-00000000001f")

    def validate_argument_spec(self, *_: object) -> tuple[None, dict[str, object]]:
        return None, {}

    def value(self, name: str, default: object = None) -> object:
        return self.vars_.get(f"release_{name}", default)

    def work(self) -> dict[str, object]:
        raise self.error

    def fail(self) -> None:
        """Do the task, which fails, in one way or the other."""
        with suppress(AnsibleError):
            assert self.run(task_vars=self.vars_)["failed"]


def stopped(host: str, reason: str) -> action.Stopped:
    return action.Stopped(host, {"reason": reason, "evidence": [], "hint": "", "refused": False})


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (stopped("app2", "exit code 1"), "app2: exit code 1"),
        (AnsibleConnectionFailure("no route to it\nand more"), "app2 cannot be reached: no route to it"),
        (AnsibleError("no git here"), "app2: no git here"),
        (StopIteration(), "app2: unexpected StopIteration at test_runs.py:"),
    ],
)
def test_a_run_remembers_what_failed_first_whichever_host_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str
) -> None:
    """Ansible tells it to the tasks of the host alone that failed, and the ledger is kept by another."""
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})
    Failing("app2", tmp_path, error).fail()
    after = Failing("app1", tmp_path, stopped("app1", INTERRUPTED))
    after.fail()
    assert after.cause.startswith(cause)


def test_a_mark_of_a_task_is_none_of_another_processs_task(tmp_path: Path) -> None:
    """The end of a task's id counts the tasks of one process; a run that is handed over has a second one."""
    first, second = (Failing("app1", tmp_path, ValueError()) for _ in range(2))
    second._task = SimpleNamespace(_uuid="0242ac11-0003-77aa-1234-00000000001f")
    assert first._mark("app1") != second._mark("app1")
    assert first._mark("app1") == Failing("app2", tmp_path, ValueError())._mark("app1")


def test_an_application_without_a_domain_is_refused_by_the_name_of_the_setting() -> None:
    class Nameless(action.ReleaseAction):
        def __init__(self) -> None:
            """Know nothing of Ansible."""

        def value(self, name: str, default: object = None) -> object:
            return []

    with pytest.raises(AnsibleError, match="release_domains names no domain; name at least one"):
        assert Nameless().entry


@pytest.mark.parametrize(("forks", "ended"), [(5, ["done", "failed"]), (1, [])])
def test_the_arbiter_keeps_its_lock_until_a_step_has_ended_on_every_other_host(
    monkeypatch: pytest.MonkeyPatch, forks: int, ended: list[str]
) -> None:
    """With one fork the others would wait for the arbiter, and it for them."""
    told, kept = dict[str, dict[str, str]](), list[int]()

    class Vigil(action.ReleaseAction):
        def __init__(self) -> None:
            """Know nothing of Ansible but the play's hosts."""
            self.host, self.vars = "entry1", {"ansible_play_hosts": ["entry1", "app1", "app2"]}

        def _mark(self, host: str) -> str:
            return host

        def recall(self, name: str) -> dict[str, object]:
            return dict(told.get(name, {}))

        def is_to_stop(self) -> bool:
            return False

    def keep() -> None:
        kept.append(len(told))
        told["app1" if kept == [0] else "app2"] = {"ended": "done" if kept == [0] else "failed"}

    monkeypatch.setattr(context, "CLIARGS", {"forks": forks})
    assert Vigil().vigil(keep, every_s=0) == ended
    assert kept == ([0, 1] if ended else [])
