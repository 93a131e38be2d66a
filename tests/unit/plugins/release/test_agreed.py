"""What must still be so for a plan to be followed: each difference is named, nothing else is, and no secret is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import agreed
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped
from hypothesis import given
from hypothesis import strategies as st

LIVE = "20260101T000000Z-aaaaaaa"
values = st.one_of(st.text("abc", max_size=3), st.integers(0, 3), st.booleans())
names = st.sampled_from(["live release", "schema", "commit", "artifact"])
groups = st.sampled_from(["setting", "host", "description", "secret"])
worlds = st.builds(
    lambda plain, nested: {**plain, **nested},
    st.dictionaries(names, values),
    st.dictionaries(groups, st.dictionaries(st.sampled_from(["one", "two", "three"]), values)),
)


@given(worlds, worlds)
def test_each_difference_is_named_once_and_what_is_equal_is_not(then: dict[str, Any], now: dict[str, Any]) -> None:
    found = agreed.differences(then, now)
    wanted = set()
    for name in then.keys() & now.keys():
        if isinstance(then[name], dict):
            keys = {*then[name], *now[name]}
            wanted |= {f"{name} {key}" for key in keys if then[name].get(key) != now[name].get(key)}
        elif then[name] != now[name]:
            wanted.add(name)
    assert sorted(line.partition(": ")[0] for line in found) == sorted(wanted)
    assert agreed.differences(then, then) == []


def test_a_difference_says_what_it_was_and_what_it_is() -> None:
    then = {"live release": LIVE, "setting": {"release_soak_s": 5, "release_keep": 5}, "artifact": "a" * 64}
    now = {"live release": "", "setting": {"release_soak_s": 3, "release_keep": 5}, "artifact": "b" * 64}
    assert agreed.differences(then, now) == [
        f"live release: {LIVE} then, none now",
        "setting release_soak_s: 5 then, 3 now",
        f"artifact: {'a' * 12} then, {'b' * 12} now",
    ]


def test_dependencies_that_nobody_could_know_on_a_bare_host_are_no_difference() -> None:
    assert agreed.differences({"dependencies": ""}, {"dependencies": "0123456789abcdef"}) == []
    assert agreed.differences({"dependencies": "f"}, {"dependencies": "0123456789abcdef"}) != []


class Run(ReleaseAction):
    """A run that has looked at one host, and read the source."""

    def __init__(self, **settings: Any) -> None:
        """Know nothing of Ansible."""
        self.settings_ = {"app": "shop", "environment": "prod", "hosts": HOSTS, **settings}
        self.vars = {"ansible_play_hosts_all": ["web1"]}
        self.host = "web1"
        self.lines = [{"run": "a", "hash": "h1", "release": LIVE, "status": "live", "schema_after": "0002"}]
        self.description = {"env": {"TITLE": "Shop"}, "processes": {}}

    @property
    def run_id(self) -> str:
        return "mine"

    def value(self, name: str, default: Any = None) -> Any:
        return self.settings_.get(name, default)

    def recall(self, name: str) -> dict[str, Any]:
        if name == "source":
            return {"commit": "c" * 40, "configuration": "d" * 64, "description": self.description}
        shift = {"release_stable": LIVE}
        return {"roles": ["app", "entry"], "live": LIVE, "shift": shift, "ledger": {"lines": self.lines}}


HOSTS = {"app": ["web1"], "entry": ["web1"], "db": [], "arbiter": "web1"}


def test_what_a_run_itself_wrote_into_the_ledger_is_no_difference_and_what_others_wrote_is() -> None:
    then, run = agreed.conditions(Run(), {}), Run()
    run.lines.append({"run": "mine", "hash": "h2", "event": "edit_seen"})
    assert agreed.differences(then, agreed.conditions(run, {})) == []
    run.lines.append({"run": "b", "hash": "h3", "event": "unlock"})
    assert agreed.differences(then, agreed.conditions(run, {})) == ["ledger: h1 then, h3 now"]


def test_a_value_of_the_environment_is_told_by_its_digest_alone() -> None:
    then, run = agreed.conditions(Run(), {}), Run()
    run.description = {**run.description, "env": {"TITLE": "Another"}}
    (line,) = agreed.differences(then, agreed.conditions(run, {}))
    assert line.startswith("description env: ")
    assert "Another" not in json.dumps(agreed.conditions(run, {}))


def planned(path: Path, **more: Any) -> Path:
    """A plan's file of such a run."""
    path.write_text(json.dumps({"format": 1, "conditions": agreed.conditions(Run(), {}), **more}))
    return path


def test_a_plan_is_followed_while_the_world_is_as_it_was_and_refused_with_all_that_is_not(tmp_path: Path) -> None:
    file = planned(tmp_path / "plan.json")
    agreed.require(Run(plan_file=str(file)), {})
    with pytest.raises(Stopped) as stopped:
        agreed.require(Run(plan_file=str(file), soak_s=1, environment="staging"), {})
    assert stopped.value.answer["refused"]
    assert stopped.value.answer["evidence"] == [
        "environment: prod then, staging now",
        "setting release_soak_s: none then, 1 now",
    ]


def test_a_plan_is_followed_as_a_hotfix_only_where_it_was_made_for_one(tmp_path: Path) -> None:
    for then, now in ((False, True), (True, False)):
        file = tmp_path / "plan.json"
        file.write_text(json.dumps({"format": 1, "conditions": agreed.conditions(Run(hotfix=then), {})}))
        agreed.require(Run(plan_file=str(file), hotfix=str(then)), {})
        with pytest.raises(Stopped) as stopped:
            agreed.require(Run(plan_file=str(file), hotfix=now), {})
        said = f"setting release_hotfix: {json.dumps(then)} then, {json.dumps(now)} now"
        assert stopped.value.answer["evidence"] == [said]


def test_without_a_plan_nothing_is_compared() -> None:
    agreed.require(Run(plan_file=""), {})


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "no plan"), ("[]", "no plan"), ('{"format": 1}', "no plan"), ('{"format": 2}', "format is 2")],
)
def test_a_file_that_is_no_plan_is_named_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(Stopped, match=said) as stopped:
        agreed.read(Run(plan_file=str(tmp_path / "plan.json")))
    assert "plan --out" in str(stopped.value.answer["hint"])
    with pytest.raises(Stopped, match="No such file"):
        agreed.read(Run(plan_file=str(tmp_path / "gone.json")))
