"""Deploys and rollbacks under constant load lose no request: broken connections and cut uploads count."""

import asyncio

import pytest
from tests.conftest import Soak
from tests.support.histories import good
from tests.support.load import Load
from tests.support.site import Site


@pytest.mark.soak
def test_soak_load(site: Site, soak: Soak) -> None:
    """Ten deploys and ten rollbacks lose no request of fifty clients."""
    rounds = soak.times(sample=2, full=10)
    deploys, rollbacks = [], []

    def move_clients() -> None:
        for number in range(rounds):
            answer = site.deploy(site.repository.commit(good(f"under load, {number}")))
            assert answer.code == 0, str(answer)
            deploys.append(answer.said["duration_s"])
            back = site.rollback()
            assert back.code == 0, str(back)
            assert back.said["release"] != answer.said["release"]
            rollbacks.append(back.said["duration_s"])

    load = Load(site, soak.seed)
    # Longer than an upload takes: until then the slot that clients have left is not used for anything else.
    with site.settings(release_drain_s=load.upload_s * 2):
        asyncio.run(load.during(move_clients))
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
