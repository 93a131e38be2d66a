"""Deploys and rollbacks under constant load lose no request: broken connections and cut uploads count.

Requirements: REL-3.
"""

import asyncio
import time

import pytest
from tests.conftest import Soak
from tests.support.histories import crashes, good
from tests.support.load import Load, there_and_back
from tests.support.site import Site

DRAIN_S = 8.0


@pytest.mark.soak
def test_soak_load(site: Site, soak: Soak) -> None:
    """Ten deploys and ten rollbacks lose no request of fifty clients."""
    rounds = soak.times(sample=2, full=10)
    took: list[list[float]] = []

    def move_clients() -> None:
        took.extend(there_and_back(site, range(rounds)))

    load = Load(site, soak.seed)
    # Longer than an upload takes: until then the slot that clients have left is not used for anything else.
    with site.settings(release_drain_s=load.upload_s * 2):
        asyncio.run(load.during(move_clients))
    deploys, rollbacks = took
    soak.record(
        deploys=len(deploys),
        rollbacks=len(rollbacks),
        clients=load.kept + load.fresh + load.uploads,
        requests=load.requests,
        connections=load.connections,
        uploads_10mb=load.sent,
        uploads_during_a_switch=load.straddled(),
        failed=len(load.failed),
        p95_ms=load.p95_ms(),
        deploy_max_s=max(deploys),
        rollback_max_s=max(rollbacks),
    )
    assert load.failed == []
    assert load.requests > 1000
    assert load.straddled() >= rounds


@pytest.mark.at_times(journey="an upload that is waited for")
def test_a_deploy_waits_for_an_upload_that_may_still_go_to_its_slot_and_where_there_is_none_for_nothing(
    site: Site,
) -> None:
    with site.settings(release_drain_s=60):
        site.good("just left")
        at_once = site.deploy(site.repository.commit(good("nothing was under way")))
        assert at_once.code == 0, str(at_once)
        assert at_once.said["drained_s"] < 30, str(at_once)
        assert "waiting" not in at_once.err
        upload = site.connect(timeout_s=60)
        upload.putrequest("POST", "/upload")
        upload.putheader("Content-Length", "8")
        upload.endheaders(b"half")
        commit = site.repository.commit(crashes())
        driver = site.begin("deploy", "--env", "dev", "--app", site.app, "--ref", commit, "--json")
        assert driver.wait_for_step("Stage"), str(driver.wait())
        assert any("waiting up to" in line and "uploads" in line for line in driver.lines), driver.lines
        time.sleep(3)
        started = [line for line in site.journal() if line["step"] == "start" and line["result"] == "started"]
        assert not started[-1]["release"].endswith(commit[:7]), "its slot is left alone"
        upload.send(b"done")
        assert upload.getresponse().status == 201
        failed = driver.wait()
    assert (failed.code, failed.said["status"]) == (2, "failed"), str(failed)
    assert 1 < failed.said["drained_s"] < 60, failed.said
    assert "(it waited" in failed.said["error"], failed.said["error"]


@pytest.mark.at_times(journey="websockets over updates")
def test_websockets_live_on_over_an_update_until_their_slot_is_wanted_and_drained_and_are_told_that_it_goes(
    site: Site,
) -> None:
    old = site.good("has websockets")
    load = Load(site, 1, kept=0, fresh=0, uploads=0, sockets=3)

    def update_twice() -> None:
        new = site.good("comes, and they stay where they are")
        left = time.monotonic()
        time.sleep(DRAIN_S / 4)
        assert ({*load.heard}, load.went_away) == ({old}, 0)
        assert load.heard[old] > left, "they talk with the process to which they were opened"
        site.good("wants the slot of theirs")
        assert load.went_away == 3
        assert load.heard[old] - left > DRAIN_S / 2, "they were not cut off at once"
        assert {*load.heard} <= {old, new, site.served()}

    with site.settings(release_drain_s=DRAIN_S, release_warm_s=300):
        asyncio.run(load.during(update_twice))
    assert load.failed == []
