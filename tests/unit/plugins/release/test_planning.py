"""The plan of a run, put together from what its tasks remember: several hosts, bare hosts, refusals."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action.release_plan import ActionModule
from ansible_collections.ferryman.ops.plugins.module_utils.release import files, render
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from tests.support.histories import Repository, good, tiny

HOSTS = ["web2", "web1", "db1"]
NEW = "20260102T000000Z-bbbbbbb"
TOLD: dict[str, Any] = {
    "name": "tiny",
    "runtime": {"kind": "binary"},
    "processes": {"web": {"kind": "web", "command": "./tiny", "instances": 1}},
    "secrets": ["TOKEN"],
}
ORDER = ["stage", "start", "switch", "workers", "commit", "settle"]


class Planning(ActionModule):
    """The action with a memory of the test's own, and without Ansible around it."""

    def __init__(self, place: Path, memory: dict[str, Any], **more: Any) -> None:
        groups = {"app": ["web1", "web2"], "entry": ["web1"], "db": ["db1"], "arbiter": "web1"}
        self.told = {
            "app": "tiny",
            "environment": "prod",
            "hosts": groups,
            "work_dir": str(place),
            "who": "ada",
            **more,
        }
        self.vars = {"ansible_play_hosts_all": HOSTS}
        self.kept = memory

    def value(self, name: str, default: Any = None) -> Any:
        return self.told.get(name, default)

    def recall(self, name: str) -> dict[str, Any]:
        return dict(self.kept.get(name, {}))


def look(roles: list[str], **more: Any) -> dict[str, Any]:
    return {"roles": roles, "stale": "nothing is live", "planned": {"provisioned": False}, **more}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return tiny(tmp_path / "tiny", good("v1"))


@pytest.fixture
def memory(repository: Repository, tmp_path: Path) -> dict[str, Any]:
    """What the tasks of a first deploy to bare hosts remember."""
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "files.txt").write_text(files.dump({"tiny": files.Entry("tiny", "0755", "a" * 64, 7)}))
    source = {
        "repository": str(repository.path), "path": ".", "commit": repository.commits[0], "ref": "main", "subject": "s",
        "committed_at": "", "dirty": False, "description": TOLD,
        "configuration": render.configuration(Site("tiny"), TOLD, environment="prod"),
    }  # fmt: skip
    app = {"ports": {}, "scaled": {}, "rendered": {}, "secrets": {"TOKEN": "new"}, "provisioned": False}
    return {
        "source": source,
        "plan": {
            "release": NEW, "slot": "green", "migrate": False, "artifact": str(artifact), "lacks_packages": False,
            "record": {"digest": "d", "environment_key": ""},
        },
        "look-web1": look(["app", "entry", "arbiter"], planned=app, environments=[], ledger={"lines": [], "head": ""}),
        "look-web2": look(["app"], planned=app, environments=[]),
        "look-db1": look(["db"], stale=""),
        **{
            f"foreseen-{host}": {"order": ORDER, "steps": [{"step": step} for step in steps], "sent_bytes": 50}
            for host, steps in (("web1", ORDER), ("web2", ["stage", "start", "workers", "settle"]), ("db1", ["settle"]))
        },
    }  # fmt: skip


def test_several_hosts_stand_in_the_inventorys_order(tmp_path: Path, memory: dict[str, Any]) -> None:
    told = Planning(tmp_path, memory).work()["plan"]
    assert [each["host"] for each in told["hosts"]] == HOSTS
    steps = {each["step"]: each["hosts"] for each in told["steps"]}
    assert list(steps) == ORDER
    assert (steps["stage"], steps["switch"], steps["settle"]) == (["web2", "web1"], ["web1"], HOSTS)
    assert told["sent_bytes"] == 150
    assert told["refused"] == []


def test_a_layout_that_no_release_can_be_brought_to_is_why_a_deploy_would_be_refused(
    tmp_path: Path, memory: dict[str, Any]
) -> None:
    groups = {"app": ["web1", "web2"], "entry": ["web1"], "db": ["db1"], "arbiter": "web2"}
    (refused,) = Planning(tmp_path, memory, hosts=groups).work()["plan"]["refused"]
    assert "which is none of the entries: web1" in refused["reason"]
    assert refused["hint"]


def test_stages_that_no_release_can_go_through_are_why_a_deploy_would_be_refused(
    tmp_path: Path, memory: dict[str, Any]
) -> None:
    shares = [{"share": 50, "for_s": 1}, {"share": 10, "for_s": 1}]
    (refused,) = Planning(tmp_path, memory, stages=shares).work()["plan"]["refused"]
    assert refused["reason"] == "the shares of release_stages are 50, 10: each must be above the one before"
    assert refused["hint"]


def test_what_is_more_than_a_hotfix_is_why_one_would_be_refused(tmp_path: Path, memory: dict[str, Any]) -> None:
    memory["plan"]["more"] = ["it migrates", "it drops something"]
    told = Planning(tmp_path, memory, hotfix=True).work()["plan"]
    assert told["hotfix"]
    assert [each["reason"].rpartition(": ")[2] for each in told["refused"]] == memory["plan"]["more"]
    assert all("`ferryman deploy --env prod --app tiny` without --hotfix" in each["hint"] for each in told["refused"])
    assert "hotfix" not in Planning(tmp_path, {**memory, "plan": {**memory["plan"], "more": []}}).work()["plan"]


def test_stages_of_a_hotfix_are_judged_before_one_is_needed(tmp_path: Path, memory: dict[str, Any]) -> None:
    shares = [{"share": 50, "for_s": 1}, {"share": 10, "for_s": 1}]
    (refused,) = Planning(tmp_path, memory, hotfix_stages=shares).work()["plan"]["refused"]
    assert "release_hotfix_stages are 50, 10" in refused["reason"]


def test_bare_hosts_have_no_release_no_ports_and_no_secret_yet(tmp_path: Path, memory: dict[str, Any]) -> None:
    told = Planning(tmp_path, memory).work()["plan"]
    assert set(told["against"].values()) == {""}
    assert not any(host["provisioned"] for host in told["hosts"])
    assert [each["name"] for each in told["configuration"]] == ["run/web"], "units wait for ports"
    assert told["secrets"] == {"TOKEN": "new"}
    assert told["files"]["added"] == [{"path": "tiny", "bytes": 7}]


@pytest.mark.parametrize(
    ("where", "what", "reason"),
    [
        (
            "look-web1",
            {"lock": {"alive": True, "owner": "ada@laptop", "purpose": "deploy"}},
            "ada@laptop holds the lock",
        ),
        ("look-web2", {"refuses": {"reason": "release.json was damaged", "hint": "mend it"}}, "was damaged"),
        ("foreseen-web1", {"refused": {"reason": "/srv has 3 MiB free", "hint": "free some"}}, "3 MiB free"),
    ],
)
def test_what_would_stop_a_deploy_is_told_with_its_host(
    tmp_path: Path, memory: dict[str, Any], where: str, what: dict[str, Any], reason: str
) -> None:
    memory[where] = {**memory[where], **what}
    (refused,) = Planning(tmp_path, memory).work()["plan"]["refused"]
    assert refused["host"] == where.partition("-")[2]
    assert reason in refused["reason"]


def test_too_few_ports_are_told_where_some_were_given_out(tmp_path: Path, memory: dict[str, Any]) -> None:
    memory["look-web1"]["planned"]["ports"] = {"format": 1, "ports": {"other": {"blue": [20000], "green": [20010]}}}
    (refused,) = Planning(tmp_path, memory).work()["plan"]["refused"]
    assert (refused["host"], refused["hint"]) == ("web1", "`ferryman provision --env prod` gives out ports")


def test_an_earlier_run_that_did_not_end_is_noted(tmp_path: Path, memory: dict[str, Any]) -> None:
    memory["look-web1"]["unfinished"] = {"event": "deploy", "release": NEW, "who": "bob@laptop"}
    (note,) = Planning(tmp_path, memory).work()["plan"]["notes"]
    assert "bob@laptop did not end" in note


def test_without_a_plan_of_a_release_nothing_would_change(tmp_path: Path, memory: dict[str, Any]) -> None:
    kept = {name: value for name, value in memory.items() if name.startswith(("source", "look"))}
    told = Planning(tmp_path, kept).work()["plan"]
    assert (told["change"], told["steps"], told["configuration"], told["pruned"]) == (False, [], [], {})
