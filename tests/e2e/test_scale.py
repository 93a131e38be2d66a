"""More processes and fewer without a deploy: nobody loses a request, and what was said stays said.

Requirements: ENV-4.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.driving import READY_S, Answer
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import ENV, Site
from tests.support.visitors import Visitors

pytestmark = pytest.mark.at_times(journey="scaling")
WORKER = {"worker": {"kind": "worker", "command": "python tiny.py worker", "stop_timeout_s": 2}}
DESCRIBED = {**WORKER, "web": {"instances_max": 4}}
UNFIT = "[Unit]\nAssertPathExists=/nowhere\n"
SLOW = 8
"""Requests that are under way while processes go."""
ASKED = 40
"""Requests after which each process has had its turn, of each of nginx's workers."""


@pytest.fixture
def site(site: Site) -> Iterator[Site]:
    """The site with a worker, at most four web processes, and a drain that ends what is under way."""
    with site.settings(release_drain_s=15):
        answer = site.deploy(site.repository.commit(good("to be scaled", processes=DESCRIBED)))
        assert answer.code == 0, str(answer)
        yield site
        back = scale(site, "web=declared", "worker=declared")
    assert back.code == 0, str(back)


def scale(site: Site, *words: str) -> Answer:
    return site.run("scale", "--app", site.app, *words)


def running(site: Site) -> list[str]:
    """Return the processes that run in the slot that serves, as process and number."""
    slot = site.version()["slot"]
    told = site.ssh(f"systemctl list-units --plain --no-legend --state=active '{site.app}-*@{slot}-*.service'")
    units = re.findall(rf"{site.app}-([a-z]+)@{slot}-(\d+)\.service", told)
    return sorted(f"{name} {number}" for name, number in units if name in ("web", "worker"))


def reached(site: Site) -> int:
    """Return how many processes get clients now, by what the entry wrote down of them."""
    for _ in range(ASKED):
        assert site.get()[0] == 200
    log = site.ssh(f"tail -n {ASKED} /var/log/nginx/ferryman/{site.app}.access.json")
    return len({json.loads(line)["upstream"] for line in log.splitlines()})


def test_nobody_loses_a_request_while_processes_come_and_go_and_a_deploy_and_a_rollback_keep_them(
    site: Site,
) -> None:
    first = site.served()
    with Prober(site, forgiving=True) as prober, Visitors(site, rps=30) as visitors:
        more = scale(site, "web=4", "worker=2")
        assert (more.code, more.said["instances"], more.said["was"]) == (
            0,
            {"web": 4, "worker": 2},
            {"web": 1, "worker": 1},
        ), str(more)
        assert running(site) == ["web 1", "web 2", "web 3", "web 4", "worker 1", "worker 2"]
        assert reached(site) == 4
        again = scale(site, "web=4", "worker=2")
        assert (again.code, again.said["changed"]) == (0, False), str(again)
        second = site.good("while it is scaled")
        assert running(site) == ["web 1", "web 2", "web 3", "web 4", "worker 1", "worker 2"]
        back = site.rollback()
        assert (back.code, site.served()) == (0, first), str(back)
        assert len(running(site)) == 6
        with ThreadPoolExecutor(SLOW) as clients:
            slow = [clients.submit(site.get, "/slow?s=4", 20) for _ in range(SLOW)]
            fewer = scale(site, "web=2", "worker=1")
            assert (fewer.code, all(fewer.said["emptied"].values())) == (0, True), str(fewer)
            assert [each.result()[0] for each in slow] == [200] * SLOW
        assert running(site) == ["web 1", "web 2", "worker 1"]
        assert reached(site) == 2
    prober.served_only(first, second)
    assert visitors.asked > 100
    assert visitors.failures == []
    told = [line for line in site.ledger() if line["event"] == "scale"]
    assert [line["reason"] for line in told[-2:]] == [
        "web from 1 to 4, worker from 1 to 2",
        "web from 4 to 2, worker from 2 to 1",
    ]
    listed = " ".join(site.begin("releases", "--env", ENV, "--app", site.app).wait().out.split())
    assert "scaled web from 4 to 2, worker from 2 to 1" in listed


def test_a_boot_and_provisioning_keep_what_was_said_and_status_tells_who_said_it(site: Site) -> None:
    assert scale(site, "web=3", "worker=2").code == 0
    site.reboot()
    assert running(site) == ["web 1", "web 2", "web 3", "worker 1", "worker 2"]
    provisioned = site.run("provision", timeout_s=READY_S)
    assert provisioned.code == 0, str(provisioned)
    assert reached(site) == 3
    shown = " ".join(site.begin("status", "--env", ENV, "--app", site.app).wait().out.split())
    assert re.search(r"scaled web=3 \(1 declared; \S+@\S+, \S+Z\), worker=2 \(1 declared", shown), shown
    assert "wrong" not in shown
    other = scale(site, "web=declared")
    assert (other.code, running(site)) == (0, ["web 1", "worker 1", "worker 2"]), str(other)
    assert reached(site) == 1


def test_what_cannot_be_is_refused_with_all_its_reasons_and_nothing_is_touched(site: Site) -> None:
    before, known = running(site), len(site.ledger())
    ports = json.loads(site.ssh(f"cat /etc/ferryman/sites/{site.app}/ports.json"))["ports"]["web"]
    wrong = scale(site, "web=5", "nightly2=2")
    assert wrong.code == 1, str(wrong)
    assert "web=5 is out of bounds: at least 1 (instances_min), at most 4 (instances_max)" in wrong.text
    assert "'nightly2' is no process that can be scaled (web, worker)" in wrong.text
    with site.inventory(processes={"web": {"instances_max": 2}}):
        narrow = scale(site, "web=3")
    assert (narrow.code, "at most 2 (instances_max)" in narrow.text) == (1, True), str(narrow)
    taken = ports[site.version()["slot"]][2]
    site.ssh(f"systemd-run --quiet --unit=squatter python3 -m http.server {taken} --bind 127.0.0.1")
    site.ssh(f"timeout 20 bash -c 'until (echo > /dev/tcp/127.0.0.1/{taken}) 2>/dev/null; do sleep 0.1; done'")
    try:
        there = scale(site, "web=3")
    finally:
        site.ssh("systemctl stop squatter")
    assert (there.code, f"somebody else listens on port {taken}" in there.text) == (1, True), str(there)
    would = scale(site, "web=2", "--check")
    assert (would.code, would.said["check"]) == (0, True), str(would)
    assert any("web@" in did and "started" in did for each in would.said["changes"] for did in each["did"]), str(would)
    assert (running(site), len(site.ledger()), site.arbiter()["lock"]["held"]) == (before, known, False)
    with site.settings(release_soak_s=10):
        driver = site.begin("deploy", "--env", ENV, "--app", site.app, "--ref", site.repository.commit(good("at work")))
        assert driver.wait_for_step("Stage")
        held = scale(site, "web=2")
        assert driver.wait().code == 0
    assert (held.code, "holds the lock" in held.text) == (1, True), str(held)


def test_a_process_that_does_not_come_up_gets_no_client_and_none_of_the_new_ones_stays(
    site: Site, prober: Prober
) -> None:
    before, slot = running(site), site.version()["slot"]
    place = f"/etc/systemd/system/{site.app}-web@{slot}-3.service.d"
    site.ssh(f"mkdir -p {place}; cat > {place}/ours.conf; systemctl daemon-reload", given=UNFIT)
    try:
        failed = scale(site, "web=3")
    finally:
        site.ssh(f"rm -r {place}; systemctl daemon-reload")
    assert failed.code == 2, str(failed)
    assert f"{site.app}-web@{slot}-3.service" in failed.text
    assert (running(site), site.arbiter()["lock"]["held"]) == (before, False)
    assert "it came to nothing" in site.ledger()[-1]["reason"]
    assert "wrong" not in site.begin("status", "--env", ENV, "--app", site.app).wait().out
    prober.served_only(site.served())
    assert scale(site, "web=3").code == 0
    narrow = site.deploy(site.repository.commit(good("narrower", processes={"web": {"instances_max": 2}})))
    assert (narrow.code, "web=3 is out of bounds" in narrow.text) == (1, True), str(narrow)
    assert "scale web=declared" in narrow.text
    site.repository.commit(good("wide again", processes=DESCRIBED))
