"""Two entries, three app hosts and a database as one environment: what each may reach, and what clients get."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import fleet as fleets
from tests.support import histories
from tests.support import site as sites
from tests.support.fleet import APPS, DATABASE, ENTRIES, PASSWORD, Fleet
from tests.support.pages import blocks
from tests.support.prober import Prober

from ferryman import paths

TRIES = 30  # of a client, by which each of three hosts has its turn

OPEN = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    print("open")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with a first release. FERRYMAN_TEST_FLEET names a directory that keeps it from run to run."""
    sites.sweep()
    kept = os.environ.get("FERRYMAN_TEST_FLEET")
    if kept and (Path(kept) / "inventories").is_dir():
        yield fleets.found(Path(kept))
        return
    root = Path(kept) if kept else tmp_path_factory.mktemp("fleet")
    made = fleets.lay_out(root, root.name if kept else f"{sites.PREFIX}-fleet-{os.getpid()}")
    try:
        fleets.up(made)
        yield made
    finally:
        if not kept:
            fleets.down(made)


@pytest.fixture
def fleet(whole: Fleet) -> Fleet:
    """The fleet with one good release live everywhere, and nobody at work."""
    if any(whole.state(host)["phase"] != "stable" for host in (*ENTRIES, *APPS)):
        whole.run("unlock", "--app", whole.app, "--yes")
        whole.good("mended")
    return whole


def reaches(fleet: Fleet, host: str, there: str, port: int) -> bool:
    """Say whether a host gets through to a port of another."""
    told = fleet.ssh(f"python3 - {fleet.addresses[there]} {port}", host=host, given=OPEN)
    return told == "open"


def web_port(fleet: Fleet, host: str) -> int:
    """Return the port on which the live release answers on an app host."""
    ports = json.loads(fleet.ssh(f"cat /etc/ferryman/sites/{fleet.app}/ports.json", host=host))
    assert ports["address"] == fleet.addresses[host]
    return int(ports["ports"]["web"][fleet.state(host)["stable"]][0])


def test_every_host_has_one_release_and_either_entry_serves_all_app_hosts(fleet: Fleet) -> None:
    live = fleet.settles(2)
    for entry in ENTRIES:
        with fleet.through(entry):
            assert {fleet.version()["host"] for _ in range(TRIES)} == {*APPS}, entry
            assert {fleet.version()["release"] for _ in range(TRIES)} == {live}


def test_application_processes_are_open_to_the_entries_alone(fleet: Fleet) -> None:
    port = web_port(fleet, "app1")
    seen = {host: reaches(fleet, host, "app1", port) for host in (*ENTRIES, "app2", DATABASE)}
    assert seen == {**dict.fromkeys(ENTRIES, True), "app2": False, DATABASE: False}


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


def test_an_update_and_a_rollback_lose_no_request_on_either_entry(fleet: Fleet) -> None:
    before = fleet.settles(2)
    with Prober(fleet) as prober:
        new = fleet.good("on all hosts")
        assert fleet.settles(2) == new
        answer = fleet.rollback()
        assert answer.code == 0, str(answer)
        assert fleet.settles(2) == before
    prober.served_only(before, new)


def test_a_deploy_of_what_is_live_changes_nothing(fleet: Fleet) -> None:
    answer = fleet.deploy(fleet.good("as it is")[-7:])
    assert (answer.code, answer.said["status"], answer.said["changed"]) == (0, "unchanged", False), str(answer)


def test_the_guides_commands_say_that_all_is_well(fleet: Fleet) -> None:
    page = paths.CHECKOUT / "docs" / "guides" / "fleet.md"
    made, deployed, *looks = [line for block in blocks(page, "sh") for line in block.lines]
    assert ("env.new" in made, "deploy" in deployed, len(looks)) == (True, True, 2), "by the first two it came up"
    for line in looks:
        answer = fleet.begin(*fleets.words(line)).wait()
        assert answer.code == 0, str(answer)
        assert "wrong" not in answer.out, answer.out
    assert all(f"{entry} way to {app}" in answer.out for entry in ENTRIES for app in APPS), answer.out


def test_a_plan_names_the_hosts_of_each_step(fleet: Fleet) -> None:
    answer = fleet.run("plan", "--app", fleet.app, "--ref", fleet.repository.commit(histories.good("planned")))
    steps = {each["step"]: each["hosts"] for each in answer.said["steps"]}
    assert sorted(steps["switch"]) == sorted((*ENTRIES, *APPS)), str(answer)
    assert sorted(steps["start"]) == sorted(APPS)
    assert steps["commit"] == [ENTRIES[0]]
    assert answer.said["refused"] == []
