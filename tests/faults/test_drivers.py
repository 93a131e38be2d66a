"""Whoever drives a deploy may vanish at any moment, or be there twice: clients don't suffer for it.

Requirements: REL-7, REL-8, REL-9.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from tests.support.driving import Driver
from tests.support.histories import good, migrates
from tests.support.prober import Prober
from tests.support.site import Site
from tests.support.terminal import Terminal

CONFIRM_S = 6.0


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


def test_a_dead_drivers_lock_is_free_within_its_lease_without_unlock(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("after the lease"))
    driver = begin(site, commit)
    assert driver.wait_for_step("Stage")
    driver.kill()
    killed = time.monotonic()
    refused = site.deploy(commit)
    assert refused.code == 1, str(refused)
    time.sleep(20)
    while True:
        begun = time.monotonic()
        if (answer := site.deploy(commit)).code == 0:
            break
        assert answer.code == 1, str(answer)
        assert begun - killed < 30, "the lease of a dead driver is still running"
        time.sleep(2)
    prober.served_only(before, answer.said["release"])
    # On a busy machine the driver died before its host had begun: then there was nothing to end.
    lines = [line for line in site.ledger() if line.get("status")]
    for number, each in enumerate(lines):
        ends = [line for line in lines[number + 1 :] if line["release"] == each["release"]]
        assert each["status"] != "started" or ends, f"{each['run']} began and has no end"


def test_of_two_deploys_at_once_one_goes_on_and_the_other_is_told_who_since_when_until_when(
    site: Site, prober: Prober
) -> None:
    before = site.served()
    commits = [site.repository.commit(good(text)) for text in ("one of two", "two of two")]
    first = begin(site, commits[0])
    assert first.wait_for_step("Build")
    first.signal(signal.SIGSTOP)  # it would have ended before a busy machine has begun the other one
    second = site.deploy(commits[1])
    first.signal(signal.SIGCONT)
    done = first.wait()
    assert done.code == 0, str(done)
    assert (second.code, second.said["status"]) == (1, "refused"), str(second)
    assert re.search(r"\S+@\S+ holds the lock \(deploy [0-9a-f]{7}\) since \S+Z, at least until \S+Z", second.text), (
        second.text
    )
    prober.served_only(before, done.said["release"])


def test_unlock_asks_before_it_breaks_a_running_deploys_lock_and_that_says_who_did(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("unlocked"))
    with site.settings(release_soak_s=25):
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


@contextmanager
def held(site: Site, unit: str) -> Iterator[None]:
    """Have what a unit runs stand still meanwhile; the unit's own timeout goes on."""
    site.ssh(f"systemctl kill --signal=STOP {unit}")
    try:
        yield
    finally:
        site.ssh(f"systemctl kill --signal=CONT {unit}")


def test_a_migration_that_outlives_driver_and_session_holds_up_the_next_run_which_then_knows_what_it_did(
    site: Site, prober: Prober
) -> None:
    before = site.served()
    # It may stand still for longer than a migration of a test has otherwise.
    commit = site.repository.commit(migrates("outlives them", sleep_s=10, migrations={"timeout_s": 600}))
    driver = begin(site, commit)
    runs = f"systemctl show -P ActiveState {site.app}-migrate.service"
    ends = time.monotonic() + 60
    while site.ssh(runs).strip() != "activating":
        assert time.monotonic() < ends, str(driver.wait())
        time.sleep(0.2)
    with held(site, f"{site.app}-migrate.service"):
        driver.kill()
        site.ssh("pkill -KILL -f '[f]erryman-wants-code'")
        site.run("unlock", "--app", site.app, "--yes")
        asked = site.begin("status", "--env", "dev", "--app", site.app).wait()
        assert (asked.code, site.served()) == (0, before), str(asked)
        after = site.repository.commit(good("after it"))
        refused = site.deploy(after)
        assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
        assert "still runs, and its driver has gone" in refused.text
        assert f"{site.app}-migrate.service" in refused.text
    while site.ssh(runs).strip() == "activating":
        time.sleep(0.5)
    schema = site.ssh(f"tail -n 1 /srv/{site.app}/shared/state/schema").strip()
    answer = site.deploy(after)
    assert answer.code == 0, str(answer)
    (killed,) = (line for line in site.ledger() if line.get("commit") == commit and line["status"] != "started")
    assert (killed["status"], killed["schema_after"]) == ("abandoned", schema)
    assert ledger.story(site.ledger()).schema == schema
    prober.served_only(before, answer.said["release"])
