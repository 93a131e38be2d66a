"""A plan compares: commits, files, what is rendered, migrations; what it finds is what a deploy's digests see."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.ferryman.ops.plugins.module_utils.release import files, names, planned, render
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description, git, plan
from hypothesis import given
from hypothesis import strategies as st
from tests.support.histories import Repository, good, tiny

TASKS = Path(__file__).parents[4] / "roles" / "release" / "tasks"
SITE = names.Site("tiny")
OLD, NEW = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"
PORTS = {"format": 1, "address": "127.0.0.1", "ports": {"web": {"blue": [20000, 20001], "green": [20010, 20011]}}}

paths = st.text(string.ascii_lowercase, min_size=1, max_size=3).map(lambda name: f"d/{name}")
trees = st.dictionaries(paths, st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=8)


def listed(tree: dict[str, tuple[str, int]]) -> str:
    """The list of files of a tree of (content, size)."""
    return files.dump({path: files.Entry(path, "0644", letter * 64, size) for path, (letter, size) in tree.items()})


@given(trees, trees)
def test_changes_of_files_lead_from_one_list_to_the_other(before: Any, after: Any) -> None:
    found = plan.file_changes(listed(before), listed(after))
    paths = {kind: {each["path"] for each in found[kind]} for kind in ("added", "changed", "removed")}
    assert (set(before) | paths["added"]) - paths["removed"] == set(after)
    assert paths["changed"] == {path for path in set(before) & set(after) if before[path] != after[path]}
    assert {each["path"]: each["bytes"] for each in found["added"]} == {path: after[path][1] for path in paths["added"]}


def described(kind: str = "python", **more: Any) -> dict[str, Any]:
    told = {
        "format": 1,
        "name": "tiny",
        "runtime": {"kind": kind},
        "processes": {"web": {"kind": "web", "command": "run --port {port}"}},
    }
    return description.read(json.dumps({**told, **more}))


commands = st.sampled_from(["run", "run --fast"])
descriptions = st.builds(
    lambda web, worker, instances, env, secrets, shared, check, command, kind: described(
        kind,
        processes={
            "web": {"kind": "web", "instances": instances, **({"command": web} if kind == "python" else {})},
            **({"worker": {"kind": "worker", "command": worker}} if worker else {}),
            "job": {"kind": "cron", "command": "job", "schedule": f"*-*-* 0{instances}:00:00"},
            "seed": {"kind": "once", "command": "seed", "timeout_s": instances},
        },
        env=env,
        secrets=secrets,
        shared=shared,
        health={"checks": [{"name": "front", "path": check}]} if check else {},
        migrations={"command": command} if command else {},
    ),
    commands,
    st.sampled_from(["", "work", "work --slow"]),
    st.integers(1, 2),
    st.dictionaries(st.sampled_from(["TITLE", "MOTTO"]), st.sampled_from(["one", "two"])),
    st.lists(st.sampled_from(["KEY", "TOKEN"]), unique=True),
    st.lists(st.sampled_from(["media", "var"]), unique=True),
    st.sampled_from(["", "/", "/front"]),
    st.sampled_from(["", "migrate"]),
    st.sampled_from(["python", "static"]),
)


def texts(told: dict[str, Any], release: str) -> dict[str, str]:
    launchers = plan.launchers(SITE, told, environment="prod", release=release)
    units = plan.units(SITE, told, slot="blue", ports=PORTS, scaled={})
    return {**launchers, **units, **plan.as_texts(planned.asked(told))}


@given(descriptions, descriptions)
def test_a_difference_is_shown_if_and_only_if_the_configurations_digest_is_another(one: Any, two: Any) -> None:
    """The digest decides whether there is something to deploy: a plan must show what it sees, and nothing else."""
    same = render.configuration(SITE, one, environment="prod") == render.configuration(SITE, two, environment="prod")
    changes = plan.text_changes(texts(one, OLD), texts(two, NEW), old=OLD, new=NEW)
    assert same == (not changes)
    assert not [line for each in changes for line in each["diff"] if OLD in line or NEW in line]


def test_a_difference_says_what_is_new_changed_and_removed_line_by_line() -> None:
    before = {"run/web": f"cd /srv/{OLD}\nexport A=1\n", "run/gone": "x\n"}
    after = {"run/web": f"cd /srv/{NEW}\nexport A=2\n", "run/more": "y\n"}
    found = {each["name"]: each for each in plan.text_changes(before, after, old=OLD, new=NEW)}
    assert {name: each["change"] for name, each in found.items()} == {
        "run/gone": "removed",
        "run/more": "new",
        "run/web": "changed",
    }
    assert found["run/web"]["diff"][1:] == [" cd /srv/<release>", "-export A=1", "+export A=2"]


def test_too_few_ports_are_why_a_deploy_would_be_refused() -> None:
    told = described(processes={"web": {"kind": "web", "command": "run", "instances": 3}})
    with pytest.raises(Failed, match="this host has 2 ports for it") as failed:
        texts(told, NEW)
    assert failed.value.refused


# Commits


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return tiny(tmp_path / "tiny", *(good(f"v{number}") for number in (1, 2, 3)))


def commit(repository: Repository, ref: str = "HEAD", path: str = ".") -> git.Commit:
    return git.Commit(repository.path, path, repository.git("rev-parse", ref), ref, "", "")


def subjects(found: dict[str, Any], kind: str) -> list[str]:
    return [each["subject"] for each in found[kind]]


def test_commits_are_those_between_the_live_one_and_the_wanted_one_newest_first(repository: Repository) -> None:
    found = plan.commits(commit(repository), repository.commits[0])
    assert found["known"]
    assert subjects(found, "added") == ["Say: v3", "Say: v2"]
    assert found["added"][0]["commit"] == repository.commits[2]
    assert found["dropped"] == []


def test_going_to_an_older_commit_or_another_branch_names_what_is_dropped(repository: Repository) -> None:
    found = plan.commits(commit(repository, repository.commits[0]), repository.commits[2])
    assert (subjects(found, "added"), subjects(found, "dropped")) == ([], ["Say: v3", "Say: v2"])
    repository.git("switch", "-q", "-c", "other", repository.commits[1])
    repository.commit(good("beside"))
    found = plan.commits(commit(repository), repository.commits[2])
    assert (subjects(found, "added"), subjects(found, "dropped")) == (["Say: beside"], ["Say: v3"])


def test_the_first_deploy_is_of_one_commit(repository: Repository) -> None:
    assert subjects(plan.commits(commit(repository), ""), "added") == ["Say: v3"]


def test_a_live_commit_that_the_repository_has_not_is_no_list_of_none(repository: Repository) -> None:
    assert plan.commits(commit(repository), "1" * 40)["known"] is False


def test_what_a_host_calls_its_commit_is_no_option_of_git(repository: Repository, tmp_path: Path) -> None:
    assert plan.commits(commit(repository), f"--output={tmp_path / 'written'}")["known"] is False
    assert not list(tmp_path.rglob("written*"))


def test_in_a_directory_of_a_repository_only_what_touches_it_counts(repository: Repository) -> None:
    (repository.path / "shop").mkdir()
    (repository.path / "shop" / "page").write_text("x")
    repository.commit(good("with a shop"))
    repository.commit(good("v5"))
    found = plan.commits(commit(repository, path="shop"), repository.commits[2])
    assert subjects(found, "added") == ["Say: with a shop"]


# Migrations

TOLD = {"migrations": {"command": "migrate", "paths": ["migrations/", "migrations.lock"]}}
NONE: dict[str, Any] = {"added": [], "changed": [], "removed": []}


@pytest.mark.parametrize(
    ("told", "run", "known", "added", "why"),
    [
        ({}, False, True, ["a.py"], "the application has none"),
        (TOLD, False, True, ["a.py"], "they are those of the live release"),
        (TOLD, True, False, ["migrations/1"], "no release is live yet"),
        (TOLD, True, True, ["migrations/1", "migrations-old/1", "migrations.lock"], "their files have changed"),
        ({"migrations": {"command": "migrate"}}, True, True, ["a"], "migrations.paths names no files"),
    ],
)
def test_migrations_say_why_they_run_and_which_are_new(
    told: Any, run: bool, known: bool, added: list[str], why: str
) -> None:
    changes = {**NONE, "added": [{"path": path, "bytes": 1} for path in added]}
    found = plan.migrations(told, run=run, known=known, changes=changes, database="shop")
    assert found["why"].startswith(why)
    assert found["added"] == [
        path for path in added if path in ("migrations/1", "migrations.lock") and "paths" in str(told)
    ]
    assert (found["run"], found["dump"]) == (run, run)


def test_no_dump_is_promised_where_the_inventory_names_no_database() -> None:
    assert not plan.migrations(TOLD, run=True, known=True, changes=NONE, database="")["dump"]


# Steps


def test_steps_keep_their_order_and_name_hosts_in_the_inventorys() -> None:
    did = {"db": ["snapshot", "settle"], "web2": ["stage", "start", "settle"], "web1": ["stage", "start", "settle"]}
    found = plan.steps(["stage", "snapshot", "migrate", "start", "settle"], did, ["web1", "db", "web2"])
    assert [(each["step"], each["hosts"]) for each in found] == [
        ("stage", ["web1", "web2"]),
        ("snapshot", ["db"]),
        ("start", ["web1", "web2"]),
        ("settle", ["web1", "db", "web2"]),
    ]


def steps_of(name: str) -> list[tuple[str, bool]]:
    """The steps of a task file in their order, and whether each depends on there being something to migrate."""
    found: list[tuple[str, bool]] = []
    for task in yaml.safe_load((TASKS / name).read_text()):
        for each in task.get("block", [task]):
            told = (each.get("ferryman.ops.release_step") or {}).get("steps", [])
            if isinstance(told, list):
                found += [(step, "migrate" in str(each.get("when", ""))) for step in told]
            else:
                lists = {
                    migrate: Templar(loader=DataLoader(), variables={"__release_plan": {"migrate": migrate}}).template(
                        trust_as_template(told)
                    )
                    for migrate in (False, True)
                }
                found += [(step, step not in lists[False]) for step in lists[True]]
    return found


def test_a_plan_goes_through_the_steps_of_a_deploy() -> None:
    of_many = [step for step in dict.fromkeys(steps_of("deploy_many.yml")) if step[0] not in names.AMONG_MANY]
    assert steps_of("plan.yml") == steps_of("deploy_one.yml") == of_many
    assert len(steps_of("plan.yml")) == 9
