"""A fleet's new release beside a baseline: the old one started once more on each app host, judged by all entries.

Requirements: REL-4, REL-5.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.e2e.test_baseline import LIMITS, SLOW_WHEN_YOUNG, STAGES
from tests.e2e.test_fleet import CONFIRM_S, WITHIN_S, cut_off
from tests.support import histories
from tests.support.canaries import verdicts
from tests.support.driving import READY_S
from tests.support.fleet import APPS, ENTRIES, Fleet
from tests.support.visitors import Visitors

YOUNG = pytest.mark.at_times(journey="a fleet with a baseline")
ENDS = pytest.mark.at_times(journey="a fleet with a baseline, and what it ends by")
LONG_S = 400
DRAIN_S = 60
"""For so long the guard, which has nobody to ask, leaves alone what clients have left."""


@contextmanager
def compared(fleet: Fleet, stages: list[dict[str, int]], *, baseline: bool = True) -> Iterator[None]:
    """Have releases go through stages, beside a baseline."""
    times = {"release_watch_s": 2, "release_ask_s": 20, "release_confirm_s": CONFIRM_S, "release_limits": LIMITS}
    with fleet.settings(release_stages=stages, release_baseline=baseline, **times):
        yield


@pytest.fixture(scope="module", autouse=True)
def provisioned(whole: Fleet) -> None:
    """Ports for a baseline on each app host, and entries that know of them."""
    with compared(whole, STAGES):
        answer = whole.run("provision", timeout_s=READY_S)
    assert answer.code == 0, str(answer)


def baselines(fleet: Fleet) -> dict[str, str]:
    """Return what runs or is enabled of a baseline on each app host, and where its link leads."""
    units = f"systemctl list-units --plain --no-legend '{fleet.app}-*@baseline-*'"
    enabled = f"ls /etc/systemd/system/*.wants | grep @baseline-; readlink /srv/{fleet.app}/slots/baseline"
    return {host: fleet.ssh(f"{units}; {enabled}; true", host=host) for host in APPS}


def ended(fleet: Fleet, drained_s: float = 0) -> None:
    """See that every host ends its baseline by itself, soon, and that no entry sends anybody to one."""
    deadline = time.monotonic() + drained_s + 30
    while any(left := baselines(fleet).values()):
        assert time.monotonic() < deadline, left
        time.sleep(0.3)
    assert not any("+" in share for share in shares(fleet).values())


def shares(fleet: Fleet) -> dict[str, str]:
    """Return what share each entry gives, with the buckets of its baseline."""
    where = f"readlink /var/lib/ferryman/sites/{fleet.app}/share"
    return {entry: fleet.ssh(where, host=entry) for entry in ENTRIES}


def wait_for_baselines(fleet: Fleet, within_s: float = 90) -> bool:
    """Say whether each entry sends clients to a baseline in time."""
    deadline = time.monotonic() + within_s
    while not all("+" in share for share in shares(fleet).values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True


def sent_to(fleet: Fleet, entry: str) -> set[str]:
    """Return the app hosts on which clients of an entry came to a baseline, first of all tries."""
    log = f"/var/log/nginx/ferryman/{fleet.app}.access.json"
    found = fleet.ssh(f'grep -h \'"arm":"baseline"\' {log} | grep -o \'"upstream":"[0-9.]*\' | sort -u', host=entry)
    names = {address: name for name, address in fleet.addresses.items()}
    return {names[line.rpartition('"')[2]] for line in found.splitlines()}


@YOUNG
def test_a_release_that_is_slow_when_young_goes_live_beside_a_baseline_on_each_app_host(fleet: Fleet) -> None:
    answer = fleet.deploy(fleet.repository.commit(histories.shop("slow when young", **SLOW_WHEN_YOUNG)))
    assert answer.code == 0, str(answer)
    time.sleep(SLOW_WHEN_YOUNG["young_s"])  # what serves is to be old by then, and age is a matter of time alone
    again = fleet.repository.commit(histories.shop("slow when young, again", **SLOW_WHEN_YOUNG))
    with compared(fleet, STAGES), Visitors(fleet, rps=20) as some, Visitors(fleet, rps=20, host="entry2") as others:
        answer = fleet.deploy(again, timeout_s=LONG_S)
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    told = verdicts(fleet, answer.said["release"])[0]
    assert told["baseline"]
    assert told["arms"]["old"]["p95_s"] > told["arms"]["rest"]["p95_s"], "the baseline was as young, the rest was not"
    assert told["arms"]["old"]["requests"] > 100
    assert not [*some.failures, *others.failures]
    assert {entry: sent_to(fleet, entry) for entry in ENTRIES} == {entry: {*APPS} for entry in ENTRIES}
    assert fleet.settles(WITHIN_S) == answer.said["release"]
    ended(fleet)


@ENDS
def test_a_release_that_fails_clients_of_one_entry_beside_its_baseline_goes_back_on_both(fleet: Fleet) -> None:
    before = fleet.good("the one before")
    with compared(fleet, STAGES), Visitors(fleet, host="entry2"):
        answer = fleet.deploy(
            fleet.repository.commit(histories.shop("fails half of them", errors=0.5)), timeout_s=LONG_S
        )
    assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
    assert fleet.settles(WITHIN_S) == before
    verdict = verdicts(fleet, answer.said["release"])[-1]
    assert (verdict["rule"], verdict["baseline"], verdict["arms"]["old"]["failed"]) == ("errors", True, 0)
    ended(fleet)


@ENDS
def test_a_driver_that_is_killed_leaves_no_baseline_on_any_host_whichever_of_them_is_started_again_or_cut_off(
    fleet: Fleet,
) -> None:
    before = fleet.good("the one before its driver is killed")
    commit = fleet.repository.commit(histories.good("its driver is killed"))
    with compared(fleet, [{"share": 30, "for_s": 300}]):
        driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
        assert wait_for_baselines(fleet), str(driver.wait())
        for told in baselines(fleet).values():
            assert f"{fleet.app}-web@baseline-1.service" in told
            assert before in told
        with cut_off(fleet, "entry2", "entry1"):
            driver.kill()
            fleet.cut("app2")
            fleet.back("app2")
            deadline = time.monotonic() + 10 + CONFIRM_S + WITHIN_S + 8
            while fleet.state("entry2")["phase"] != "doubt":
                assert time.monotonic() < deadline, fleet.state("entry2")
                time.sleep(0.3)
            assert "+" not in shares(fleet)["entry2"], "nobody stays with a baseline in doubt"
            assert fleet.served_by("entry2") == before
        assert fleet.settles(LONG_S) == before
        ended(fleet, DRAIN_S)
    fleet.run("unlock", "--app", fleet.app, "--yes")
    assert fleet.good("after it").endswith(fleet.repository.commits[-1][:7])
