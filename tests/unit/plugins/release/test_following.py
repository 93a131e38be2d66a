"""What becomes of a fleet's release that is brought back after its commit, over many histories of hosts and drivers.

Requirements: REL-7.
"""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    afterwards,
    commits,
    following,
    ledger,
    names,
    slots,
)
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Soak
from tests.support.fleet_world import APPS, ARBITER, ENTRIES, HOSTS, World, living

ASKS = {"stable_run": {"run": "r", "asks": {"address": "10.0.0.1"}}}
ENDS = [None, "open", "live", "returned", commits.PAST, commits.WATCHED, commits.BACK]
END: Any = st.sampled_from(ENDS).map(lambda end: {"end": end} if end else {})


@given(st.sampled_from(["shifting", "doubt"]), END)
def test_while_another_run_is_under_way_on_a_host_it_follows_nobody(phase: str, answer: dict[str, str]) -> None:
    assert following.comes_to({"phase": phase, **ASKS}, answer) == following.WAIT


@given(END)
def test_a_host_stops_asking_only_when_it_is_told_what_stays(answer: dict[str, str]) -> None:
    act = following.comes_to({"phase": "stable", **ASKS}, answer)
    told = {commits.BACK: following.FOLLOW, commits.PAST: following.REST, "live": following.OVER}
    assert act == told.get(answer.get("end", ""), following.WAIT)


@given(END)
def test_where_a_driver_has_brought_a_host_elsewhere_meanwhile_there_is_nobody_to_ask(answer: dict[str, str]) -> None:
    assert following.comes_to({"phase": "stable"}, answer) == following.OVER


def sees(world: World) -> None:
    """See what holds at any moment of a history."""
    lives = [line for line in world.lines if line["status"] == "live"]
    tokens = [line["token"] for line in lives]
    assert tokens == sorted({*tokens}), "no two hold one token, and no older one decides"
    before = ["", *(line["release"] for line in lives)]
    assert [line["previous"] for line in lives] == before[:-1], "whoever decided knew what was live"
    states = {name: world.state(name) for name in HOSTS}
    assert {state["release_stable"] for state in states.values()} <= {*before}, "nobody has what was never live"
    run = states[ARBITER].get("stable_run", {}).get("run", "")
    if (
        world.watched and commits.stands(world.host(ARBITER), run) == commits.WATCHED
    ):  # else all were told that it stays
        for name in set(HOSTS) - {ARBITER}:
            if states[name]["phase"] == "stable" and states[name].get("stable_run", {}).get("run") == run:
                assert world.host(name).site.follows.exists(), f"{name} would not hear of it"
    elif world.watched:
        assert not afterwards._goes_on(world.host(ARBITER), world.watched), "nobody is brought back who was told so"
    baselines(world, states)


def baselines(world: World, states: dict[str, dict[str, Any]]) -> None:
    """See that who is sent to a baseline finds it, on all hosts that take part in that run as the entry does."""
    for entry in ENTRIES:
        if "+" in (world.host(entry).site.state / "share").readlink().name:
            assert states[entry]["phase"] == "shifting", "nobody stays with one in doubt, or after a run"
            for name in APPS:
                along = (states[name]["phase"], states[name].get("run")) == ("shifting", states[entry]["run"])
                if along and world.machines[name].compares:  # else it was started again: nginx goes to another
                    there = slots.holds(world.host(name), names.BASELINE)
                    assert there == states[name]["release_stable"], f"{entry} sends clients to {name}, which has none"


def rests(world: World) -> None:
    """See where a history that is over has come to, with nobody who drives."""
    live = ledger.story(world.lines).live
    states = {name: world.state(name) for name in HOSTS}
    assert {(state["phase"], state["release_stable"]) for state in states.values()} == {("stable", live)}, states
    (slot,) = {state["stable"] for state in states.values()}
    shares = {(world.host(name).site.state / "share").readlink().name for name in ENTRIES}
    assert shares == {"100" if slot == "green" else "0"}
    assert {world.machines[name].workers for name in APPS} == {slot}, "workers and timers are where clients are"
    sites = [world.host(name).site for name in HOSTS]
    assert not any(site.pending.exists() or site.follows.exists() for site in sites), (
        "nobody waits for anything any more"
    )
    for name in APPS:
        assert not slots.holds(world.host(name), names.BASELINE), f"{name} still has a baseline"


@pytest.mark.soak
def test_soak_back(soak: Soak, tmp_path: Path) -> None:
    """However hosts are cut off and rebooted and drivers come and go, one decides what is live, and all come to it."""
    chance, histories = soak.random(), soak.times(sample=30, full=2000)
    back = followed = made = compared = untold = 0
    for number in itertools.count():
        # A sample may go by what is seldom, and goes on until it has seen it.
        if number >= histories and (untold or soak.full or number >= 10 * histories):
            break
        place = tmp_path / str(number)
        with living(World(place, chance)) as world:
            for _ in range(60):
                world.happens()
                sees(world)
            world.comes_to_rest()
            rests(world)
            world.finish(world.deploy(stages=True), each_s=3)
            world.comes_to_rest()
            rests(world)
            back, followed, made = back + world.back, followed + world.followed, made + world.made
            compared, untold = compared + world.compared, untold + world.untold
        shutil.rmtree(place)
    assert back > histories / 10, "histories in which nothing is brought back show nothing"
    assert compared > histories, "nor do those without a baseline"
    assert untold > histories / 100, "nor those in which everybody could reach the arbiter when they began"
    told = {"untold_until_a_boot": untold, "apart": 0}
    soak.record(histories=histories, deploys=made, brought_back=back, followed=followed, shares=compared, **told)
