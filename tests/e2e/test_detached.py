"""A deploy that its host drives itself: whoever began it may go, and anybody who follows it hears of its end.

Requirements: REL-7.
"""

import re
import secrets
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from tests.e2e.test_canary import wait_for_share
from tests.support.driving import Answer, Driver
from tests.support.histories import Version, crashes, good
from tests.support.pages import blocks
from tests.support.planted import CODE, Watch, holding
from tests.support.prober import Prober
from tests.support.site import ENV, Site
from tests.support.visitors import Visitors

from ferryman import paths

pytestmark = pytest.mark.at_times(journey="a deploy that goes on without who began it")
PAGE = paths.CHECKOUT / "docs" / "guides" / "detached.md"
UNIT = "ferryman-drive-tiny.service"
A_STAGE = {"release_stages": [{"share": 30, "for_s": 60}], "release_limits": {"hang_s": 2, "warm_s": 2}}
DRIVER = "/var/lib/ferryman/driver"
ENVIRON = """
for pid in $(grep -rl ferryman-drive- /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3); do
  tr '\\0' '\\n' < /proc/$pid/environ; echo
done
"""
"""Says what is in the environment of each process of the unit."""


def hand_over(site: Site, version: Version) -> Answer:
    answer = site.deploy(site.repository.commit(version), "--detach")
    assert (answer.code, answer.said["status"]) == (0, "handed_over"), str(answer)
    return answer


def attach(site: Site) -> Driver:
    return site.begin("attach", "--env", ENV, "--app", site.app, "--json")


def within(seconds: float, seen: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"not seen within {seconds:g} s"
        time.sleep(0.1)


def drives(site: Site) -> bool:
    return site.ssh(f"systemctl is-active {UNIT}", check=False) == "active"


def test_a_deploy_whose_client_is_killed_once_it_is_handed_over_goes_live_and_attach_tells_what_it_would_have(
    site: Site, prober: Prober
) -> None:
    before, commit = site.served(), site.repository.commit(good("goes on alone"))
    with site.settings(release_soak_s=8):
        driver = site.begin("deploy", "--env", ENV, "--app", site.app, "--ref", commit, "--json", "--detach")
        assert driver.wait_for_step("Hand it over")
        within(60, lambda: drives(site))
        driver.kill()
        held = site.arbiter()["lock"]
        assert held["alive"]
        assert held["purpose"] == f"deploy {commit[:7]}, detached"
        second = site.deploy(site.repository.commit(good("comes too early")))
        assert second.code == 1, str(second)
        assert f"attach --env {ENV} --app {site.app}` follows it" in second.text, second.text
        followed = attach(site).wait()
    assert (followed.code, followed.said["status"], followed.said["command"]) == (0, "live", "deploy"), str(followed)
    assert (site.served(), followed.said["previous"]) == (followed.said["release"], before)
    steps = [each["step"] for each in followed.said["steps"]]
    assert [each for each in steps if each != "workers"] == ["stage", "start", "switch", "commit", "settle"]
    assert re.search(r"\] Stage the release and start it beside the old one \(web1\)", followed.err)
    again = attach(site).wait()  # of what has ended long since
    assert (again.code, again.said["release"], again.said["steps"]) == (0, site.served(), followed.said["steps"])
    plain = site.deploy(site.repository.commit(good("driven from here")))
    assert set(followed.said) == set(plain.said), "attach tells something else than the deploy itself"
    assert not drives(site)
    prober.served_only(before, followed.said["release"], plain.said["release"])


def test_what_the_guide_types_hands_a_deploy_over_and_follows_it(site: Site) -> None:
    site_is, commit = ("--env", ENV, "--app", site.app), site.repository.commit(good("as the guide has it"))
    (deploy,), (follow,) = (block.lines for block in blocks(PAGE, "sh"))
    handed = site.begin(*deploy.split()[1:], *site_is, "--ref", commit).wait()
    assert handed.code == 0, str(handed)
    assert "is handed over: web1 brings it live by itself" in handed.out
    followed = site.begin(*follow.split()[1:], *site_is).wait()
    assert followed.code == 0, str(followed)
    assert f"{site.served()} is live on {ENV}" in followed.out
    (lines,) = (block.lines for block in blocks(PAGE, "text"))
    words = {"prod": ENV, "v1.4.2": site.repository.commit(good("as a pipeline has it"))}
    for line in lines:
        typed = [words.get(word, word) for word in line.partition(" > ")[0].split()[1:]]
        answer = site.begin(*typed, "--app", site.app).wait()
        assert answer.code == 0, str(answer)
    assert (answer.said["status"], answer.said["release"]) == ("live", site.served())


def test_a_failing_release_that_was_handed_over_goes_back_and_attach_ends_as_the_deploy_would(
    site: Site, prober: Prober
) -> None:
    before = site.served()
    hand_over(site, crashes())
    followed = attach(site).wait()
    assert (followed.code, followed.said["status"]) == (2, "failed"), str(followed)
    assert "flux capacitor" in followed.evidence
    assert site.served() == before
    assert not site.arbiter()["lock"].get("alive")
    prober.served_only(before)


def test_a_host_that_lacks_what_a_driver_needs_is_told_so_and_nothing_is_touched(site: Site) -> None:
    before, place = site.served(), program.WHEELS
    site.ssh(f"mv {place} {place}.away")
    try:
        refused = site.deploy(site.repository.commit(good("cannot be driven there")), "--detach")
    finally:
        site.ssh(f"mv {place}.away {place}")
    assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
    assert "apt-get install python3-venv" in refused.text
    assert not site.arbiter()["lock"].get("alive")
    assert (site.served(), drives(site)) == (before, False)


def test_who_leaves_attach_leaves_the_deploy_going(site: Site) -> None:
    with site.settings(release_soak_s=8):
        handed = hand_over(site, good("left alone"))
    following = attach(site)
    assert following.wait_for_step("Stage")
    following.process.send_signal(signal.SIGINT)
    left = following.wait()
    assert left.code == 3, str(left)
    assert "goes on by itself" in left.text
    assert f"attach --env {ENV}" in left.text
    followed = attach(site).wait()
    assert (followed.code, followed.said["release"]) == (0, handed.said["release"]), str(followed)


def test_a_second_deploy_waits_behind_one_that_its_host_drives(site: Site) -> None:
    second = site.repository.commit(good("next in line"))
    with site.settings(release_soak_s=8):
        handed = hand_over(site, good("first in line"))
    waits = site.deploy(second, "--wait", "200", timeout_s=300)
    assert waits.code == 0, str(waits)
    assert "holds the lock (deploy " in waits.err
    assert ", detached)" in waits.err, waits.err
    assert (waits.said["previous"], site.served()) == (handed.said["release"], waits.said["release"])


def test_what_was_planned_is_handed_over_and_nothing_else(site: Site) -> None:
    commit, before = site.repository.commit(good("planned")), site.served()
    planned = site.run("plan", "--app", site.app, "--ref", commit, "--out", "plan.json")
    assert planned.code == 0, str(planned)
    between = site.good("somebody was faster")
    refused = site.run("deploy", "--app", site.app, "--plan", "plan.json", "--detach")
    assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
    assert (site.served(), drives(site)) == (between, False)
    assert between != before
    planned = site.run("plan", "--app", site.app, "--ref", commit, "--out", "plan.json")
    assert planned.code == 0, str(planned)
    handed = site.run("deploy", "--app", site.app, "--plan", "plan.json", "--detach")
    assert (handed.code, handed.said["status"]) == (0, "handed_over"), str(handed)
    followed = attach(site).wait()
    assert (followed.code, followed.said["release"]) == (0, site.served()), str(followed)
    assert site.served().endswith(commit[:7])


@pytest.mark.parametrize("reached", ["runs/tiny", "environments/*/bin"])
def test_a_client_that_is_killed_while_it_hands_over_leaves_one_release_and_the_next_command_goes_on(
    site: Site, prober: Prober, reached: str
) -> None:
    """Once while it sends or starts, and once while the host, which has never driven, installs."""
    before, commit = site.served(), site.repository.commit(good(f"killed once there is {reached}"))
    site.ssh(f"rm -rf {DRIVER}/*")
    driver = site.begin("deploy", "--env", ENV, "--app", site.app, "--ref", commit, "--json", "--detach")
    assert driver.wait_for_step("Hand it over")
    within(60, lambda: site.ssh(f"ls -d {DRIVER}/{reached}", check=False))
    driver.kill()
    early = attach(site).wait()
    assert early.code in (0, 1), str(early)
    assert early.code == 0 or "is being handed over just now, or that was broken off" in early.text
    within(120, lambda: not site.arbiter()["lock"].get("alive"))
    arbiter = site.arbiter()
    assert arbiter["shift"]["phase"] == "stable"
    after = site.good("after that")
    prober.served_only(before, arbiter["live"], after)


def test_a_release_in_stages_that_was_handed_over_is_seen_as_if_it_were_driven_from_here(site: Site) -> None:
    stages = [{"share": 50, "for_s": 6}]
    limits = {"hang_s": 2, "warm_s": 2}
    with site.settings(release_stages=stages, release_limits=limits, release_watch_s=3), Visitors(site):
        hand_over(site, good("in stages"))
        followed = attach(site).wait()
    assert followed.code == 0, str(followed)
    assert [(each["share"], each["verdict"]["verdict"]) for each in followed.said["canary"]] == [
        (0.5, "promote"), (1.0, "promote"),
    ]  # fmt: skip
    assert "50 % of the clients, stage 1 of 1: goes on" in followed.err
    host, _, path = followed.said["report"].partition(":")
    assert host == "web1"
    assert followed.said["release"] in site.ssh(f"cat {path}")


@pytest.mark.parametrize("by", ["the unit's stop", "unlock"])
def test_a_driver_that_is_ended_in_a_stage_leaves_everybody_with_the_release_before(site: Site, by: str) -> None:
    before = site.served()
    with site.settings(**A_STAGE, release_confirm_s=6), Visitors(site) as visitors:
        hand_over(site, good(f"ended by {by}"))
        following = attach(site)
        assert wait_for_share(site, 30), str(following.wait())
        if by == "unlock":
            assert site.run("unlock", "--app", site.app, "--yes").code == 0
        else:
            site.ssh(f"systemctl stop {UNIT}")
        lost = following.wait()
        within(20, lambda: not site.ssh(f"ls /var/lib/ferryman/pending/{site.app}", check=False))
        assert site.served() == before
    assert lost.code in (2, 3), str(lost)
    assert not drives(site)
    assert not visitors.failures
    site.run("unlock", "--app", site.app, "--yes")


def test_somebodys_word_sends_a_release_back_that_was_handed_over(site: Site) -> None:
    before = site.served()
    with site.settings(**A_STAGE), Visitors(site):
        hand_over(site, good("not wanted any more"))
        following = attach(site)
        assert wait_for_share(site, 30), str(following.wait())
        assert site.run("release.abort", "--app", site.app).code == 0
        followed = following.wait()
    assert (followed.code, followed.said["status"]) == (2, "returned"), str(followed)
    assert re.search(r"\S+@\S+ said to go back", followed.text), followed.text
    assert site.served() == before


def test_a_boot_in_the_middle_goes_back_and_attach_says_so(site: Site) -> None:
    before = site.served()
    with site.settings(release_soak_s=10):
        hand_over(site, good("interrupted by a boot"))
    following = attach(site)
    assert following.wait_for_step("Stage")
    site.reboot()
    following.kill()
    lost = attach(site).wait()
    assert (lost.code, lost.said["status"]) == (3, "unknown"), str(lost)
    assert "status" in lost.said["hint"], str(lost)
    assert site.served() == before
    assert site.good("after the boot") == site.served()


def test_what_was_planted_is_in_the_credential_of_its_unit_and_nowhere_else(site: Site) -> None:
    began, value = time.time(), f"planted-{secrets.token_hex(12)}"
    place = f"/etc/ferryman/sites/{site.app}/secrets"
    try:
        with (
            site.inventory(secrets={"TOKEN": value}),
            site.settings(release_soak_s=5),
            Watch(site.root / ".ferryman" / "runner", value) as watch,
        ):
            handed = hand_over(site, good("with a secret", secrets=["TOKEN"]))
            following = attach(site)
            assert following.wait_for_step("Stage")
            while f"{place}/TOKEN" not in site.ssh(f"ls {place}/*", check=False):
                assert following.process.poll() is None, str(following.wait())
                time.sleep(0.1)
            found = site.ssh(f"python3 -c {shlex.quote(CODE)}", given=value).splitlines()
            environ = site.ssh(ENVIRON)
            followed = following.wait()
        assert followed.code == 0, str(followed)
        assert found == [f"{place}/TOKEN"]
        assert "ANSIBLE_CONFIG" in environ, "nobody was looked at"
        for text in (environ, str(handed), str(followed), site.ssh(f"cat {DRIVER}/runs/{site.app}/*/events.jsonl")):
            assert value not in text
        assert watch.looked > 20
        assert watch.found == []
        assert holding(site.root, [value], began) + holding(Path.home() / ".ansible", [value], began) == []
        assert site.ssh("ls /run/credentials /run/*.sock | grep drive", check=False) == ""
        # The word goes through standard input: sudo writes what it is asked to run into the journal.
        lines = "journalctl --no-pager -o export --since=-10min > /run/lines; grep -caFf - /run/lines; rm /run/lines"
        assert site.ssh(lines, given=value) == "0"
    finally:
        without = site.deploy(site.repository.commit(Version("without a secret", description={"secrets": []})))
        assert without.code == 0, str(without)
