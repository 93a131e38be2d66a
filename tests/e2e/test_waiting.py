"""Who waits for the lock is served in turn, sees why he waits, and is refused when his time is over.

Requirements: REL-9.
"""

import json
import os
import re
import signal
import time

import pytest
from tests.support.driving import Driver
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import ENV, Site

HOLDS = r"holds the lock \(deploy {commit}\) since \S+Z, at least until \S+Z"


def begin(site: Site, commit: str, *words: str) -> Driver:
    return site.begin("deploy", "--app", site.app, "--env", ENV, "--ref", commit, "--json", *words)


def waits(driver: Driver, said: str, within_s: float = 40) -> None:
    """Wait until a driver has told people whom it waits for."""
    with driver.news:
        told = driver.news.wait_for(lambda: re.search(said, "".join(driver.lines)), within_s)
    assert told, "".join(driver.lines)


def in_line(site: Site) -> list[str]:
    """What those who wait for the lock want to do, the first in line first."""
    return [each["purpose"] for each in site.arbiter()["waiting"]]


def runs(site: Site) -> set[str]:
    """The runs that have done anything on the host."""
    return {line["run"] for line in [*site.journal(), *site.ledger()]}


@pytest.mark.at_times(journey="waiting in line")
def test_the_second_of_two_deploys_waits_and_goes_on_top_of_the_first(site: Site, prober: Prober) -> None:
    before = site.served()
    first, second = (site.repository.commit(good(text)) for text in ("first in line", "second in line"))
    with site.settings(release_soak_s=8):
        one = begin(site, first)
        assert one.wait_for_step("Stage")
        other = begin(site, second, "--wait", "120")
        waits(other, HOLDS.format(commit=first[:7]) + "; nobody waits before this run")
        assert in_line(site) == [f"deploy {second[:7]}"]
        shown = site.begin("status", "--app", site.app, "--env", ENV).wait().out
        assert re.search(rf"waits +\S+: deploy {second[:7]}", shown), shown
        done, after = one.wait(), other.wait()
    assert (done.code, after.code) == (0, 0), f"{done}{after}"
    assert after.said["previous"] == done.said["release"]
    assert after.said["release"] == site.served()
    assert after.said["waited_s"] > 0
    assert after.said["waited_for"].endswith(f"(deploy {first[:7]})")
    assert in_line(site) == []
    prober.served_only(before, done.said["release"], after.said["release"])


@pytest.mark.at_times(journey="waiting in line")
def test_they_are_served_in_the_order_of_coming_and_one_that_died_is_passed_over(site: Site) -> None:
    commits = [site.repository.commit(good(f"{number} in line")) for number in range(4)]
    with site.settings(release_soak_s=30):  # of the first alone: each reads them when it begins
        drivers = [begin(site, commits[0])]
        assert drivers[0].wait_for_step("Stage")
    for number, before in ((1, "nobody waits"), (2, "1 waits"), (3, "2 wait")):
        drivers.append(begin(site, commits[number], "--wait", "200"))
        waits(drivers[number], f"; {before} before this run")
    drivers[1].kill()
    waits(drivers[3], "; 1 waits before this run")
    ends = [drivers[number].wait(200) for number in (0, 2, 3)]
    assert [end.code for end in ends] == [0, 0, 0], "\n".join(map(str, ends))
    assert [end.said["previous"] for end in ends[1:]] == [end.said["release"] for end in ends[:-1]]


@pytest.mark.at_times(journey="waiting in line")
def test_when_its_time_is_over_or_somebody_interrupts_it_nothing_was_touched_and_nobody_waits_for_it(
    site: Site,
) -> None:
    commits = [site.repository.commit(good(text)) for text in ("at work", "in vain")]
    before, earlier = site.served(), runs(site)
    with site.settings(release_soak_s=40):
        driver = begin(site, commits[0])
        assert driver.wait_for_step("Stage")
        began = time.monotonic()
        refused = site.deploy(commits[1], "--wait", "5")
        back = site.rollback("--wait", "1")
        assert time.monotonic() - began >= 6
        interrupted = begin(site, commits[1], "--wait", "100")
        waits(interrupted, "nobody waits before this run")
        os.kill(interrupted.process.pid, signal.SIGINT)
        left = interrupted.wait(30)
        lines = json.loads(site.ssh(f"cat /var/lib/ferryman/sites/{site.app}/arbiter/queue.json"))["tickets"]
        assert driver.wait().code == 0
    for answer, waited in ((refused, "5"), (back, "1")):
        assert (answer.code, answer.said["status"]) == (1, "refused"), str(answer)
        assert re.search(HOLDS.format(commit=commits[0][:7]), answer.text), answer.text
        assert f"it was waited for {waited} s" in answer.text
        assert "--wait" in answer.said["hint"]
    assert (left.code, left.said["status"]) == (1, "refused"), str(left)
    assert lines == [], "nobody waits for one who has gone"
    assert before != site.served() == driver.wait().said["release"]
    assert len(runs(site) - earlier) == 1, "the one that was at work"
