"""A new release beside a baseline: the old one started once more, as young and with as many clients, on a real host.

Requirements: REL-4, REL-5.
"""

import time
from collections.abc import Iterator

import pytest
from tests.e2e.test_canary import wait_for_share
from tests.support import histories
from tests.support.canaries import taken_through, verdicts, went_back
from tests.support.driving import READY_S
from tests.support.site import Site
from tests.support.visitors import Visitors

LIMITS = {"hang_s": 2, "warm_s": 2}
STAGES = [{"share": 30, "for_s": 75}]
SLOW_WHEN_YOUNG = {"slow_young_s": 0.5, "young_s": 100}


@pytest.fixture
def shop(site: Site) -> Iterator[Site]:
    """The site, with a stage, and with a baseline once it is provisioned."""
    times = {"release_watch_s": 2, "release_ask_s": 20, "release_limits": LIMITS}
    with site.settings(release_stages=STAGES, release_baseline=True, **times):
        provisioned = site.run("provision", timeout_s=READY_S)
        assert provisioned.code == 0, str(provisioned)
        yield site


def at_once(shop: Site, version: histories.Version) -> str:
    """Deploy a version without stages, and return its release."""
    with shop.settings(release_stages=[], release_baseline=False):
        answer = shop.deploy(shop.repository.commit(version))
    assert answer.code == 0, str(answer)
    return str(answer.said["release"])


def baseline(shop: Site) -> str:
    """What runs or is enabled of a baseline on the host, and where its link leads."""
    units = f"systemctl list-units --plain --no-legend '{shop.app}-*@baseline-*'"
    enabled = f"ls /etc/systemd/system/*.wants | grep @baseline-; readlink /srv/{shop.app}/slots/baseline"
    return shop.ssh(f"{units}; {enabled}; true")


def ended(shop: Site) -> None:
    """See that the hosts end a baseline by themselves, soon."""
    deadline = time.monotonic() + 30
    while left := baseline(shop):
        assert time.monotonic() < deadline, left
        time.sleep(0.3)


@pytest.mark.at_times(journey="a baseline")
def test_a_release_that_fails_beside_its_baseline_goes_back_and_the_baseline_ends(shop: Site) -> None:
    before = at_once(shop, histories.good("the one before"))
    answer, failures = taken_through(shop, histories.shop("fails half of them", errors=0.5))
    verdict = went_back(shop, answer, failures, before)
    assert (verdict["rule"], verdict["baseline"]) == ("errors", True)
    assert verdict["arms"]["old"]["failed"] == 0
    assert "its baseline" in verdict["sentence"]
    ended(shop)


@pytest.mark.at_times(journey="a baseline and a boot")
def test_a_host_that_is_started_again_in_a_stage_has_no_baseline_any_more(shop: Site) -> None:
    before = at_once(shop, histories.good("the one before"))
    commit = shop.repository.commit(histories.good("its host is started again"))
    driver = shop.begin("deploy", "--env", "dev", "--app", shop.app, "--ref", commit, "--json")
    with Visitors(shop):
        assert wait_for_share(shop, 30), str(driver.wait())
    assert f"{shop.app}-web@baseline-1.service" in baseline(shop)
    assert before in baseline(shop)
    assert shop.arbiter()["baseline"] == before
    shop.reboot()
    ended(shop)
    answer = driver.wait()
    assert answer.code in (2, 3), str(answer)
    assert shop.served() == before
    shop.run("unlock", "--app", shop.app, "--yes")


@pytest.mark.at_times(journey="a baseline")
def test_a_release_that_is_slow_when_young_goes_back_without_a_baseline_and_live_with_one(shop: Site) -> None:
    before = at_once(shop, histories.shop("slow when young", **SLOW_WHEN_YOUNG))
    time.sleep(SLOW_WHEN_YOUNG["young_s"])  # what serves is to be old by then, and age is a matter of time alone
    with shop.settings(release_baseline=False):
        answer, failures = taken_through(shop, histories.shop("slow when young, too", **SLOW_WHEN_YOUNG))
    assert went_back(shop, answer, failures, before)["rule"] == "slower"
    answer, failures = taken_through(shop, histories.shop("slow when young, again", **SLOW_WHEN_YOUNG))
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    told = verdicts(shop, answer.said["release"])[0]
    assert told["baseline"]
    assert [draw["share"] for draw in told["draws"]] == [0.5]
    arms = told["arms"]
    assert arms["old"]["p95_s"] > 0.4 > arms["rest"]["p95_s"], "the baseline was as young, and the rest was not"
    assert arms["old"]["requests"] > 100
    assert arms["rest"]["requests"] > 100
    assert not failures
    why = shop.begin("release.why", "--env", "dev", "--app", shop.app).wait().out
    assert "baseline: 0 of" in why, why
    assert "all others: 0 of" in why, why
    ended(shop)
