"""Whom a step concerns, of those that run once where they concern nobody; and why a run goes back."""

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action.release_step import ActionModule
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import INTERRUPTED
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import concerned
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"
HOSTS = ("web1", "web2", "app1", "app2", "db1")


class Remembering(ReleaseAction):
    """A run's action on a host, with a memory of the test's own, and without Ansible around it."""

    def __init__(self, host: str, hosts: dict[str, Any], memory: dict[str, Any], **args: Any) -> None:
        self.host, self.vars, self.kept = host, {"ansible_play_hosts_all": [*HOSTS]}, memory
        self.told = {"app": "shop", "environment": "prod", "hosts": hosts}
        self.args = {"steps": [], "reason": "", "of": "all", "plan": False, "back": False, **args}
        self._task = SimpleNamespace(check_mode=False, run_once=False)

    def value(self, name: str, default: Any = None) -> Any:
        return self.told.get(name, default)

    def recall(self, name: str) -> dict[str, Any]:
        return dict(self.kept.get(name, {}))


class Step(Remembering, ActionModule):
    """The action that does steps."""


class Begins(Step):
    """One whose steps are all done at once."""

    def _work(self) -> dict[str, Any]:
        return {"begun": True}


kinds = st.sampled_from(["web", "worker", "cron", "once"])
described = st.fixed_dictionaries(
    {}, optional={"processes": st.dictionaries(st.sampled_from("abc"), st.fixed_dictionaries({"kind": kinds}))}
)
shifts = st.fixed_dictionaries(
    {"stable": st.sampled_from(["blue", "green"]), "release_stable": st.sampled_from(["", OLD])}
)
looks = st.fixed_dictionaries(
    {"pending": st.sampled_from(["", "shifting"]), "shift": shifts},
    optional={"way": st.just("left"), "releases": st.lists(st.fixed_dictionaries({"checks": described}), max_size=2)},
)
of_a_database = st.fixed_dictionaries({}, optional={"way": st.just("left")})
plans: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.fixed_dictionaries(
    {"release": st.just(NEW)}, optional={"description": described}
)


@st.composite
def runs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw who does what in an environment, and what its run remembers once it is planned."""
    entry = draw(st.lists(st.sampled_from(HOSTS[:2]), min_size=1, unique=True))
    app = draw(st.lists(st.sampled_from(HOSTS[:4]), min_size=1, unique=True))
    hosts = {"app": app, "entry": entry, "db": draw(st.lists(st.just("db1"), max_size=1))}
    out = draw(st.lists(st.sampled_from(app), max_size=len(app) - 1, unique=True)) if len(app) > 1 else []
    hosts["arbiter"] = draw(st.sampled_from(entry))
    every = {*entry, *app, *hosts["db"]}
    memory = {f"look-{host}": draw(of_a_database if host == "db1" else looks) for host in every}
    out = [host for host in out if host not in entry]
    memory |= {f"look-{host}": {"roles": ["app"], "away": "it cannot be reached"} for host in out}
    return hosts, {**memory, "plan": draw(plans), "left-out": dict.fromkeys(out, "it cannot be reached")}


@given(runs())
def test_what_is_said_to_concern_nobody_is_what_no_host_of_the_run_would_do(
    run: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    hosts, memory = run
    every = {*hosts["entry"], *hosts["app"], *hosts["db"]}
    for host in every:  # it is planned on any of them
        nobodys = concerned.nobodys(Remembering(host, hosts, memory))
        idle = [s for s in concerned.ONCE if not any(Step(each, hosts, memory)._concerns(s) for each in every)]
        assert nobodys == idle


@pytest.mark.parametrize(("steps", "begins"), [(["start"], False), (["settle"], True), (["return"], True)])
def test_where_it_failed_on_another_host_no_step_begins_that_may_still_be_left_out(
    steps: list[str], begins: bool
) -> None:
    """With `release_serial`, or more hosts than forks, some come to a step when others have ended it."""
    hosts = {"app": ["app1", "app2"], "entry": ["web1"], "db": [], "arbiter": "web1"}
    begun = Begins("app2", hosts, {"ended-7-app1": {"ended": "failed"}}, steps=steps)
    begun.vars = {"ansible_play_hosts": ["web1", "app1", "app2"]}
    begun._task._uuid = "7"
    if begins:
        assert begun.work() == {"begun": True}
    else:
        with pytest.raises(Stopped, match=INTERRUPTED):
            begun.work()


@pytest.mark.parametrize(
    ("steps", "back", "why"),
    [(["return"], False, "app3: exit code 1"), (["scaled"], True, "app3: exit code 1"), (["scaled"], False, "mine")],
)
def test_on_the_way_back_the_ledgers_host_is_told_what_failed_on_another(
    steps: list[str], back: bool, why: str
) -> None:
    hosts = {"app": ["app1", "app2"], "entry": ["web1"], "db": [], "arbiter": "web1"}
    memory = {"cause-shop": {"said": "app3: exit code 1"}}
    step = Step("web1", hosts, memory, steps=steps, back=back, reason="mine")
    assert step._why(steps) == why
    assert Step("web1", hosts, {}, reason="mine")._why(["return"]) == "mine"
