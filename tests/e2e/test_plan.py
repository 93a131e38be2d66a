"""What a plan announces is what then happens: each section held against what a deploy leaves behind."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from tests.support.histories import good, migrates
from tests.support.newcomer import Newcomer
from tests.support.pages import blocks

from ferryman import paths as places

# What a plan of a bare server announces is held against what comes in every run: tests/e2e/test_first_server.py.
pytestmark = pytest.mark.at_times(journey="a plan and what a deploy then does")
PAGE = places.CHECKOUT / "docs" / "guides" / "plan.md"
SITE, STATE = "/srv/notes", "/var/lib/ferryman/sites/notes"
KEPT = "/srv /etc /var/lib/ferryman /var/lib/apt /var/lib/dpkg /var/backups /usr/local /home /root /run/systemd/system"
REMOVABLE = (
    f"{SITE}/releases/* {SITE}/environments/* {SITE}/wheels/* /etc/ferryman/sites/notes/secrets/*"
    " /var/backups/ferryman/notes/*.dump"
)


def everything(newcomer: Newcomer) -> str:
    """Every path where a plan could leave something, with its time, size and mode."""
    return newcomer.ssh(f"find {KEPT} -printf '%p %T@ %s %m %l\\n' | sort")


def listed(newcomer: Newcomer, release: str) -> set[str]:
    """The lines of a release's list of files."""
    return set(newcomer.ssh(f"cat {SITE}/releases/{release}/files.txt").splitlines())


def paths(lines: set[str]) -> set[str]:
    return {line.split(" ", 3)[3] for line in lines}


def record(newcomer: Newcomer, release: str) -> dict[str, Any]:
    return dict(json.loads(newcomer.ssh(f"cat {SITE}/releases/{release}/release.json")))


def removable(newcomer: Newcomer) -> set[str]:
    """Everything that a deploy may remove when it tidies up."""
    return set(newcomer.ssh(f"ls -d {REMOVABLE} 2>/dev/null || :").splitlines())


def launcher(newcomer: Newcomer, release: str, name: str) -> list[str]:
    """A launcher's lines, whatever the release."""
    text = newcomer.ssh(f"cat {SITE}/releases/{release}/{name} 2>/dev/null || :")
    return text.replace(release, "<release>").splitlines()


@dataclass
class Told:
    """A plan, the deploy after it, and what the host held before."""

    plan: dict[str, Any]
    file: dict[str, Any]
    deploy: dict[str, Any]
    untouched: bool
    live: str
    removable: set[str]


@pytest.fixture(scope="module")
def told(newcomer: Newcomer) -> Any:
    """A release with a migration, another configuration and one file less, planned and then deployed."""
    variables = newcomer.root / "inventories" / "local" / "group_vars" / "all"
    before = {name: (variables / name).read_text() for name in ("apps.yml", "release.yml")}
    newcomer.repository.commit(good("Live when the plan is made"))
    live = str(newcomer.type("./invoke deploy --json").said["release"])
    apps = yaml.safe_load(before["apps.yml"])
    apps["apps"]["notes"].update(env={"NOTES_TITLE": "Planned notes"}, processes={"web": {"memory_max": "400M"}})
    (newcomer.repository.path / "README.md").unlink()
    newcomer.repository.commit(good("Between the two"))
    newcomer.repository.commit(migrates("As it was planned"))
    try:
        (variables / "apps.yml").write_text(yaml.safe_dump(apps))
        (variables / "release.yml").write_text(f"{before['release.yml']}\nrelease_keep: 1\n")
        newcomer.type("./invoke provision --json")
        was = everything(newcomer)
        planned, followed = (line for block in blocks(PAGE, "sh") for line in block.lines)
        plan = newcomer.type(f"{planned} --json").said
        untouched = everything(newcomer) == was
        there = removable(newcomer)
        deploy = newcomer.type(f"{followed} --json").said
        yield Told(plan, json.loads((newcomer.root / "plan.json").read_text()), deploy, untouched, live, there)
    finally:
        for name, text in before.items():
            (variables / name).write_text(text)
        (newcomer.root / "plan.json").unlink(missing_ok=True)


def test_a_plan_leaves_nothing_on_the_host_and_takes_no_lock(told: Told) -> None:
    assert told.untouched


def test_no_secret_is_in_it_nor_in_what_its_run_remembers(newcomer: Newcomer, told: Told) -> None:
    secrets = newcomer.ssh("for file in /etc/ferryman/sites/notes/secrets/*; do cat $file; echo; done").split()
    assert len(secrets) == 2
    runs = [path.read_text() for path in (newcomer.root / ".ferryman" / "runs").rglob("*.json")]
    assert runs
    assert not [secret for secret in secrets for text in [json.dumps(told.plan), *runs] if secret in text]


def test_the_file_holds_what_was_said(told: Told) -> None:
    assert told.file == told.plan
    assert (told.file["format"], told.file["against"]["release"]) == (1, told.live)


def test_what_it_was_made_against_is_what_the_ledger_said(newcomer: Newcomer, told: Told) -> None:
    was = record(newcomer, told.live)
    same = ("commit", "digest", "configuration", "environment_key")
    assert {key: told.plan["against"][key] for key in same} == {key: was[key] for key in same}
    ledger = newcomer.ssh(f"cat {STATE}/arbiter/ledger.jsonl").splitlines()
    lines = [json.loads(line) for line in ledger]
    (began,) = [line for line in lines if line["release"] == told.deploy["release"] and line["status"] == "started"]
    assert told.plan["against"]["ledger_head"] == began["prev"]


def test_the_commits_are_those_that_came(told: Told) -> None:
    assert [each["subject"] for each in told.plan["commits"]["added"]] == [
        "Say: As it was planned",
        "Say: Between the two",
    ]
    assert told.plan["commits"]["dropped"] == []


def test_the_files_are_those_that_changed(newcomer: Newcomer, told: Told) -> None:
    before, after = listed(newcomer, told.live), listed(newcomer, told.deploy["release"])
    files = {kind: {each["path"] for each in told.plan["files"][kind]} for kind in ("added", "changed", "removed")}
    assert files["added"] == paths(after) - paths(before)
    assert files["removed"] == paths(before) - paths(after) == {"README.md"}
    assert files["changed"] == paths(after - before) & paths(before)
    assert files["changed"] >= {"notes/static/index.html"}


def test_as_many_bytes_were_sent(newcomer: Newcomer, told: Told) -> None:
    journal = [json.loads(line) for line in newcomer.ssh(f"cat {STATE}/journal.jsonl").splitlines()]
    (staged,) = [
        line["detail"]["sent_bytes"]
        for line in journal
        if (line["step"], line["result"], line["release"]) == ("stage", "done", told.deploy["release"])
    ]
    assert told.plan["sent_bytes"] == staged > 0


def test_the_release_is_made_of_what_was_announced(newcomer: Newcomer, told: Told) -> None:
    made = record(newcomer, told.deploy["release"])
    same = ("commit", "digest", "configuration", "environment_key")
    assert {key: told.plan["wanted"][key] for key in same} == {key: made[key] for key in same}


def test_the_configuration_differs_as_it_was_shown(newcomer: Newcomer, told: Told) -> None:
    shown = {each["name"]: each for each in told.plan["configuration"]}
    names = set(newcomer.ssh(f"cd {SITE}/releases/{told.deploy['release']} && ls -d run/*").splitlines())
    differing = {
        name
        for name in names
        if launcher(newcomer, told.live, name) != launcher(newcomer, told.deploy["release"], name)
    }
    assert differing == {name for name in shown if name.startswith("run/")}
    was, now = (launcher(newcomer, release, "run/web") for release in (told.live, told.deploy["release"]))
    lines = [line for line in shown["run/web"]["diff"] if line[0] in "+-"]
    assert sorted(lines) == sorted(
        [f"-{line}" for line in was if line not in now] + [f"+{line}" for line in now if line not in was]
    )
    units = [each["diff"] for name, each in shown.items() if name.startswith("notes-web@")]
    assert [[line for line in diff if line[0] in "+-"] for diff in units] == [
        ["-MemoryMax=512M", "+MemoryMax=400M"]
    ] * 2
    slot = told.plan["wanted"]["slot"]
    assert "MemoryMax=400M" in newcomer.ssh(f"cat /etc/systemd/system/notes-web@{slot}-1.service")


def test_the_migration_ran_as_announced_after_a_dump(newcomer: Newcomer, told: Told) -> None:
    seen = told.plan["migrations"]
    assert (seen["run"], seen["dump"], seen["why"]) == (True, True, "their files have changed")
    assert [path for path in seen["added"] if path.endswith("_extra.py")] == seen["added"] != []
    assert told.deploy["restore_point"]
    ledger = [json.loads(line) for line in newcomer.ssh(f"cat {STATE}/arbiter/ledger.jsonl").splitlines()]
    (line,) = [each for each in ledger if each["release"] == told.deploy["release"] and each["status"] == "live"]
    assert seen["from"] == line["schema_before"] != line["schema_after"]


def test_the_steps_came_in_their_order_on_their_hosts(told: Told) -> None:
    assert [(each["step"], each["hosts"]) for each in told.plan["steps"]] == [
        (step["step"], [step["host"]]) for step in told.deploy["steps"]
    ]


def test_what_was_pruned_is_what_was_announced(newcomer: Newcomer, told: Told) -> None:
    announced = {path for paths in told.plan["pruned"].values() for path in paths}
    assert announced == told.removable - removable(newcomer)
    assert [path for path in announced if "/releases/" in path], "an old release goes, since one is kept"


def test_a_plan_of_what_is_live_changes_nothing(newcomer: Newcomer, told: Told) -> None:
    del told  # only that it was deployed; the settings are the old ones again
    newcomer.type("./invoke deploy")
    said = newcomer.type("./invoke plan --json").said
    assert (said["change"], said["steps"], said["pruned"]) == (False, [], {})
    assert said["provision"]["changes"] == []
    assert not any([*said["files"].values(), said["configuration"], said["secrets"], said["migrations"]["run"]])
    page = newcomer.type("./invoke plan").out
    assert page.startswith("notes on local: nothing would change\n")
    assert max(map(len, page.splitlines())) <= 80
