"""Two entries, three app hosts and a database as one environment: what each may reach, and what clients get.

Requirements: REL-3, REL-4, REL-6, REL-7, REL-8, REL-9, REL-13, ENV-4, MAINT-1.
"""

import base64
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle, islice, pairwise, zip_longest
from random import Random
from typing import Any, NamedTuple

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger as ledgers
from rich.text import Text
from tests.conftest import Soak
from tests.support import aftermath, canaries, drawing, histories
from tests.support import fleet as fleets
from tests.support.cuts import unreached
from tests.support.driving import READY_S
from tests.support.fleet import APPS, DATABASE, ENTRIES, PASSWORD, Fleet, began, powered
from tests.support.pages import blocks
from tests.support.prober import Prober
from tests.support.terminal import Terminal
from tests.support.visitors import Visitors
from tests.support.watching import Journal

from ferryman import paths, records

# Six hosts take long, and what one host does is in every run: each test here is of a journey that has its turn.
WHOLE = pytest.mark.at_times(journey="a fleet")
PLANNED = pytest.mark.at_times(journey="a fleet whose deploys are planned and wait")
IN_TURNS = pytest.mark.at_times(journey="a fleet in turns")
LEFT_OUT = pytest.mark.at_times(journey="a fleet with hosts left out")
GOES_WITHOUT = pytest.mark.at_times(journey="a fleet that goes back, or on in stages, without a host")
REBOOTED = pytest.mark.at_times(journey="a fleet that is rebooted host by host")
ENTRIES_REBOOTED = pytest.mark.at_times(journey="entries and a database that are rebooted")
SCHEDULED = pytest.mark.at_times(journey="a fleet that is rebooted by a schedule")
LOSES = pytest.mark.at_times(journey="a fleet that loses hosts")
SCALED = pytest.mark.at_times(journey="a fleet that is scaled while something fails")
STRICKEN = pytest.mark.at_times(journey="a fleet that is struck in a deploy")
KILLED = pytest.mark.at_times(journey="a fleet whose drivers are killed")
CANARIES = pytest.mark.at_times(journey="a fleet with canaries of all kinds")
IN_STAGES = pytest.mark.at_times(journey="a fleet in stages")
BROUGHT_BACK = pytest.mark.at_times(journey="a fleet whose release turns bad once it is live")

CONFIRM_S = 10.0  # six hosts and other tests share the machine
WITHIN_S = 5.0
"""What may be added to it until all hosts have heard of the end."""
LEFT_OUT_S = 6.0
"""By when an entry has learnt that a host has lost its power."""
BACK_IN_S = 12.0
LOST = 3
"""Requests of a client that asks twenty times a second, which such a host may lose."""
BAD_GATEWAY = 502
BACK_S = 2.0
"""Within so much of a verdict no client gets anything of the release that it fell on."""
FOLLOWS_S = 6.0
"""Within so much of a verdict after the commit every entry has gone back: it asks every two seconds."""
PATIENT = 0.25
"""How often nobody breaks the lock of who is gone: the same command waits until his lease is over."""
MIGRATES_S = 12  # long enough to kill who drives, and to look around
TRIES = 30  # of a client, by which each of three hosts has its turn

OPEN = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    print("open")
except OSError as error:
    print(type(error).__name__)
"""


def reaches(fleet: Fleet, host: str, there: str, port: int) -> bool:
    """Say whether a host gets through to a port of another."""
    told = fleet.ssh(f"python3 - {fleet.addresses[there]} {port}", host=host, given=OPEN)
    return told == "open"


def web_port(fleet: Fleet, host: str) -> int:
    """Return the port on which the live release answers on an app host."""
    ports = json.loads(fleet.ssh(f"cat /etc/ferryman/sites/{fleet.app}/ports.json", host=host))
    assert ports["address"] == fleet.addresses[host]
    return int(ports["ports"]["web"][fleet.state(host)["stable"]][0])


@WHOLE
def test_every_host_has_one_release_and_either_entry_serves_all_app_hosts(fleet: Fleet) -> None:
    live = fleet.settles(2)
    for entry in ENTRIES:
        with fleet.through(entry):
            assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}, entry
            assert {fleet.version()["release"] for _ in range(TRIES)} == {live}


@WHOLE
def test_application_processes_are_open_to_the_entries_alone(fleet: Fleet) -> None:
    port = web_port(fleet, "app1")
    seen = {host: reaches(fleet, host, "app1", port) for host in (*ENTRIES, "app2", DATABASE)}
    assert seen == {**dict.fromkeys(ENTRIES, True), "app2": False, DATABASE: False}


@WHOLE
def test_the_database_is_reached_by_app_hosts_over_tls_with_their_password_and_by_nobody_else(fleet: Fleet) -> None:
    seen = {host: reaches(fleet, host, DATABASE, 5432) for host in (*ENTRIES, *APPS)}
    assert seen == {**dict.fromkeys(ENTRIES, False), **dict.fromkeys(APPS, True)}
    rules = fleet.ssh("cat /etc/postgresql/*/main/pg_hba.conf", host=DATABASE)
    from_elsewhere = [
        line.split()
        for line in rules.replace('"', "").splitlines()
        if line.startswith("host") and not re.search(r" (127.0.0.1|::1)/", line)
    ]
    own = [line for line in from_elsewhere if fleet.app in line[1]]
    assert {line[3].partition("/")[0] for line in own} == {fleet.addresses[app] for app in APPS}
    assert {(line[0], line[1], line[2], line[-1]) for line in own} == {
        ("hostssl", fleet.app, fleet.app, "scram-sha-256")
    }
    fleet.ssh("command -v psql || apt-get install -qq -y postgresql-client >/dev/null", host="app1", timeout_s=120)
    asks = f"PGPASSWORD='{PASSWORD}' psql -XAtq 'host={fleet.addresses[DATABASE]} user=tiny dbname=tiny sslmode=%s' -c "
    assert (
        fleet.ssh(asks % "require" + "'select ssl from pg_stat_ssl where pid = pg_backend_pid()'", host="app1") == "t"
    )
    assert "no pg_hba.conf entry" in fleet.ssh(asks % "disable" + "'select 1' 2>&1", host="app1", check=False)


@WHOLE
def test_each_entry_has_a_certificate_of_its_own_although_the_authority_may_come_to_either(fleet: Fleet) -> None:
    certificates = f"/etc/ferryman/certificates/{fleet.app}"
    prints = {entry: fleet.ssh(f"sha256sum < {certificates}/privkey.pem", host=entry) for entry in ENTRIES}
    assert len(set(prints.values())) == 2, "no key has left its host"
    told = fleet.status()["hosts"]
    assert {entry: told[entry]["certificates"][0]["served"]["state"] for entry in ENTRIES} == dict.fromkeys(
        ENTRIES, "same"
    )
    for entry, other in (ENTRIES, ENTRIES[::-1]):
        path = "/var/lib/ferryman/acme/.well-known/acme-challenge"
        fleet.ssh(f"mkdir -p {path} && echo from {entry} > {path}/of-{entry}", host=entry)
        asked = f"curl -s -H 'Host: {fleet.domain}' http://127.0.0.1/.well-known/acme-challenge"
        assert fleet.ssh(f"{asked}/of-{entry}", host=other) == f"from {entry}"
        assert fleet.ssh(f"{asked}/nobodys -o /dev/null -w '%{{http_code}}'", host=other) == "404"
    renewed = fleet.ssh("/usr/local/lib/ferryman/certificate renew --force", host="entry2", timeout_s=120)
    assert re.search(rf"^{fleet.app}: renewed", renewed, re.MULTILINE), renewed
    with fleet.through("entry2"):
        assert fleet.version()["release"], "clients believe the new one, too"


@WHOLE
def test_an_update_and_a_rollback_lose_no_request_on_either_entry(fleet: Fleet) -> None:
    before = fleet.settles(2)
    with Prober(fleet) as prober:
        new = fleet.good("on all hosts")
        assert fleet.settles(2) == new
        assert fleet.arbiter()["would_roll_back_to"] == before
        answer = fleet.rollback()
        assert answer.code == 0, str(answer)
        assert fleet.settles(2) == before
    prober.served_only(before, new)


def written(fleet: Fleet, host: str, release: str) -> dict[tuple[str, str], str]:
    """Return by step and result when a host wrote down that it did them for a release."""
    lines = map(json.loads, fleet.ssh(f"cat {fleet.journal_path}", host=host).splitlines())
    return {(line["step"], line["result"]): line["at"] for line in lines if line["release"] == release}


@IN_TURNS
def test_hosts_stage_start_and_move_workers_one_after_the_other_where_that_is_said_and_clients_are_moved_at_once(
    fleet: Fleet,
) -> None:
    worker = {"worker": {"kind": "worker", "command": "python tiny.py worker", "stop_timeout_s": 2}}
    turns = fleet.settings(release_serial=1, release_soak_s=2, release_worker_soak_s=2)
    before = fleet.settles(2)
    with described_otherwise(fleet), turns, Prober(fleet) as prober:
        answer = fleet.deploy(fleet.repository.commit(histories.good("in turns", processes=worker)))
        assert (answer.code, fleet.settles(2)) == (0, answer.said["release"]), str(answer)
    prober.served_only(before, answer.said["release"])
    told = {host: written(fleet, host, answer.said["release"]) for host in (*APPS, *ENTRIES)}
    for step in ("stage", "start", "workers"):
        spans = sorted((told[host][step, "started"], told[host][step, "done"]) for host in APPS)
        assert all(began >= ended for (_, ended), (began, _) in pairwise(spans)), (step, spans)
    ready = max(told[host]["start", "done"] for host in APPS)
    assert all(told[entry]["switch", "started"] >= ready for entry in ENTRIES), told


@IN_TURNS
def test_workers_that_take_longer_to_end_than_a_shift_stands_by_itself_are_waited_for_on_every_host(
    fleet: Fleet,
) -> None:
    worker = {"worker": {"kind": "worker", "command": "python tiny.py worker", "stop_timeout_s": 40}}
    last_job = {"last_job_s": CONFIRM_S + 5}  # longer than entries wait before they are in doubt, too
    busy = histories.Version("its workers are busy", last_job, description={"processes": worker})
    with described_otherwise(fleet):
        before = fleet.deploy(fleet.repository.commit(busy)).said["release"]
        with fleet.settings(release_confirm_s=CONFIRM_S), Prober(fleet) as prober:
            answer = fleet.deploy(fleet.repository.commit(histories.good("after the last jobs")))
        assert (answer.code, fleet.settles(2)) == (0, answer.said["release"]), str(answer)
    prober.served_only(before, answer.said["release"])
    for entry in ENTRIES:
        assert ("doubt", "started") not in written(fleet, entry, answer.said["release"])


@IN_TURNS
def test_a_host_whose_turn_has_not_come_begins_nothing_once_another_has_failed(fleet: Fleet) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good("not on the first"))
    with fleet.settings(release_serial="33%"), taken(fleet, "app1"):
        answer = fleet.deploy(commit)
    assert (answer.code, answer.said["host"], answer.said["step"]) == (2, "app1", "start"), str(answer)
    assert fleet.settles(2) == before
    line = fleet.ledger()[-1]
    assert line["reason"].startswith("app1: "), line
    for host in ("app2", "app3"):
        assert {step for step, _ in written(fleet, host, line["release"])} == {"stage", "return"}, host


@WHOLE
def test_a_deploy_of_what_is_live_changes_nothing(fleet: Fleet) -> None:
    answer = fleet.deploy(fleet.good("as it is")[-7:])
    assert (answer.code, answer.said["status"], answer.said["changed"]) == (0, "unchanged", False), str(answer)


@WHOLE
def test_the_guides_commands_say_that_all_is_well(fleet: Fleet) -> None:
    page = paths.CHECKOUT / "docs" / "guides" / "fleet.md"
    made, deployed, *looks = [line for block in blocks(page, "sh") for line in block.lines]
    assert ("env.new" in made, "deploy" in deployed, len(looks)) == (True, True, 2), "by the first two it came up"
    for line in looks:
        answer = fleet.begin(*fleets.words(line)).wait()
        assert answer.code == 0, str(answer)
        assert "wrong" not in answer.out, answer.out
    assert all(f"{entry} way to {app}" in answer.out for entry in ENTRIES for app in APPS), answer.out


@PLANNED
def test_a_plan_names_the_hosts_of_each_step(fleet: Fleet) -> None:
    answer = fleet.run("plan", "--app", fleet.app, "--ref", fleet.repository.commit(histories.good("planned")))
    steps = {each["step"]: each["hosts"] for each in answer.said["steps"]}
    assert sorted(steps["switch"]) == sorted((*ENTRIES, *APPS)), str(answer)
    assert sorted(steps["start"]) == sorted(APPS)
    assert steps["commit"] == [ENTRIES[0]]
    assert answer.said["refused"] == []


@PLANNED
def test_a_second_deploy_waits_and_all_hosts_go_on_to_it(fleet: Fleet) -> None:
    first, second = (fleet.repository.commit(histories.good(text)) for text in ("first in line", "second in line"))
    with fleet.settings(release_soak_s=10):
        one = fleet.begin("deploy", "--app", fleet.app, "--env", "dev", "--ref", first, "--json")
        assert one.wait_for_step("Stage")
    other = fleet.deploy(second, "--wait", "200", timeout_s=300)
    done = one.wait()
    assert (done.code, other.code) == (0, 0), f"{done}{other}"
    assert f"holds the lock (deploy {first[:7]})" in other.err
    assert (other.said["previous"], fleet.settles(2)) == (done.said["release"], other.said["release"])


@PLANNED
def test_a_plan_is_followed_on_all_hosts_unless_one_of_them_has_changed(fleet: Fleet) -> None:
    fleet.settles(2)
    commit = fleet.repository.commit(histories.good("planned for all"))
    planned = fleet.run("plan", "--app", fleet.app, "--ref", commit, "--out", "plan.json", timeout_s=400)
    assert planned.code == 0, str(planned)
    assert planned.said["provision"]["changes"] == [], "it is provisioned"
    by_hand = f"/srv/{fleet.app}/current/app/by-hand"
    fleet.ssh(f"touch {by_hand}", host="app2")
    refused = fleet.run("deploy", "--app", fleet.app, "--plan", "plan.json", timeout_s=400)
    assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
    (line,) = refused.said["evidence"]
    assert re.fullmatch(r"host app2: app, serves (\S+) then, app, serves \1, edited by hand: by-hand now", line), line
    fleet.ssh(f"rm {by_hand}", host="app2")
    answer = fleet.run("deploy", "--app", fleet.app, "--plan", "plan.json", timeout_s=400)
    assert answer.code == 0, str(answer)
    assert fleet.settles(2) == answer.said["release"]
    assert answer.said["release"].endswith(commit[:7])


# What fails


@contextmanager
def taken(fleet: Fleet, host: str) -> Iterator[None]:
    """Have somebody else listen where the next release of a host wants to, so that it does not come up there."""
    slot = "green" if fleet.state(host)["stable"] == "blue" else "blue"
    ports = json.loads(fleet.ssh(f"cat /etc/ferryman/sites/{fleet.app}/ports.json", host=host))
    port = ports["ports"]["web"][slot][0]
    listen = f"import socket, time; s = socket.create_server(('{fleet.addresses[host]}', {port})); time.sleep(600)"
    warm = f"systemctl stop '{fleet.app}-web@{slot}-*'"  # what served before may still have that port
    fleet.ssh(f"{warm}; systemd-run --quiet --collect --unit=squatter python3 -c {shlex.quote(listen)}", host=host)
    try:
        yield
    finally:
        fleet.ssh("systemctl stop squatter", host=host)


@contextmanager
def cut_off(fleet: Fleet, host: str, other: str) -> Iterator[None]:
    """Let nothing get through between two hosts; the driver reaches both."""
    fleet.ssh(
        "nft add table inet cut; nft 'add chain inet cut out { type filter hook output priority 0; }'; "
        "nft 'add chain inet cut in { type filter hook input priority -1; }'; "
        f"nft add rule inet cut out ip daddr {fleet.addresses[other]} drop; "
        f"nft add rule inet cut in ip saddr {fleet.addresses[other]} drop",
        host=host,
    )
    try:
        yield
    finally:
        fleet.ssh("nft delete table inet cut", host=host)


@LOSES
def test_a_process_that_ends_on_an_app_host_costs_nobody_an_answer_and_is_told(fleet: Fleet) -> None:
    live = fleet.settles(2)
    unit = f"tiny-web@{fleet.state('app2')['stable']}-1.service"
    with Prober(fleet) as prober:
        fleet.ssh(f"systemctl stop {unit}", host="app2")
        told = fleet.begin("status", "--env", "dev").wait().out
        for _ in range(TRIES):
            assert fleet.version()["host"] != "app2"
        fleet.ssh(f"systemctl start {unit}", host="app2")
        deadline = time.monotonic() + BACK_IN_S
        while "app2" not in {fleet.version()["host"] for _ in range(6)}:
            assert time.monotonic() < deadline, "it was not taken in again"
    prober.served_only(live)
    assert told.count("app2 does not serve") == len(ENTRIES), told


@LOSES
def test_the_last_app_host_is_never_taken_out(fleet: Fleet) -> None:
    live = fleet.settles(2)
    slot = fleet.state("app1")["stable"]
    stop = f"systemctl stop tiny-web@{slot}-1.service; systemctl stop 'tiny-web@*'"
    for host in APPS:
        fleet.ssh(stop, host=host)
    try:
        for _ in range(TRIES):
            assert fleet.get()[0] == BAD_GATEWAY
    finally:
        for host in APPS:
            fleet.ssh(f"systemctl start tiny-web@{slot}-1.service", host=host)
    assert fleet.releases() == {live}, "at once: nobody waits for a time to be over"


def out_of(fleet: Fleet, host: str) -> bool:
    """Say whether neither entry sends clients to an app host."""
    seen = set()
    for entry in ENTRIES:
        with fleet.through(entry):
            seen |= {fleet.version()["host"] for _ in range(TRIES)}
    return host not in seen


@LEFT_OUT
def test_an_app_host_that_is_fenced_off_gets_no_client_until_it_is_let_in_again(fleet: Fleet) -> None:
    live = fleet.settles(2)
    with Prober(fleet, forgiving=True) as prober, ThreadPoolExecutor(TRIES) as clients:
        slow = [clients.submit(fleet.get, "/slow?s=3", 15) for _ in range(TRIES)]
        time.sleep(1)
        answer = fleet.run("fence.on", "app2", "--why", "its disk", "--app", fleet.app)
        assert (answer.code, answer.said["fenced"]) == (0, ["app2"]), str(answer)
        assert all(answer.said["emptied"].values())
        assert out_of(fleet, "app2")
        assert [each.result()[0] for each in slow] == [200] * TRIES, "what was under way has ended"
        fleet.ssh("systemctl reload nginx", host="entry1")
        assert out_of(fleet, "app2")
        again = fleet.run("fence.on", "app2", "--app", fleet.app)
        assert (again.code, again.said["changed"]) == (0, False), str(again)
    prober.served_only(live)
    try:
        begin_anew(fleet, "entry2")
        provisioned = fleet.run("provision", timeout_s=READY_S)
        assert provisioned.code == 0, str(provisioned)
        assert out_of(fleet, "app2"), "after a boot, and although every entry's configuration was rendered anew"
        told = " ".join(fleet.begin("status", "--env", "dev").wait().out.split())
        assert told.count("app2 gets no clients since") == len(ENTRIES), told
        assert told.count(": its disk") == len(ENTRIES), told
        assert fleet.run("fence.on", "app1", "--app", fleet.app).code == 0
        last = fleet.run("fence.on", "app3", "--app", fleet.app)
        assert (last.code, "the last app host is never fenced off" in last.text) == (1, True), str(last)
    finally:
        let_in = [fleet.run("fence.off", host, "--app", fleet.app) for host in ("app1", "app2")]
    assert [each.code for each in let_in] == [0, 0], let_in
    assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}


def begin_anew(fleet: Fleet, host: str, within_s: float = 90) -> None:
    """Cut a host's power and give it back, and wait until it is reached: its published ports may need a while."""
    fleet.cut(host)
    fleet.back(host)
    deadline = time.monotonic() + within_s
    while True:
        with suppress(subprocess.TimeoutExpired):
            if fleet.ssh("echo up", host=host, check=False, timeout_s=5) == "up":
                return
        assert time.monotonic() < deadline, f"{host} is not reached"


@LEFT_OUT
def test_a_deploy_goes_on_without_a_host_that_only_the_driver_cannot_reach_and_the_next_one_mends_it(
    fleet: Fleet,
) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good("on two of three"))
    with Prober(fleet, forgiving=True) as prober:
        with unreached(fleet, "app3"):
            refused = fleet.deploy(commit)
            assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
            with unreached(fleet, "app2"):
                refused = fleet.deploy(commit, "--partial", "1")
            assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
            assert "app2, app3 cannot be reached, and at most 1 may be left out" in refused.text
            answer = fleet.deploy(commit, "--partial", "1")
            assert (answer.code, [*answer.said["left_out"]]) == (0, ["app3"]), str(answer)
            new = answer.said["release"]
            assert out_of(fleet, "app3")
            assert fleet.releases() == {new}, "although what was live before goes on there"
            assert fleet.ledger()[-1]["left_out"] == ["app3"]
            lone = fleet.run("fence.off", "app3", "--app", fleet.app)
            assert (lone.code, "app3 was left out" in lone.text) == (1, True), str(lone)
        begin_anew(fleet, "app3")
        assert fleet.state("app3")["release_stable"] == before
        assert out_of(fleet, "app3"), "it does not come back by itself"
        told = " ".join(fleet.begin("status", "--env", "dev").wait().out.split())
        assert told.count("app3 gets no clients since") == len(ENTRIES), told
        answer = fleet.deploy(commit)
        assert (answer.code, answer.said["status"], answer.said.get("left_out")) == (0, "live", None), str(answer)
        mended = fleet.settles(2)
        assert not out_of(fleet, "app3")
    prober.served_only(before, new, mended)
    assert mended.endswith(commit[:7])
    assert "app3" not in " ".join(str(seen.get("fenced")) for seen in fleet.status()["hosts"].values())


@GOES_WITHOUT
def test_a_rollback_goes_on_without_a_host_and_whoever_drives_it_may_vanish(fleet: Fleet) -> None:
    """The driver dies once clients are moved: the entries go back, and send clients again to whom it had left out."""
    before, new = fleet.settles(2), fleet.good("to go back from")
    with fleet.settings(release_confirm_s=CONFIRM_S, release_watch_s=5), unreached(fleet, "app2"):
        with Journal(fleet) as journal:
            words = ("--app", fleet.app, "--env", "dev", "--partial", "1", "--json")
            driver = fleet.begin("rollback", *words)
            assert journal.wait_for("switch", "started", driver, since=0), str(driver.wait())
            assert out_of(fleet, "app2")
            driver.kill()
        deadline = time.monotonic() + CONFIRM_S + WITHIN_S
        while out_of(fleet, "app2") or fleet.releases() != {new}:
            assert time.monotonic() < deadline, fleet.status()
            time.sleep(0.3)
        freed = fleet.run("unlock", "--app", fleet.app, "--yes")
        assert (freed.code, [*freed.said["unreachable"]]) == (0, ["app2"]), str(freed)
        assert freed.said["broken"]["purpose"].startswith("rollback"), str(freed)
        answer = fleet.rollback("--partial", "1")
        assert (answer.code, [*answer.said["left_out"]]) == (0, ["app2"]), str(answer)
        assert fleet.releases() == {before}
        assert out_of(fleet, "app2")
    fleet.good("mended")
    assert not out_of(fleet, "app2")


@GOES_WITHOUT
def test_a_release_is_judged_in_stages_without_a_host_that_is_left_out(fleet: Fleet) -> None:
    live = fleet.good("in stages on two of three")
    bad = fleet.repository.commit(histories.shop("fails its clients on two of three", errors=0.9))
    stages = fleet.settings(release_stages=[{"share": 50, "for_s": 30}], release_confirm_s=CONFIRM_S)
    with stages, unreached(fleet, "app3"), Visitors(fleet, host="entry2"):
        back = fleet.deploy(bad, "--partial", "1")
        assert (back.code, back.said["status"]) == (2, "returned"), str(back)
        assert "The new release fails more" in back.text
        assert fleet.releases() == {live}
        assert not out_of(fleet, "app3"), "whom nobody has moved needs nobody to let him in"
        commit = fleet.repository.commit(histories.good("well on two of three"))
        answer = fleet.deploy(commit, "--partial", "1")
        assert (answer.code, [*answer.said["left_out"]]) == (0, ["app3"]), str(answer)
        assert (fleet.releases(), out_of(fleet, "app3")) == ({answer.said["release"]}, True)
    fleet.good("mended, after stages")
    assert not out_of(fleet, "app3")


def webs(fleet: Fleet) -> dict[str, int]:
    """Return how many web processes of the live release run on each app host."""
    count = "systemctl list-units --plain --no-legend --state=active 'tiny-web@{}-*.service' | wc -l"
    return {host: int(fleet.ssh(count.format(fleet.state(host)["stable"]), host=host)) for host in APPS}


@WHOLE
def test_a_fleet_is_scaled_on_every_host_or_on_none(fleet: Fleet) -> None:
    live, slot = fleet.settles(2), fleet.state("app2")["stable"]
    place = f"/etc/systemd/system/tiny-web@{slot}-3.service.d"
    with Prober(fleet, forgiving=True) as prober:
        more = fleet.run("scale", "web=2", "--app", fleet.app)
        assert (more.code, more.said["hosts"]) == (0, [*APPS]), str(more)
        assert webs(fleet) == dict.fromkeys(APPS, 2)
        unfit = "[Unit]\nAssertPathExists=/nowhere\n"
        fleet.ssh(f"mkdir -p {place}; cat > {place}/ours.conf; systemctl daemon-reload", host="app2", given=unfit)
        try:
            failed = fleet.run("scale", "web=3", "--app", fleet.app)
        finally:
            fleet.ssh(f"rm -r {place}; systemctl daemon-reload", host="app2")
        assert (failed.code, f"tiny-web@{slot}-3.service" in failed.text) == (2, True), str(failed)
        assert webs(fleet) == dict.fromkeys(APPS, 2)
        assert "web from 2 to 3; it came to nothing" in fleet.ledger()[-1]["reason"]
        told = fleet.begin("status", "--env", "dev").wait().out
        assert "wrong" not in told, told
        assert told.count("scaled      web=2 (1 declared") == len(APPS), told
        answers = [answer for seen in fleet.status()["hosts"].values() for answer in seen["health"]]
        assert all(f"way to {host}" in answers for host in APPS)
        with unreached(fleet, "app3"):
            away = fleet.run("scale", "web=1", "--app", fleet.app)
        assert (away.code, "app3 cannot be reached" in away.text) == (1, True), str(away)
        fewer = fleet.run("scale", "web=declared", "--app", fleet.app)
        assert (fewer.code, webs(fleet)) == (0, dict.fromkeys(APPS, 1)), str(fewer)
        assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}
    prober.served_only(live)


@SCALED
@pytest.mark.parametrize(
    "step", ["Start what is added", "Send the clients to all that run", "Stop what gets no clients"]
)
def test_a_driver_that_is_killed_while_a_fleet_is_scaled_costs_no_request_and_the_same_command_finishes(
    fleet: Fleet, step: str
) -> None:
    live = fleet.settles(2)
    with Prober(fleet, forgiving=True) as prober:
        for wanted, count in (("web=2", 2), ("web=declared", 1)):
            driver = fleet.begin("scale", wanted, "--app", fleet.app, "--env", "dev", "--json")
            assert driver.wait_for_step(step, 60), str(driver.wait())
            driver.kill()
            done = fleet.run("scale", wanted, "--wait", "100", "--app", fleet.app, timeout_s=200)
            assert (done.code, webs(fleet)) == (0, dict.fromkeys(APPS, count)), str(done)
            told = fleet.begin("status", "--env", "dev").wait().out
            assert "wrong" not in told, told
        assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}
    prober.served_only(live)


@SCALED
def test_an_app_host_that_loses_its_power_while_a_fleet_is_scaled_leaves_the_others_as_they_were(fleet: Fleet) -> None:
    live = fleet.settles(2)
    driver = fleet.begin("scale", "web=2", "--app", fleet.app, "--env", "dev", "--json")
    assert driver.wait_for_step("Start what is added", 60), str(driver.wait())
    fleet.cut("app2")
    failed = driver.wait(200)
    try:
        assert (failed.code in (2, 3), "app2" in failed.text) == (True, True), str(failed)
        count = "systemctl list-units --plain --no-legend --state=active 'tiny-web@{}-*.service' | wc -l"
        for host in ("app1", "app3"):
            assert fleet.ssh(count.format(fleet.state(host)["stable"]), host=host) == "1"
        assert fleet.releases() == {live}
    finally:
        fleet.back("app2")
    done = fleet.run("scale", "web=2", "--wait", "100", "--app", fleet.app, timeout_s=200)
    assert (done.code, webs(fleet)) == (0, dict.fromkeys(APPS, 2)), str(done)
    done = fleet.run("scale", "web=declared", "--app", fleet.app)
    assert (done.code, webs(fleet)) == (0, dict.fromkeys(APPS, 1)), str(done)


@REBOOTED
def test_a_fleet_is_rebooted_host_by_host_and_a_host_that_is_not_well_stops_it_with_the_others_serving(
    fleet: Fleet,
) -> None:
    live = fleet.settles(2)
    before = {host: began(fleet, host) for host in (*ENTRIES, *APPS, DATABASE)}
    unit = f"tiny-web@{fleet.state('app2')['stable']}-1.service"
    broken = f"/etc/systemd/system/{unit}.d"
    fleet.ssh(
        f"mkdir {broken} && printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {broken}/x.conf", host="app2"
    )
    try:
        with powered(fleet, *APPS), fleet.settings(release_patch_well_s=15), Prober(fleet, forgiving=True) as prober:
            answer = fleet.run("maintenance.roll", "--reboot", "always", timeout_s=900)
            assert answer.code == 3, str(answer)
            assert "app2 is not well after 15 s" in answer.text, str(answer)
            assert out_of(fleet, "app2")
            told = " ".join(fleet.begin("status", "--env", "dev").wait().out.split())
            assert "app2 gets no clients since" in told, told
            assert "invoke maintenance.roll --env dev" in told, told
    finally:
        fleet.ssh(f"rm -r {broken}; systemctl daemon-reload; systemctl restart {unit}", host="app2")
    prober.served_only(live)
    after = {host: began(fleet, host) for host in before}
    assert {host for host in before if after[host] != before[host]} == {"app1", "app2"}
    answer = fleet.run("maintenance.roll", timeout_s=900)
    assert answer.code == 0, str(answer)
    assert fleet.settles(5) == live
    assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}
    assert not fleet.status()["hosts"]["entry1"]["lock"]["alive"]


def without_answer(prober: Prober) -> list[float]:
    """Return when clients got nothing, in seconds since they began: the maintenance page is an answer."""
    return [float(line.split()[0]) for line in prober.failed if " 503 " not in line]


@ENTRIES_REBOOTED
def test_entries_and_the_database_are_rebooted_in_their_turn_and_one_entry_answers_at_any_time(fleet: Fleet) -> None:
    live = fleet.settles(2)
    every = (*ENTRIES, *APPS, DATABASE)
    before = {host: began(fleet, host) for host in every}
    first, second = (Prober(replace(fleet, turn=cycle([entry])), forgiving=True) for entry in ENTRIES)
    with powered(fleet, *every), first, second:
        answer = fleet.run("maintenance.roll", "--reboot", "always", "--with-database", "--yes", timeout_s=1500)
        assert answer.code == 0, str(answer)
        assert fleet.settles(5) == live
    after = {host: began(fleet, host) for host in every}
    assert [host for host in every if after[host] == before[host]] == []
    gone = [without_answer(prober) for prober in (first, second)]
    assert all(gone), "an entry that reboots answers nobody meanwhile"
    assert max(gone[0]) < min(gone[1]), gone
    for prober in (first, second):
        assert set(prober.releases) == {live}
        assert [line for line in prober.failed if " 503 " in line], "the page, while the database is patched"
    for entry in ENTRIES:
        with fleet.through(entry):
            assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}, entry
    assert not fleet.status()["hosts"]["entry1"]["lock"]["alive"]


@contextmanager
def six_hours_later(fleet: Fleet, host: str) -> Iterator[None]:
    """Let a host's clocks on the wall show that; what counts seconds does not see it."""
    zone = b"TZif" + bytes(16) + struct.pack(">6LlBB", 0, 0, 0, 0, 1, 4, 6 * 3600, 0, 0) + b"SIX\0"
    given, place = base64.b64encode(zone).decode(), "/etc/localtime"
    fleet.ssh(f"cp -P {place} /root/zone.kept; rm -f {place}; base64 -d > {place}", host=host, given=given)
    try:
        yield
    finally:
        fleet.ssh(f"mv -f /root/zone.kept {place} || rm {place}", host=host)


@SCHEDULED
def test_a_schedule_reboots_hosts_in_their_window_alone_and_goes_on_the_next_night_with_whom_it_left(
    fleet: Fleet,
) -> None:
    live, wants = fleet.settles(2), ("app1", "app2", DATABASE)
    before = {host: began(fleet, host) for host in (*ENTRIES, *APPS, DATABASE)}
    for host in wants:
        fleet.ssh("touch /run/reboot-required", host=host)
    now = datetime.fromisoformat(fleet.ssh("date +%FT%T", host="app1"))
    night, later = ("-".join(f"{now + timedelta(hours=hours):%H:%M}" for hours in each) for each in ((-1, 2), (2, 4)))
    words = ("maintenance.roll", "--in-window")
    with powered(fleet, *wants), Prober(fleet, forgiving=True) as prober:
        with fleet.settings(host_updates_window=later):
            lists = fleet.ssh("stat -c %Y /var/lib/apt/lists/partial", host="app1")
            refused = fleet.run(*words)
            assert (refused.code, {*refused.said.get("shut", ())}) == (1, {*before}), str(refused)
            opens = f"opens {now + timedelta(hours=2):%a %Y-%m-%d %H:%M}"
            assert all(opens in why for why in refused.said["shut"].values()), str(refused)
            assert fleet.ssh("stat -c %Y /var/lib/apt/lists/partial", host="app1") == lists
        with fleet.settings(host_updates_window=night):
            driver = fleet.begin(*words, "--env", "dev", "--json")
            assert driver.wait_for_step("Start the host again", 300), str(driver.wait())
            with six_hours_later(fleet, "app2"):
                first = driver.wait(600)
            assert (first.code, first.said.get("unasked"), [*first.said.get("shut", ())]) == (0, {}, ["app2"]), str(
                first
            )
            assert "SIX" in first.said["shut"]["app2"], "by its own clock, which is another one by now"
            assert {host for host in before if began(fleet, host) != before[host]} == {"app1"}
            second = fleet.run(*words, "--with-database", timeout_s=900)
            assert (second.code, second.said["shut"], [*second.said["unasked"]]) == (3, {}, [DATABASE]), str(second)
            third = fleet.run(*words, "--with-database", timeout_s=900)
            assert (third.code, [*third.said["unasked"]]) == (1, [DATABASE]), "nothing else was due"
    prober.served_only(live)
    assert {host for host in before if began(fleet, host) != before[host]} == {"app1", "app2"}
    fleet.ssh("rm /run/reboot-required", host=DATABASE)


@LOSES
def test_an_app_host_without_power_loses_what_was_under_way_alone_and_comes_back_by_itself(fleet: Fleet) -> None:
    live = fleet.settles(2)
    with Prober(fleet) as prober:
        fleet.cut("app3")
        time.sleep(LEFT_OUT_S)
        lost = len(prober.failed)
        time.sleep(LEFT_OUT_S)
        assert len(prober.failed) == lost, f"it is left out by now\n{prober.failed}"
        told = fleet.begin("status", "--env", "dev").wait()
        refused = fleet.deploy(fleet.repository.commit(histories.good("not everywhere")))
        fleet.back("app3")
        after = len(prober.failed)
    assert lost <= LOST, prober.failed
    assert after == lost, prober.failed
    assert "app3 cannot be reached" in told.out, str(told)
    assert told.out.count("app3 does not serve") == len(ENTRIES), str(told)
    assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
    assert "app3 cannot be reached" in refused.text
    assert fleet.settles(10) == live
    assert "app3" in {fleet.version()["host"] for _ in range(TRIES)}


@LOSES
def test_a_host_on_which_the_release_does_not_come_up_sends_every_host_back(fleet: Fleet) -> None:
    before = fleet.settles(2)
    commit = fleet.repository.commit(histories.good("not on the third"))
    with Prober(fleet) as prober, taken(fleet, "app3"):
        answer = fleet.deploy(commit)
        assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
        assert (answer.said["host"], answer.said["step"]) == ("app3", "start"), str(answer)
        assert fleet.settles(2) == before
    prober.served_only(before)
    assert fleet.ledger()[-1]["reason"].startswith("app3: "), "the host that keeps it is another one"
    for host in APPS:
        slot = "green" if fleet.state(host)["stable"] == "blue" else "blue"
        assert "tiny-web" not in fleet.ssh(f"systemctl list-units --plain --state=active 'tiny-web@{slot}*'", host=host)
    again = fleet.deploy(commit)
    assert (again.code, fleet.settles(2)) == (0, again.said["release"]), str(again)


@LOSES
@pytest.mark.picture
def test_on_a_terminal_a_release_that_does_not_come_up_on_the_third_host_is_seen_to_go_back_everywhere(
    fleet: Fleet,
) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good("as the picture shows"))
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    words = [fleet.python, "-m", "ferryman", "deploy", "--env", "dev", "--app", fleet.app, "--ref", commit]
    with taken(fleet, "app3"):
        shown = Terminal(words, fleet.root, environment | fleet.extra, rows=40, columns=drawing.COLUMNS)
        code = shown.wait()
    text = " ".join(shown.text().split())
    assert (code, "✗" in text) == (2, True), text
    assert "deploy to dev failed: app3: " in text, text
    assert fleet.settles(2) == before
    lines = [Text("$ ./invoke deploy --env dev"), *drawing.named(shown.raw, {str(fleet.root): "~/shop"})]
    drawing.keep("fleet-terminal.svg", lines, "~/shop")


@LOSES
@pytest.mark.parametrize("step", ["Start the idle slot", "Send the clients", "Hear of every host"])
def test_a_host_that_is_lost_in_a_step_sends_every_entry_back_and_the_next_run_repairs_it(
    fleet: Fleet, step: str
) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good(f"lost in {step}"))
    with fleet.settings(release_watch_s=2, release_soak_s=2, release_confirm_s=CONFIRM_S):
        driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
        assert driver.wait_for_step(step), str(driver.wait())
        fleet.cut("app3")
        answer = driver.wait()
        assert answer.code in (2, 3), str(answer)
        assert "app3" in answer.text, str(answer)
        assert {fleet.served_by(entry) for entry in ENTRIES} == {before}
        fleet.back("app3")
        assert fleet.settles(CONFIRM_S + 10) == before
        if step == "Start the idle slot":  # later the arbiter's guard may be first, which does not know why
            assert fleet.ledger()[-1]["reason"].startswith("app3"), fleet.ledger()[-1]
        again = fleet.deploy(commit)
    assert (again.code, fleet.settles(2)) == (0, again.said["release"]), str(again)


# Whoever drives is gone


@LOSES
def test_an_entry_that_is_cut_off_from_the_arbiter_is_in_doubt_serves_and_follows_once_it_hears(fleet: Fleet) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good("in doubt"))
    with fleet.settings(release_confirm_s=CONFIRM_S), Journal(fleet) as journal, Prober(fleet) as prober:
        with cut_off(fleet, "entry2", "entry1"):
            driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
            assert journal.wait_for("commit", "done", driver, since=0), str(driver.wait())
            driver.kill()
            deadline = time.monotonic() + CONFIRM_S + 8
            while fleet.state("entry2")["phase"] != "doubt":
                assert time.monotonic() < deadline, fleet.state("entry2")
                time.sleep(0.3)
            told = fleet.begin("status", "--env", "dev").wait().out
            assert fleet.served_by("entry2") == before
        new = fleet.settles(10)
    fleet.run("unlock", "--app", fleet.app, "--yes")
    assert new.endswith(commit[:7]), "what was committed is live on it, too"
    assert "in doubt whether the switch to" in " ".join(told.split()), told
    prober.served_only(before, new)


DEPLOY, ROLLBACK = "deploy", "rollback"


def boundaries(of: str = DEPLOY, *, migrate: bool = False) -> list[str]:
    """Return the tasks of a deploy or a rollback of several hosts, as people see them, or a migration's alone."""
    tasks = yaml.safe_load((paths.CHECKOUT / "roles" / "release" / "tasks" / f"{of}_many.yml").read_text())
    when = "__release_plan.migrate" if migrate else None
    names = [task["name"].rpartition(" | ")[2] for task in tasks if task.get("when") == when]
    return names if migrate or of == ROLLBACK else [*records.BEFORE, *names]


class Case(NamedTuple):
    """What became of a deploy or a rollback (`of`): `fault` came to `host` at a boundary; how the driver ended (None
    where it was killed), whether what was asked for stands before anybody does anything, after how many seconds, and
    requests that were lost."""

    of: str
    at: str
    fault: str
    host: str
    driver: int | None
    new_stands: bool
    settled_s: float
    asked: int
    lost: int


class Asked(NamedTuple):
    """What is asked for: the words, what the release ends with that it leads to, and what its lock is for."""

    words: tuple[str, ...]
    wanted: str
    purpose: str


def asked_for(fleet: Fleet, of: str, at: str, text: str) -> Asked:
    """Return a deploy of a new commit, which migrates where only that has the boundary, or a rollback to the release
    before, also over a difference of the schema."""
    if of == DEPLOY:
        version = histories.migrates if at in boundaries(migrate=True) else histories.good
        with described_otherwise(fleet):
            commit = fleet.repository.commit(version(text))
        return Asked((of, "--ref", commit), commit[:7], f"{of} {commit[:7]}")
    lines = fleet.ledger()
    present = [str(line["release"]) for line in lines if "release" in line]
    target = ledgers.rollback_target(lines, present=present, accept_schema=True)
    return Asked((of, "--accept-schema"), target.id, of)


def ended_at(fleet: Fleet, at: str, fault: str, host: str, delay_s: float, chance: Random, of: str = DEPLOY) -> Case:
    """Have a fault come to a deploy or a rollback at a boundary; see one release everywhere, and that the same command
    finishes."""
    before, known = fleet.settles(2), len(fleet.ledger())
    asked = asked_for(fleet, of, at, f"{fault} {host} at {at}, {time.time_ns()}")
    others = [entry for entry in ENTRIES if (fault, entry) != (POWER, host)]
    with served_through(fleet, others), Prober(fleet, forgiving=fault != DRIVER) as prober:
        driver = fleet.begin(*asked.words, "--env", "dev", "--json")
        assert driver.wait_for_step(at), f"{at} never came\n{driver.wait()}"
        time.sleep(chance.uniform(0, delay_s))
        if fault == DRIVER:
            driver.kill(whole=chance.random() < 0.7)
            code = None
        else:
            with stricken(fleet, fault, host):
                code = driver.wait(240).code
        began = time.monotonic()
        live = fleet.settles(CONFIRM_S + (WITHIN_S if fault == DRIVER else BACK_IN_S))
        settled_s = time.monotonic() - began
        assert live == before or live.endswith(asked.wanted)
        aftermath.told(fleet, known, asked.purpose, live=live, stands=live != before)
        copied(fleet)
        stands = of == ROLLBACK and live != before  # the same words mean the release before that
        patient = not stands and chance.random() < PATIENT
        if not patient:
            fleet.run("unlock", "--app", fleet.app, "--yes")
        if not stands:
            again = fleet.run(*asked.words, *("--wait", "60") * patient, "--app", fleet.app, timeout_s=180)
            assert again.code == 0, f"{fault} {host} at {at}: {again}"
            copied(fleet, whole=again.said["status"] == "live")
        assert fleet.settles(2).endswith(asked.wanted)
    lost = len(prober.failed)
    assert lost <= (LOST if host in APPS and fault in (ARBITER, POWER) else 0), (
        f"{fault} {host} at {at}: {prober.failed}"
    )
    prober.failed.clear()
    prober.served_only(before, *(release for release in prober.releases if release.endswith(asked.wanted)))
    assert [line for line in fleet.ledger() if line.get("status")][-1]["status"] == "live"
    return Case(of, at, fault, host, code, live != before, round(settled_s, 2), prober.asked, lost)


def copied(fleet: Fleet, *, whole: bool = False) -> None:
    """See that every host's copy of the ledger is its beginning, up to a commit; `whole`: up to the last one.

    Who settles by the guard, since his driver is gone, is told of no line: the next run that goes live brings them.
    """
    ledger = fleet.ledger()
    for host, copy in fleet.copies().items():
        assert copy == ledger[: len(copy)], f"{host} has copied something else"
        assert copy[-1]["status"] == "live", f"{host}: {copy[-1]}"
        later = [line["release"] for line in ledger[len(copy) :] if line.get("status") == "live"]
        assert not (whole and later), f"{host} has no copy of the commit of {later}"


@contextmanager
def served_through(fleet: Fleet, entries: list[str]) -> Iterator[None]:
    """Have clients take these entries alone, in turn."""
    before, fleet.turn = fleet.turn, cycle(entries)
    try:
        yield
    finally:
        fleet.turn = before


DRIVER, WAY, ARBITER, POWER = "driver killed", "driver cut off from", "arbiter cut off from", "power lost by"


@contextmanager
def stricken(fleet: Fleet, fault: str, host: str) -> Iterator[None]:
    """Have a host cut off for a while, or lose its power and have it again at once."""
    if fault == WAY:
        with unreached(fleet, host):
            yield
    elif fault == ARBITER:
        with cut_off(fleet, host, ENTRIES[0]):
            yield
    else:
        begin_anew(fleet, host)
        yield


def recorded(soak: Soak, cases: list[Case]) -> None:
    """Keep what became of each, and their sums."""
    soak.record(
        cases=[each._asdict() for each in cases], went_live=sum(each.new_stands for each in cases),
        requests=sum(each.asked for each in cases), failed=sum(each.lost for each in cases), confirm_s=CONFIRM_S,
        settled_max_s=max(each.settled_s for each in cases), hosts=len(fleets.HOSTS),
    )  # fmt: skip


@KILLED
@pytest.mark.soak
def test_soak_fleet_kills(fleet: Fleet, soak: Soak) -> None:
    """A driver killed at any boundary of a deploy or a rollback leaves one release; the same command again finishes."""
    chance, every = soak.random(), [*boundaries(), *boundaries(migrate=True)]
    back = boundaries(ROLLBACK)
    with fleet.settings(release_confirm_s=CONFIRM_S):
        delays = (0.0, 0.7, 1.4)[: soak.times(sample=1, full=3)]
        there = [(DEPLOY, s, at) for s in delays for at in chance.sample(every, soak.times(sample=2, full=len(every)))]
        ways = [(ROLLBACK, s, at) for s in delays for at in chance.sample(back, soak.times(sample=1, full=len(back)))]
        turns = [each for pair in zip_longest(there, ways) for each in pair if each]
        cases = [ended_at(fleet, at, DRIVER, "", delay_s, chance, of) for of, delay_s, at in soak.turns(turns)]
    assert [each for each in cases if each.lost] == []
    recorded(soak, cases)


@KILLED
def test_a_migration_goes_on_without_the_driver_that_is_killed_meanwhile_and_the_next_deploy_finishes_at_its_schema(
    fleet: Fleet,
) -> None:
    assert fleet.deploy(fleet.repository.commit(histories.good("before it migrates"))).code == 0
    before, known = fleet.settles(2), len(fleet.ledger())
    commit = fleet.repository.commit(histories.migrates("migrates while it is killed", sleep_s=MIGRATES_S))
    runs = f"systemctl show -P ActiveState {fleet.app}-migrate.service"
    with described_otherwise(fleet), Prober(fleet) as prober:
        driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
        assert driver.wait_for_step("Migrate it, once"), str(driver.wait())
        ends = time.monotonic() + 10
        while fleet.ssh(runs, host=APPS[0]) != "activating":
            assert time.monotonic() < ends, "no migration has begun"
        driver.kill()
        assert fleet.ssh(runs, host=APPS[0]) == "activating", "it goes on"
        assert fleet.settles(2) == before
        purpose = f"deploy {commit[:7]}"
        assert aftermath.told(fleet, known, purpose, live=before, stands=False) == "unfinished"
        ends = time.monotonic() + MIGRATES_S
        while fleet.ssh(runs, host=APPS[0]) != "inactive":
            assert time.monotonic() < ends, "the migration does not end"
            time.sleep(0.3)
        schema = fleet.ssh(f"tail -n 1 /srv/{fleet.app}/shared/state/schema", host=APPS[0])
        assert schema, "it went to its end"
        assert fleet.settles(2) == before
        fleet.run("unlock", "--app", fleet.app, "--yes")
        back = fleet.begin("rollback", "--env", "dev", "--json").wait()
        assert (back.code, "schema" in back.text) == (1, True), "what is gone back to never saw it"
        again = fleet.deploy(commit)
        assert again.code == 0, str(again)
        new = fleet.settles(2)
        assert new.endswith(commit[:7])
    prober.served_only(before, new)
    assert ledgers.story(fleet.ledger()).schema == schema
    assert fleet.ssh(f"tail -n 1 /srv/{fleet.app}/shared/state/schema", host=APPS[0]) == schema, "it ran once"
    copied(fleet, whole=True)


FAULTS: dict[str, tuple[str, ...]] = {WAY: fleets.HOSTS, ARBITER: fleets.HOSTS[1:], POWER: fleets.HOSTS}
"""What strikes a host but the driver's death, and which hosts it can strike."""


def spread(of: str, rounds: int, chance: Random) -> list[tuple[str, str, str, str]]:
    """Return deploys or rollbacks (`of`) by boundary, fault and host, in an order of their own.

    Each boundary sees one fault a round, the kinds in turn, and each time another host than before.
    """
    hosts = {fault: cycle(chance.sample(some, len(some))) for fault, some in FAULTS.items()}
    kinds, places = islice(cycle(FAULTS), rounds), boundaries(of)
    every = [(of, at, fault, next(hosts[fault])) for fault in kinds for at in places]
    return chance.sample(every, len(every))


@STRICKEN
@pytest.mark.soak
def test_soak_fleet_faults(fleet: Fleet, soak: Soak) -> None:
    """Cuts and losses of power, six at each boundary: one release stands; a lost app host takes three requests at most.

    It is cut off from the arbiter or loses its power; no other fault costs any.
    Over a soak each boundary of a deploy sees each kind of fault twice, each boundary of a rollback once.
    """
    chance = soak.random()
    there, back = spread(DEPLOY, 6, chance), spread(ROLLBACK, 3, chance)
    struck = [there[: soak.times(sample=1, full=len(there))], back[: soak.times(sample=1, full=len(back))]]
    turns = [each for pair in zip_longest(*struck) for each in pair if each]
    with fleet.settings(release_confirm_s=CONFIRM_S):
        cases = [ended_at(fleet, at, fault, host, 1.0, chance, of) for of, at, fault, host in soak.turns(turns)]
    recorded(soak, cases)


# Stages


@dataclass
class Clients:
    """Clients of each entry whose buckets are known, asking in turn what is served; `seen` holds releases in order."""

    fleet: Fleet
    buckets: tuple[int, ...]
    seen: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)
    """The entries at which two clients had two releases in one round."""

    def ask(self) -> None:
        for entry in ENTRIES:
            got = []
            with self.fleet.through(entry):
                for bucket in self.buckets:
                    connection = self.fleet.connect()
                    cookie = {"Cookie": f"ferryman_tiny_bucket={bucket:02d}"}
                    connection.request("GET", "/version", headers={"Connection": "close", **cookie})
                    got.append(json.loads(connection.getresponse().read())["release"])
                    connection.close()
                    history = self.seen.setdefault((entry, bucket), [])
                    history += [got[-1]] if history[-1:] != [got[-1]] else []
            self.apart |= {entry} if len({*got}) > 1 else set()


@IN_STAGES
def test_a_release_gets_its_clients_in_stages_and_nobody_is_moved_twice(fleet: Fleet) -> None:
    before, clients = fleet.settles(2), Clients(fleet, (5, 45, 95))
    commit = fleet.repository.commit(histories.good("in stages"))
    stages = [{"share": 20, "for_s": 3}, {"share": 60, "for_s": 3}]
    limits = {"least_clients": 0}  # these clients come from one address
    with fleet.settings(release_stages=stages, release_limits=limits, release_confirm_s=CONFIRM_S):
        driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
        while driver.process.poll() is None:
            clients.ask()
        answer = driver.wait()
    assert answer.code == 0, str(answer)
    new = fleet.settles(2)
    assert clients.apart == {*ENTRIES}, "each entry had clients of both releases"
    clients.ask()
    assert set(map(tuple, clients.seen.values())) == {(before, new)}
    told = [each for each in fleet.journal() if each["run"] == fleet.ledger()[-1]["run"] and each["step"] == "share"]
    assert [(each["result"], each["detail"]["percent"]) for each in told] == [
        ("started", 20), ("done", 20), ("started", 60), ("done", 60),
    ]  # fmt: skip


@IN_STAGES
def test_a_stage_is_told_as_under_way_and_whoever_interrupts_it_has_every_entry_go_back(fleet: Fleet) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.good("interrupted in a stage"))
    # Longer than a command is waited for: who went back only at the end of the stage would be found.
    stages = fleet.settings(release_stages=[{"share": 20, "for_s": 600}], release_confirm_s=CONFIRM_S)
    with stages, Journal(fleet) as journal, Prober(fleet) as prober:
        driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
        assert journal.wait_for("share", "started", driver, since=0), str(driver.wait())
        told = fleet.begin("status", "--env", "dev").wait().out
        os.killpg(driver.process.pid, signal.SIGINT)
        answer = driver.wait()
        assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
        assert fleet.settles(2) == before
    assert (told.count("not confirmed yet"), "wrong" in told) == (len(ENTRIES + APPS), False), told
    prober.served_only(before, *(release for release in prober.releases if release.endswith(commit[:7])))


@IN_STAGES
def test_a_release_that_fails_clients_of_one_entry_is_brought_back_on_both_at_once(fleet: Fleet) -> None:
    before, commit = fleet.settles(2), fleet.repository.commit(histories.shop("fails its clients", errors=0.9))
    with fleet.settings(release_stages=[{"share": 20, "for_s": 60}], release_confirm_s=CONFIRM_S):
        began = time.monotonic()
        with Visitors(fleet, host="entry2") as visitors, Visitors(fleet, host="entry1", path="/version") as content:
            answer = fleet.deploy(commit)
            time.sleep(BACK_S)
    assert time.monotonic() - began < 45, "the other entry did not wait for the end of the stage"
    assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
    assert "The new release fails more" in answer.text
    assert fleet.settles(2) == before
    (line,) = [
        each
        for each in fleet.ledger()
        if (each.get("release", "")[-7:], each.get("status")) == (commit[:7], "returned")
    ]
    assert line["tried"], "it was found unwell: a rollback leaves it out"
    assert line["verdicts"][-1]["rule"] == "errors"
    over = line["verdicts"][-1]["at"] + BACK_S
    assert [each for each in visitors.failures if each["at"] > over] == []
    assert content.failures == [], "nothing was wrong with the release there"
    for entry in (visitors, content):
        assert 0 < entry.latest[line["release"]] < over, "nobody is on it any more, whichever entry he came to"


@CANARIES
@pytest.mark.soak
def test_soak_fleet_canaries(fleet: Fleet, soak: Soak) -> None:
    """Bad releases of six kinds are brought back by themselves on both entries, good ones go through."""
    with fleet.settings(**canaries.SETTINGS, release_confirm_s=60):  # two crowds and six hosts on one machine
        figures = canaries.count(fleet, soak, ENTRIES)
    soak.record(hosts=len(fleets.HOSTS), **figures)


# After the commit


POOL = {"name": "pool", "path": "/metrics", "prometheus": 'pool_free{db="main"}', "at_least": 1}


@contextmanager
def turned_bad(fleet: Fleet, version: histories.Version, name: str) -> Iterator[str]:
    """Deploy a version in stages, which then is as bad as a shared file of that name has it; return its release."""
    stages = fleet.settings(
        release_stages=[{"share": 50, "for_s": 3}], release_limits={"least_clients": 0, "errors_back_s": 60}
    )
    with stages:
        answer = fleet.deploy(fleet.repository.commit(version))
    assert (answer.code, answer.said.get("watched_s")) == (0, 300), str(answer)
    switch = f"/srv/{fleet.app}/shared/{name}"
    try:
        for host in APPS:
            fleet.ssh(f"touch {switch}", host=host)
        yield answer.said["release"]
    finally:
        for host in APPS:
            fleet.back(host)  # whatever was done to it meanwhile
            fleet.ssh(f"rm -f {switch}", host=host)


@contextmanager
def described_otherwise(fleet: Fleet) -> Iterator[None]:
    """Let the application's description be another one until then."""
    file = fleet.repository.path / "ferryman.yml"
    before = file.read_text()
    try:
        yield
    finally:
        file.write_text(before)


def brought_back(fleet: Fleet, before: str, within_s: float) -> dict[str, Any]:
    """Wait until the arbiter has brought back a release with nobody there; return the ledger's line."""
    deadline = time.monotonic() + within_s
    while True:
        line = fleet.ledger()[-1]
        if (line.get("event"), line.get("status")) == ("rollback", "live"):
            assert (line["release"], line["who"]) == (before, "guard")
            return line
        assert time.monotonic() < deadline, fleet.ledger()[-2:]
        time.sleep(0.5)


@BROUGHT_BACK
def test_a_release_that_turns_bad_once_it_is_live_is_brought_back_on_both_entries_with_nobody_there(
    fleet: Fleet,
) -> None:
    """Clients of one entry alone come and see it; the other one is the arbiter, which hears of that and decides."""
    before = fleet.settles(2)
    bad = histories.shop("well, until it is live", errors=0.9, once="bad")
    with turned_bad(fleet, bad, "bad") as release, Visitors(fleet, host="entry2") as visitors:
        line = brought_back(fleet, before, 200)
        assert fleet.settles(FOLLOWS_S) == before
        time.sleep(BACK_S)
    (verdict,) = line["verdicts"]
    assert (verdict["rule"], verdict["share"], line["previous"]) == ("many_errors", 1.0, release)
    assert verdict["arms"]["new"]["failed"] > 100, "which are the other entry's"
    late = [each for each in visitors.failures if each["at"] > verdict["at"] + FOLLOWS_S]
    assert not late, late
    assert line["reason"].startswith("it turned bad once it was live: ")
    why = fleet.run("release.why", release, "--app", fleet.app).said
    assert [run["who"] for run in why["runs"]][-1] == "guard"
    assert fleet.run("status").code == 0, "nothing is left to be mended"
    assert fleet.good("mended") == fleet.settles(2), "nobody holds the lock"


@BROUGHT_BACK
def test_an_entry_that_is_cut_off_goes_on_serving_and_goes_back_with_the_others_once_it_hears(fleet: Fleet) -> None:
    worker = {"worker": {"kind": "worker", "command": "python tiny.py worker", "stop_timeout_s": 2}}
    described = {"metrics": [POOL], "processes": worker}
    bad = histories.pool_runs_dry("well, until it is live and one entry cut off", pool="dry")
    with described_otherwise(fleet):
        commit = fleet.repository.commit(histories.Version("works", description=described))
        before = fleet.deploy(commit).said["release"]
        with Prober(fleet) as prober, turned_bad(fleet, bad, "dry") as release:
            with cut_off(fleet, "entry2", "entry1"):
                brought_back(fleet, before, 120)
                assert fleet.served_by("entry1") == before
                assert (fleet.served_by("entry2"), fleet.state("entry2")["phase"]) == (release, "stable")
                told = " ".join(fleet.begin("status", "--env", "dev").wait().out.split())
                assert f"it has {release} for live, and the arbiter {before}: it asks" in told, told
            assert fleet.settles(FOLLOWS_S) == before
    prober.served_only(before, release)
    slot = fleet.state("entry1")["stable"]
    running = "systemctl list-units --plain --no-legend --state=active 'tiny-worker@*' | cut -d ' ' -f 1"
    assert {fleet.ssh(running, host=host) for host in APPS} == {f"tiny-worker@{slot}-1.service"}


@BROUGHT_BACK
def test_an_app_host_that_has_no_power_when_a_release_is_brought_back_comes_up_with_the_one_before(
    fleet: Fleet,
) -> None:
    before = fleet.good("well, with all hosts there")
    bad = histories.pool_runs_dry("well, until it is live and a host away", pool="dry")
    described = histories.Version(bad.text, bad.behaviour, description={"metrics": [POOL]})
    with described_otherwise(fleet), turned_bad(fleet, described, "dry"):
        fleet.cut("app3")
        brought_back(fleet, before, 120)
        deadline = time.monotonic() + FOLLOWS_S
        while fleet.releases() != {before}:
            assert time.monotonic() < deadline, "the other entry does not follow"
        fleet.back("app3")
        assert fleet.settles(60) == before
        deadline = time.monotonic() + BACK_IN_S
        while "app3" not in {fleet.version()["host"] for _ in range(TRIES)}:
            assert time.monotonic() < deadline, "the entries do not send it clients again"
    assert fleet.run("status").code == 0
