"""How a run ends on the driver: who writes its report, of which runs there is one, and what is in it."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action.release_step import ActionModule
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import Stopped
from tests.support import canary_looks

ONE = {"app": ["web1"], "entry": ["web1"], "db": [], "arbiter": "web1"}
FLEET = {"app": ["app1", "app2"], "entry": ["web1", "web2"], "db": [], "arbiter": "web1"}
LOOK = {"at": 0, "since": 0, "stage": 0, "share": 1, "verdict": {"verdict": "promote"}}
LINE = {
    key: value
    for key, value in canary_looks.line([LOOK]).items()
    if key not in ("at", "run", "status", "reason", "duration_s", "verdicts")
}
STEPS = [{"step": "settle", "seconds": 0.1}]
LIVE = {"steps": STEPS, "token": 3}
EVIDENCE = "\n".join(f"  line {number} of what it wrote" for number in range(60))


class Ends(ActionModule):
    """The action that does steps, on a host of the test's own, and without Ansible around it."""

    def __init__(self, memory: Path, host: str, hosts: dict[str, Any], answer: dict[str, Any], *steps: str) -> None:
        self.host, self.vars, self.place, self.answer = host, {}, memory, answer
        self.told = {"app": "notes", "environment": "prod", "hosts": hosts, "stages": []}
        self.args = {"steps": [*steps], "of": "all", "plan": False, "reason": "", "back": False}
        self._task = SimpleNamespace(check_mode=False, run_once=False)
        self._connection = SimpleNamespace(become=None)
        plan = {"event": "deploy", "release": LINE["release"], "previous": LINE["previous"], "began": time.time() - 22}
        self.remember("plan", {**plan, "line": LINE})

    @property
    def memory(self) -> Path:
        return self.place

    def value(self, name: str, default: Any = None) -> Any:
        return self.told.get(name, default)

    def ask(self, act: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
        if self.answer.get("ok") is False:
            raise Stopped(self.host, self.answer)
        return {**self.answer}

    def _request(self, plan: dict[str, Any], wanted: list[str]) -> tuple[dict[str, Any], bytes]:
        return {"line": plan.get("line", {}), "reason": self._why(wanted)[:500]}, b""

    def report(self) -> str:
        """Do the steps; return the report that they tell of, and nothing where they tell of none."""
        told = self._work()["ferryman"]
        assert ("report" in told) == (self.place / "report.html").exists()
        return Path(told["report"]).read_text(encoding="utf-8") if "report" in told else ""


def test_a_deploy_without_stages_has_a_report_of_when_and_where_it_went_live(tmp_path: Path) -> None:
    text = Ends(tmp_path, "web1", ONE, LIVE, "workers", "commit", "settle").report()
    for said in ("is live", LINE["release"], "All clients were moved at once.", "after 22 s", time.strftime("%Y-")):
        assert said in text


@pytest.mark.parametrize(
    ("moved", "ended", "said"), [(True, "went back", "and sent back"), (False, "failed", "before it had clients")]
)
def test_one_that_came_to_nothing_has_the_whole_reason_with_its_evidence(
    tmp_path: Path, moved: bool, ended: str, said: str
) -> None:
    ends = Ends(tmp_path, "web1", ONE, {**LIVE, "moved": moved}, "return")
    ends.remember("cause-notes", {"said": f"web1: <it> died\n{EVIDENCE}"})
    text = ends.report()
    assert all(each in text for each in (ended, said, "web1: &lt;it&gt; died", EVIDENCE))


def test_one_that_was_committed_before_something_failed_is_live(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "web1", ONE, {**LIVE, "committed": True}, "return")
    ends.remember("cause-notes", {"said": "web1: the disk is full"})
    text = ends.report()
    assert "is live" in text
    assert "the disk is full" not in text


@pytest.mark.parametrize("step", ["settle", "return"])
def test_of_many_hosts_the_one_that_keeps_the_ledger_writes_it_and_no_other(tmp_path: Path, step: str) -> None:
    found = {host: Ends(tmp_path, host, FLEET, LIVE, step).report() for host in ("app1", "app2", "web2", "web1")}
    assert [host for host, text in found.items() if text] == ["web1"]
    assert "web1, web2" in found["web1"]


def test_what_each_host_has_verified_is_in_it_also_where_a_later_step_failed(tmp_path: Path) -> None:
    seen = {"vantage": "slot", "passed": 3, "left_out": 5, "seconds": 0.1}
    Ends(tmp_path, "app1", FLEET, {**LIVE, "verified": {"slot": seen}}, "start").report()
    ill = {"ok": False, "reason": "no", "hint": "", "steps": [], "verified": {"slot": seen}}
    with pytest.raises(Stopped):
        Ends(tmp_path, "app2", FLEET, ill, "start").report()
    text = Ends(tmp_path, "web1", FLEET, {**LIVE, "moved": False}, "return").report()
    assert "3 steps passed at the slot, 5 left out (app1, app2)" in text


def test_what_is_no_deploy_or_changes_nothing_or_was_never_planned_has_none(tmp_path: Path) -> None:
    back = Ends(tmp_path, "web1", ONE, LIVE, "settle")
    back.remember("plan", {**back.recall("plan"), "event": "rollback"})
    assert back.report() == ""
    unplanned = Ends(tmp_path, "web1", ONE, {**LIVE, "moved": False}, "return")
    unplanned.remember("plan", {})
    assert unplanned.report() == ""
    checked = Ends(tmp_path, "web1", ONE, LIVE, "settle")
    checked._task.check_mode = True
    assert checked.report() == ""
    assert Ends(tmp_path, "web1", ONE, LIVE, "switch").report() == ""


def test_a_driver_that_cannot_write_it_has_deployed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(tmp_path, "web1", ONE, LIVE, "settle")

    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert ends.report() == ""
