"""Waiting for the lock as the arbiter keeps it: in files, by sessions that come and go."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import arbiter, waiting
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site

LEASE_S = 30.0


def take(site: Site, run: str) -> int:
    return arbiter.take(Host(site, run=run), owner=f"{run}@desk", purpose=f"deploy {run}", lease_s=LEASE_S)


def wait(site: Site, run: str, for_s: float = 0) -> dict[str, object]:
    told = {"owner": f"{run}@desk", "purpose": f"deploy {run}"}
    return waiting.wait(Host(site, run=run), **told, lease_s=LEASE_S, for_s=for_s)


def test_who_waits_is_told_of_the_holder_and_gets_the_lock_in_turn(site: Site) -> None:
    take(site, "a")
    second, third = wait(site, "b"), wait(site, "c")
    assert (second["owner"], second["purpose"], second["before"], third["before"]) == ("a@desk", "deploy a", 0, 1)
    assert str(second["said"]).startswith("a@desk holds the lock (deploy a) since ")
    assert second["until"]
    arbiter.free(Host(site, run="a"))
    behind = wait(site, "c")
    assert (behind["owner"], behind["before"]) == ("b@desk", 1)
    with pytest.raises(Failed, match=r"b@desk waits for the lock .*, and comes first; 1 more after that") as refused:
        take(site, "hasty")
    assert refused.value.refused
    assert "--wait" in refused.value.hint
    assert wait(site, "b") == {}
    assert arbiter.holds(Host(site, run="b"), "b")
    assert wait(site, "c")["owner"] == "b@desk"


def test_a_lock_that_becomes_free_meanwhile_is_taken_in_the_same_session(site: Site) -> None:
    assert wait(site, "a", for_s=60) == {}
    assert take(site, "a") == 1, "the look that follows takes it again, with the same token"


def test_who_steps_out_is_waited_for_by_nobody(site: Site) -> None:
    take(site, "a")
    for run in ("b", "c"):
        wait(site, run)
    waiting.step_out(Host(site, run="b"))
    arbiter.free(Host(site, run="a"))
    assert wait(site, "c") == {}


def test_a_lock_that_was_waited_for_in_vain_is_let_go_and_anothers_is_not(site: Site) -> None:
    wait(site, "a")
    arbiter.let_go(Host(site, run="b"))
    assert arbiter.holds(Host(site, run="a"), "a")
    arbiter.let_go(Host(site, run="a"))
    assert not arbiter.holds(Host(site, run="a"), "a")
