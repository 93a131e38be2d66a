"""Whoever drives a deploy may vanish at any moment, or be there twice: clients don't suffer for it (REL-7, REL-9)."""

import os
import re
import signal
import time
from dataclasses import dataclass
from random import Random

import pytest
from tests.conftest import Soak
from tests.support.driving import Driver
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import Site
from tests.support.terminal import Terminal

CONFIRM_S = 6.0


@dataclass(frozen=True)
class Kill:
    """What came of one: whether the release went live all the same, when it was settled, how many requests came."""

    live: bool
    settled_s: float
    asked: int


def begin(site: Site, commit: str, *, who: str = "") -> Driver:
    words = ("deploy", "--env", "dev", "--app", site.app, "--ref", commit, "--json")
    return site.begin(*words, LOGNAME=who) if who else site.begin(*words)


def settles(site: Site, within_s: float) -> str:
    """Wait until nothing is pending and return the one release that serves; `status` says the same."""
    deadline = time.monotonic() + within_s
    while site.ssh(f"test -e /var/lib/ferryman/pending/{site.app} && echo pending", check=False):
        assert time.monotonic() < deadline, "the switch is still pending after its deadline"
        time.sleep(0.3)
    served = {site.served() for _ in range(5)}
    assert len(served) == 1, f"clients are served by {served}"
    arbiter = site.arbiter()
    assert arbiter["shift"]["phase"] == "stable"
    assert {arbiter["shift"]["release_stable"], arbiter["live"], arbiter["current"]} == served
    return served.pop()


def killed_at(site: Site, step: str, chance: Random) -> Kill:
    """Kill a driver soon after `step` began; what must hold then is asserted, and what came of it is returned."""
    before, text = site.served(), f"killed at {step}, {time.time_ns()}"
    commit = site.repository.commit(good(text))
    with site.settings(release_confirm_s=CONFIRM_S), Prober(site) as prober:
        driver = begin(site, commit)
        assert driver.wait_for_step(step), driver.wait()
        delay = chance.uniform(0, 1.2)
        time.sleep(delay)
        # A machine that dies takes all with it; a killed process group leaves Ansible's own sessions to find out.
        whole = chance.random() < 0.7
        driver.kill(whole=whole)
        killed = time.monotonic()
        truth = site.arbiter()
        stable = truth["shift"]["release_stable"]
        # The new one is where to go back to only once the ledger has its commit record.
        assert stable == before or (stable.endswith(commit[:7]) and truth["live"] == stable), truth["shift"]
        served = settles(site, CONFIRM_S + 5 - (time.monotonic() - killed))
        settled_s = time.monotonic() - killed
        live = served != before
        if live:
            assert site.version()["text"] == text, "something else than the two of them serves"
        held = site.arbiter()["lock"]
        if held["alive"]:
            broken = site.run("unlock", "--app", site.app, "--yes")
            assert broken.code == 0, str(broken)
            assert broken.said["broken"]["owner"] == held["owner"]
        again = site.deploy(commit)
        assert again.code == 0, str(again)
        after = site.served()
        assert after.endswith(commit[:7])
        assert again.said["release"] == after
        assert site.version()["text"] == text
    # Until the guard acts clients may be on what the dead driver had begun: whole releases of that commit, no more.
    begun = [release for release in prober.releases if release.endswith(commit[:7])]
    prober.served_only(before, *begun)
    return Kill(live, round(settled_s, 2), prober.asked)


def boundaries(site: Site) -> list[str]:
    """Return the steps of a deploy as a deploy tells them."""
    driver = begin(site, site.repository.commit(good("to see the steps")))
    answer = driver.wait()
    assert answer.code == 0, str(answer)
    steps = driver.steps()
    assert len(steps) >= 5, steps
    return steps


@pytest.mark.soak
def test_soak_kills(site: Site, soak: Soak) -> None:
    """A driver killed at any step leaves one release that serves, and running it again finishes."""
    chance, seen = soak.random(), []
    steps = boundaries(site)
    for _ in range(soak.times(sample=1, full=10)):
        seen += [killed_at(site, step, chance) for step in steps]
    soak.record(
        kills=len(seen),
        steps=steps,
        went_live=sum(kill.live for kill in seen),
        requests=sum(kill.asked for kill in seen),
        failed=0,
        settled_max_s=max(kill.settled_s for kill in seen),
        confirm_s=CONFIRM_S,
    )


@pytest.mark.parametrize("step", ["Start the idle slot", "Send the clients"])
def test_a_rollback_whose_driver_dies_is_done_or_undone_and_can_be_asked_for_again(site: Site, step: str) -> None:
    target, before = site.good("to come back to"), site.good("to leave")
    with site.settings(release_confirm_s=CONFIRM_S), Prober(site) as prober:
        driver = site.begin("rollback", "--env", "dev", "--app", site.app, "--json")
        assert driver.wait_for_step(step), driver.wait()
        driver.kill()
        assert settles(site, CONFIRM_S + 5) in (before, target)
        site.run("unlock", "--app", site.app, "--yes")
        if site.served() == before:
            again = site.rollback()
            assert again.code == 0, str(again)
        assert site.served() == target
    prober.served_only(before, target)


def test_a_dead_drivers_lock_is_free_within_its_lease_without_unlock(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("after the lease"))
    driver = begin(site, commit)
    assert driver.wait_for_step("Stage")
    driver.kill()
    killed = time.monotonic()
    refused = site.deploy(commit)
    assert refused.code == 1, str(refused)
    time.sleep(20)
    while (answer := site.deploy(commit)).code != 0:
        assert answer.code == 1, str(answer)
        assert time.monotonic() - killed < 36, "the lease of a dead driver is still running"
        time.sleep(2)
    prober.served_only(before, answer.said["release"])
    # On a busy machine the driver died before its host had begun: then there was nothing to end.
    lines = [line for line in site.ledger() if line.get("status")]
    for number, begun in enumerate(lines):
        ends = [line for line in lines[number + 1 :] if line["release"] == begun["release"]]
        assert begun["status"] != "started" or ends, f"{begun['run']} began and has no end"


def test_of_two_deploys_at_once_one_goes_on_and_the_other_is_told_who_since_when_until_when(
    site: Site, prober: Prober
) -> None:
    before = site.served()
    commits = [site.repository.commit(good(text)) for text in ("one of two", "two of two")]
    first = begin(site, commits[0])
    assert first.wait_for_step("Build")
    second = site.deploy(commits[1])
    done = first.wait()
    assert done.code == 0, str(done)
    assert (second.code, second.said["status"]) == (1, "refused"), str(second)
    assert re.search(r"\S+@\S+ holds the lock \(deploy [0-9a-f]{7}\) since \S+Z, at least until \S+Z", second.text), (
        second.text
    )
    prober.served_only(before, done.said["release"])


def test_unlock_asks_before_it_breaks_a_running_deploys_lock_and_that_says_who_did(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("unlocked"))
    with site.settings(release_soak_s=12):
        driver = begin(site, commit)
        assert driver.wait_for_step("Stage")
        argv = [site.python, "-m", "ferryman", "unlock", "--env", "dev", "--app", site.app]
        terminal = Terminal(argv, site.root, {**os.environ, **site.extra, "LOGNAME": "hasty"}, columns=250)
        assert terminal.wait_for("Type yes to go on", 20), terminal.text()
        assert re.search(rf"deploy {commit[:7]}, since \S+Z\), and holds the lock at least until \S+Z", terminal.text())
        terminal.press("yes\r")
        assert terminal.wait(20) == 0, terminal.text()
        answer = driver.wait()
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert re.search(r"hasty@\S+ broke it by `unlock` at \S+Z", answer.said["reason"]), answer.text
    assert "came in between" not in answer.text, "nobody did"
    assert site.served() == before
    listed = site.begin("releases", "--env", "dev", "--app", site.app).wait()
    told = " ".join(listed.out.split())
    assert re.search(rf"hasty@\S+ broke the lock of .*deploy {commit[:7]}.*while it was at work", told), listed.out
    prober.served_only(before)


def test_a_driver_whose_lock_was_broken_is_refused_when_it_wakes_up(site: Site, prober: Prober) -> None:
    before = site.served()
    slept, awake = (site.repository.commit(good(text)) for text in ("slept through it", "came in between"))
    driver = begin(site, slept)
    assert driver.wait_for_step("Stage")
    driver.signal(signal.SIGSTOP)
    asked = site.run("unlock", "--app", site.app)
    assert (asked.code, site.arbiter()["lock"]["alive"]) == (1, True), str(asked)
    for said in (slept[:7], "at least until", "--yes"):
        assert said in asked.text, asked.text
    broken = site.run("unlock", "--app", site.app, "--yes")
    assert broken.code == 0, str(broken)
    assert slept[:7] in broken.said["broken"]["purpose"]
    (told,) = (each for each in site.arbiter()["unlocks"] if slept[:7] in each["reason"])
    assert "while it was at work" in told["reason"], told
    with site.settings(release_warm_s=0):
        between = site.deploy(awake)
    assert between.code == 0, str(between)
    driver.signal(signal.SIGCONT)
    late = driver.wait()
    # Where it was stopped before the host had begun, nothing was touched; else what it had begun is the other's now.
    did = [line for line in site.journal() if line["run"] == late.said["run"] and line["result"] == "done"]
    assert (late.code, late.said["status"]) == ((2, "failed") if did else (1, "refused")), str(late)
    assert late.said["overtaken"], str(late)
    assert "came in between" in late.text, str(late)
    assert site.served() == between.said["release"]
    prober.served_only(before, between.said["release"])
