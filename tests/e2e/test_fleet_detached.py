"""A fleet that its arbiter drives itself: by a key for one run, which opens nothing else, and is gone with it.

Requirements: REL-7.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.e2e.test_detached import attach, hand_over, within
from tests.e2e.test_fleet import CONFIRM_S, WITHIN_S, begin_anew, cut_off, taken
from tests.support import histories
from tests.support.cuts import unreached
from tests.support.fleet import APPS, DATABASE, ENTRIES, HOSTS, Fleet
from tests.support.prober import Prober
from tests.support.visitors import Visitors

from ferryman.sandbox.probing import probe

GOES_ON = pytest.mark.at_times(journey="a fleet that goes on without who began it")
AMISS = pytest.mark.at_times(journey="a fleet that its arbiter drives, and something is amiss")
ARBITER = ENTRIES[0]
OTHERS = [host for host in HOSTS if host != ARBITER]
UNIT = "ferryman-drive-tiny.service"
TRACES = """
cat /home/ops/.ssh/authorized_keys; ls -la /etc/sudoers.d /home/ops/.ssh | awk '{print $1, $3, $9}'
find /run/ferryman-drive /var/lib/ferryman/sites/tiny/way.json -type f 2>/dev/null || true
"""
"""Says all that a host has of a way in."""
ABUSE = """
import json, struct, subprocess
told = TOLD
way = json.load(open(f"{told['place']}/hosts.yml"))["all"]["hosts"][told["host"]]
words = ["ssh", "-i", way["ansible_ssh_private_key_file"], *way["ansible_ssh_common_args"].split()]
words += ["-p", str(way["ansible_port"]), *told["words"], f"{way['ansible_user']}@{way['ansible_host']}", *told["asks"]]
text = json.dumps(told["request"]).encode()
code = told["code"].encode()
message = struct.pack("!Q", len(code)) + code + struct.pack("!Q", len(text)) + text
done = subprocess.run(words, input=message, capture_output=True, timeout=20)
print(done.stdout.decode(), done.stderr.decode())
"""


def traces(fleet: Fleet) -> dict[str, str]:
    return {host: fleet.ssh(TRACES, host=host) for host in HOSTS}


def drives(fleet: Fleet) -> bool:
    return fleet.ssh(f"systemctl is-active {UNIT}", check=False) == "active"


@contextmanager
def leaves_nothing(fleet: Fleet) -> Iterator[None]:
    """See that no host keeps anything of a way in, however the run ends."""
    fleet.settles(WITHIN_S)
    before = traces(fleet)
    yield
    within(60, lambda: not drives(fleet))
    assert traces(fleet) == before


def abuse(fleet: Fleet, host: str, *asks: str, words: tuple[str, ...] = (), code: str = "", **request: Any) -> str:
    """Take the key, as somebody does who has broken into the arbiter; return what a host says to it."""
    place = fleet.ssh(f"ls -d /var/lib/ferryman/driver/runs/{fleet.app}/*")
    told = {"place": place, "host": host, "words": words, "asks": asks, "code": code, "request": request}
    return fleet.ssh("python3 -", given=f"TOLD = {told!r}\n{ABUSE}")


@GOES_ON
def test_a_fleet_whose_client_is_killed_goes_live_on_every_host_by_a_key_that_opens_nothing_else(fleet: Fleet) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good("goes on alone"))
    with leaves_nothing(fleet), fleet.settings(release_soak_s=20), Prober(fleet, forgiving=True) as prober:
        driver = fleet.begin("deploy", "--env", "dev", "--app", fleet.app, "--ref", commit, "--json", "--detach")
        within(120, lambda: drives(fleet) or driver.process.poll() is not None)
        assert driver.process.poll() is None, str(driver.wait())
        driver.kill()
        held = fleet.arbiter()["lock"]
        assert (held["alive"], held["purpose"]) == (True, f"deploy {commit[:7]}, detached")
        assert fleet.ssh("ls /run/ferryman-drive") == "", "the key is in no file"
        own = {"site": fleet.app, "environment": "dev", "run": held["run"], "token": held["token"]}
        for host in OTHERS:
            assert '"ok": true' in abuse(fleet, host, **own, act="reach"), "this is what the key is for"
            line = fleet.ssh("grep ferryman-drives- /home/ops/.ssh/authorized_keys", host=host)
            assert line.startswith(f'restrict,from="{fleet.addresses[ARBITER]}",expiry-time="20'), line
        for request in (
            {**own, "act": "look", "roles": ["app"]},
            {**own, "act": "steps", "steps": ["unlock"]},
            {**own, "act": "steps", "steps": ["stage"], "run": "20200101T000000Z-abcdef"},
            {**own, "act": "reach", "token": held["token"] + 1},
            {**own, "act": "reach", "site": "another"},
        ):
            assert "this key does the steps of run" in abuse(fleet, "app2", **request), request
        said = abuse(fleet, "app2", "id", code="import os; os.system('id')", **own, act="reach")
        assert ("uid=" in said, '"ok": true' in said) == (False, True), said
        tunnel = abuse(fleet, DATABASE, words=("-W", "127.0.0.1:5432"), **own, act="reach")
        assert "stdio forwarding failed" in tunnel, tunnel
        followed = attach(fleet).wait()
        assert (followed.code, followed.said["status"]) == (0, "live"), str(followed)
        assert fleet.settles(WITHIN_S) == followed.said["release"]
    assert followed.said["release"].endswith(commit[:7])
    assert {each["host"] for each in followed.said["steps"]} == {*ENTRIES, *APPS}
    assert "Settle where the lock is" in followed.err
    prober.served_only(before, followed.said["release"])
    plain = fleet.deploy(fleet.repository.commit(histories.good("driven from here")))
    assert set(followed.said) == set(plain.said), "attach tells something else than the deploy itself"


@GOES_ON
def test_where_it_does_not_come_up_on_one_host_all_go_back_and_attach_ends_as_the_deploy_would(fleet: Fleet) -> None:
    before = fleet.settles(2)
    with leaves_nothing(fleet), taken(fleet, "app3"), Prober(fleet) as prober:
        hand_over(fleet, histories.good("not on the third"))
        followed = attach(fleet).wait()
        assert (followed.code, followed.said["status"]) == (2, "failed"), str(followed)
        assert (followed.said["host"], followed.said["step"]) == ("app3", "start"), str(followed)
        assert fleet.settles(WITHIN_S) == before
    prober.served_only(before)


@GOES_ON
def test_in_stages_both_entries_are_judged_and_its_report_lies_on_the_arbiter(fleet: Fleet) -> None:
    limits = {"hang_s": 2, "warm_s": 2}
    stages = fleet.settings(release_stages=[{"share": 50, "for_s": 6}], release_limits=limits, release_watch_s=3)
    with leaves_nothing(fleet), stages, Visitors(fleet), Visitors(fleet, host=ENTRIES[1]):
        hand_over(fleet, histories.good("in stages"))
        followed = attach(fleet).wait()
    assert followed.code == 0, str(followed)
    assert [(each["share"], each["verdict"]["verdict"]) for each in followed.said["canary"]] == [
        (0.5, "promote"), (1.0, "promote"),
    ]  # fmt: skip
    assert followed.said["report"].startswith(f"{ARBITER}:/")


@GOES_ON
def test_a_host_to_which_the_arbiter_does_not_come_is_named_and_nothing_is_touched(fleet: Fleet) -> None:
    before = fleet.settles(2)
    with leaves_nothing(fleet), cut_off(fleet, "app2", ARBITER):
        refused = fleet.deploy(fleet.repository.commit(histories.good("not there")), "--detach", timeout_s=300)
        assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
        assert "app2 (" in refused.evidence, str(refused)
        assert not fleet.arbiter()["lock"].get("alive")
    assert fleet.settles(2) == before


@AMISS
def test_hosts_with_other_values_than_the_arbiters_are_refused(fleet: Fleet) -> None:
    path = fleet.root / "inventories" / "dev" / "host_vars" / "app2.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("release_soak_s: 3\n")
    try:
        with leaves_nothing(fleet):
            refused = fleet.deploy(fleet.repository.commit(histories.good("not the same for all")), "--detach")
    finally:
        path.unlink()
    assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
    assert "app2: release_soak_s" in refused.text


@AMISS
def test_an_arbiter_that_is_started_again_goes_back_and_the_next_run_takes_the_keys_back(fleet: Fleet) -> None:
    before = fleet.settles(2)
    with leaves_nothing(fleet), fleet.settings(release_soak_s=30, release_confirm_s=CONFIRM_S):
        hand_over(fleet, histories.good("interrupted by a boot"))
        following = attach(fleet)
        assert following.wait_for_step("Start the idle slot")
        begin_anew(fleet, ARBITER)
        following.kill()
        lost = attach(fleet).wait()
        assert (lost.code, lost.said["status"]) == (3, "unknown"), str(lost)
        assert fleet.settles(60) == before
        assert "ferryman-drives-" in fleet.ssh("cat /home/ops/.ssh/authorized_keys", host="app2")
        with fleet.settings(release_soak_s=1):
            assert fleet.good("after the boot") == fleet.settles(WITHIN_S)


@AMISS
def test_a_host_that_is_left_out_is_left_out_of_what_the_arbiter_drives(fleet: Fleet) -> None:
    fleet.settles(2)
    commit = fleet.repository.commit(histories.good("on two of three"))
    with leaves_nothing(fleet):
        with unreached(fleet, "app3"):
            handed = fleet.deploy(commit, "--detach", "--partial", "1")
            assert (handed.code, handed.said["status"]) == (0, "handed_over"), str(handed)
            followed = attach(fleet).wait()
            assert (followed.code, followed.said["status"]) == (0, "live"), str(followed)
            assert [*followed.said["left_out"]] == ["app3"]
            assert fleet.releases() == {followed.said["release"]}
        mended = fleet.deploy(commit, "--detach")
        assert (mended.code, mended.said["status"]) == (0, "handed_over"), str(mended)
        followed = attach(fleet).wait()
        assert followed.code == 0, str(followed)
        assert fleet.settles(WITHIN_S) == followed.said["release"]


@pytest.fixture
def _asks_for_a_password(fleet: Fleet) -> Iterator[None]:
    """App hosts on which sudo asks for a password, as people have them."""
    path = fleet.root / "inventories" / "dev" / "group_vars" / "app.yml"
    path.write_text("ansible_become_password: of-ops\n")

    def each(script: str) -> None:
        for host in APPS:
            probe().run("exec", f"{fleet.name}-{host}", "bash", "-c", script)

    each("echo ops:of-ops | chpasswd; sed -i 's/NOPASSWD: //' /etc/sudoers.d/ops")
    try:
        yield
    finally:
        path.unlink()
        each("sed -i 's/ ALL$/ NOPASSWD: ALL/' /etc/sudoers.d/ops")


@AMISS
@pytest.mark.usefixtures("_asks_for_a_password")
def test_where_sudo_asks_for_a_password_the_keys_own_command_needs_none(fleet: Fleet) -> None:
    hand_over(fleet, histories.good("with a password"))
    followed = attach(fleet).wait()
    assert (followed.code, followed.said["status"]) == (0, "live"), str(followed)
    assert fleet.releases() == {followed.said["release"]}
