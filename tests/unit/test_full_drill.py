"""A full drill: which machine it is made on, what its steps add up to, and what is said of an application."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.configured import Configured

from ferryman import drill_host, environments, full_drill, variables
from ferryman.environments import Environment
from ferryman.errors import Stop

NAMES = st.lists(st.sampled_from(["one", "two", "three"]), max_size=3, unique=True)
GROUPS = st.fixed_dictionaries(dict.fromkeys(("entry", "app", "db", "backup", "others", "drill"), NAMES))
ADDRESSES = st.dictionaries(
    st.sampled_from(["one", "two", "three"]),
    st.fixed_dictionaries({"ansible_host": st.sampled_from(["10.0.0.1", "10.0.0.2"]), "ansible_port": st.just(22)}),
)


@given(GROUPS, ADDRESSES, st.sampled_from(["", "one", "two"]), st.booleans())
def test_a_machine_that_serves_is_never_chosen_whatever_it_is_called(
    groups: dict[str, list[str]], told: dict[str, Any], named: str, sandbox: bool
) -> None:
    try:
        chosen = drill_host.choose(groups, told, named, sandbox=sandbox)
    except Stop:
        return
    if not chosen:
        assert (sandbox, groups["drill"], named) == (True, [], "")
        return
    assert chosen in groups["drill"]
    assert named in ("", chosen)
    others = {host for group, hosts in groups.items() if group != "drill" for host in hosts}
    assert chosen not in others
    address = told.get(chosen, {}).get("ansible_host", chosen)
    assert address not in [told.get(host, {}).get("ansible_host", host) for host in others]


@given(GROUPS, ADDRESSES)
def test_an_empty_machine_is_taken_without_being_named_only_where_there_is_one(
    groups: dict[str, list[str]], told: dict[str, Any]
) -> None:
    assume(len(groups["drill"]) > 1)
    with pytest.raises(Stop, match="several"):
        drill_host.choose(groups, told, "", sandbox=True)


SPANS = st.lists(
    st.tuples(st.just("2026-11-26T00:00:00Z"), st.sampled_from([None, "2026-11-26T01:00:00Z"])), max_size=3
)


@given(st.lists(st.fixed_dictionaries({"release": st.sampled_from(["a", "b"]), "spans": SPANS})))
def test_what_was_live_is_what_nobody_took_the_place_of(history: list[dict[str, Any]]) -> None:
    open_ended = [one["release"] for one in history if one["spans"] and one["spans"][-1][1] is None]
    assert full_drill.lived(history) == (open_ended[0] if open_ended else "")


def test_a_release_is_built_again_from_its_commit_and_one_of_a_work_tree_by_nobody() -> None:
    assert full_drill.commit_of("20261125T180000Z-1a2b3c4") == "1a2b3c4"
    with pytest.raises(Stop, match="work tree"):
        full_drill.commit_of("20261125T180000Z-1a2b3c4-dirty")


STEP = {"name": "front page", "result": "failed", "reason": "500 and not 200"}
WELL = {"web1": {"web": {"good": True, "said": "it answers"}}}


@pytest.mark.parametrize(
    ("got", "health", "steps", "wrong"),
    [
        ({"status": 200}, WELL, [], 0),
        ({"status": 404}, WELL, [], 0),
        ({"status": 502}, WELL, [], 1),
        ({"error": "certificate verify failed"}, WELL, [], 1),
        ({"status": 200}, {"web1": {"web": {"good": False, "said": "no answer"}}}, [], 1),
        ({"status": 200}, {}, [], 1),
        ({"status": 200}, WELL, [STEP, {**STEP, "result": "passed"}, {**STEP, "result": "left out"}], 1),
        ({"error": "refused"}, {}, [STEP], 3),
    ],
)
def test_an_application_is_well_only_where_all_that_was_asked_was_well(
    got: dict[str, Any], health: dict[str, Any], steps: list[dict[str, Any]], wrong: int
) -> None:
    assert len(full_drill.judged("https://notes.example.org/", got, health, steps)) == wrong


def test_the_steps_of_a_drill_add_up_to_all_of_it_and_their_parts_are_no_time_twice() -> None:
    clock = full_drill.Clock()
    with clock.part("restore") as inner:
        inner |= {"database copy": 0.0, "database check": 0.0}
    with pytest.raises(ValueError, match="broke"), clock.part("provision"):
        raise ValueError("broke")
    assert [*clock.parts] == ["database copy", "database check", "restore", "provision"]
    assert clock.whole_s == round(sum(clock.parts.values()), 3)
    assert min(clock.parts.values()) >= 0


def test_the_inventory_of_a_drill_has_its_host_alone_and_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as Ansible reads it. The machine is one that nobody answers at, so that it could not be emptied is told."""
    project = Configured(tmp_path)
    project.change(
        "hosts.yml",
        "    db:\n",
        "    drill:\n      hosts:\n        new1: {ansible_host: 127.0.0.1, ansible_port: 9}\n    db:\n",
    )
    monkeypatch.chdir(project.root)
    prod = environments.resolve("prod")
    with pytest.raises(Stop, match="could not be taken away"):
        look_at_a_drill(prod, project.root)
    assert list((project.root / ".ferryman" / "drills").iterdir()) == []


def look_at_a_drill(prod: Environment, root: Path) -> None:
    with drill_host.ready(prod, variables.read(prod), "") as machine:
        found = variables.read(machine.environment)
        assert [*found.hosts] == ["new1"]
        there = {group for group, hosts in found.groups.items() if hosts == ["new1"]}
        assert there == {"all", "entry", "app", "db", "drill"}
        assert found.hosts["new1"]["environment_name"] == "prod"
        assert (machine.address, machine.archive_port, machine.values["lock_host"]) == ("127.0.0.1", 9, "new1")
        assert machine.environment.directory.is_relative_to(root / ".ferryman")
