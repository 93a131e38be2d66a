"""Who gets no clients, for what, and who ends that; and whom a run may go on without."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import fencing, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import leaving
from hypothesis import given
from hypothesis import strategies as st

HOSTS = {"app1": "10.0.0.21", "app2": "10.0.0.22", "app3": "10.0.0.23"}
names = st.sets(st.sampled_from(sorted(HOSTS)))
words = st.lists(st.tuples(names, st.sampled_from(fencing.REASONS), st.sampled_from(["run-1", "run-2"]), st.booleans()))
GROUPS = {"entry": ["entry1", "both"], "app": ["both", "app2", "app3", "data"], "db": ["data"], "arbiter": ["entry1"]}


def told(said: list[tuple[set[str], str, str, bool]]) -> fencing.Fences:
    """Return the fences after each of these words."""
    fences: fencing.Fences = {}
    for hosts, reason, run, off in said:
        if off:
            fences = fencing.with_(fences, {host: HOSTS[host] for host in hosts}, reason, {"run": run})
        else:
            fences = fencing.without(fences, hosts, reason)
    return fences


@given(words)
def test_a_host_is_out_for_as_long_as_anybody_wants_it_and_each_ends_his_own_word_alone(
    said: list[tuple[set[str], str, str, bool]],
) -> None:
    wanted = {
        (host, reason): next((off for hosts, why, _, off in reversed(said) if host in hosts and why == reason), False)
        for host in HOSTS
        for reason in fencing.REASONS
    }
    fences = told(said)
    for reason in fencing.REASONS:
        assert fencing.off_for(fences, reason) == [host for host in HOSTS if wanted[host, reason]]
    assert {*fences} == {host for (host, _), off in wanted.items() if off}


@given(words, names)
def test_a_run_that_goes_back_lets_in_whom_it_left_out_itself_and_nobody_else(
    said: list[tuple[set[str], str, str, bool]], hosts: set[str]
) -> None:
    before = told(said)
    left = fencing.with_(before, {host: HOSTS[host] for host in hosts}, fencing.AWAY, {"run": "this one"})
    assert fencing.without(left, left, fencing.AWAY, run="this one") == before


def test_only_who_takes_part_in_a_run_gets_clients_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "state", tmp_path)
    host = Host(Site("shop"))
    fences = told([({"app2", "app3"}, fencing.AWAY, "run-1", True), ({"app1"}, fencing.HAND, "run-1", True)])
    host.write_json(tmp_path / fencing.FILE, {"format": 1, "hosts": fences})
    assert fencing.take_part(host, ["app1", "app2"]) == ["app2"]
    assert "mends" in shift.OF_A_SHIFT, "what is known of a shift goes with it"


# Whom a run goes on without


def test_only_who_is_an_app_host_and_nothing_else_may_be_away() -> None:
    assert [host for host in ("entry1", "both", "app2", "app3", "data") if leaving.may_be_away(host, GROUPS)] == [
        "app2",
        "app3",
    ]


@given(st.sets(st.sampled_from(GROUPS["app"])), st.integers(0, 9))
def test_no_more_are_left_out_than_somebody_said_and_never_all(away: set[str], most: int) -> None:
    refused = leaving.refusal(sorted(away), GROUPS, most=most)
    assert bool(refused) == bool(away and (len(away) > most or away == {*GROUPS["app"]}))
    assert all(host in refused for host in away) or not refused


releases = st.sets(st.sampled_from(["r1", "r2", "r3"]))


@given(st.fixed_dictionaries(dict.fromkeys(HOSTS, releases)), names)
def test_what_everybody_has_is_what_no_host_lacks_that_gets_clients(
    present: dict[str, set[str]], out: set[str]
) -> None:
    everywhere = leaving.everywhere({host: sorted(each) for host, each in present.items()}, sorted(out))
    counts = [each for host, each in present.items() if host not in out or len(out) == len(HOSTS)]
    assert everywhere == {release for release in ("r1", "r2", "r3") if all(release in each for each in counts)}


@given(st.fixed_dictionaries(dict.fromkeys(HOSTS, releases)), names)
def test_a_rollback_waits_for_nobody_who_was_out_before_and_has_not_the_release(
    present: dict[str, set[str]], out: set[str]
) -> None:
    held = {host: sorted(each) for host, each in present.items()}
    without = leaving.lacking("r2", held, sorted(out))
    assert {*without} <= out
    assert not any("r2" in present[host] for host in without)
    assert len(without) < len(present)
