"""A fleet under half of the load that it bears: deploys, rollbacks, and reboots host by host, and what clients lose.

Requirements: REL-3, MAINT-1.
"""

import asyncio
from collections.abc import Callable

import pytest
from tests.conftest import Soak
from tests.support.fleet import APPS, Fleet, began, powered
from tests.support.load import Load, borne, there_and_back

pytestmark = pytest.mark.at_times(journey="a fleet under load")

DRAIN_S = 26.0  # the longest answer takes 20 s
WARM_S = 20.0
MEASURED_S = 8.0
TALK_S = 40.0
REBOOT_TALK_S = 300.0
"""Long enough for a websocket to see the end of the host that it leads to, whose drain it outlives."""


def loaded(
    fleet: Fleet, soak: Soak, work: Callable[[], None], *, talk_s: float = TALK_S, forgiving: bool = False
) -> dict[str, float]:
    """Do something while clients of all kinds ask for half of what the fleet bears; return what they saw."""
    bears = borne(fleet, soak.seed, MEASURED_S)
    load = Load(fleet, soak.seed, kept=24, fresh=10, uploads=4, slow=6, sockets=6, talk_s=talk_s, forgiving=forgiving)
    load.think(bears / 2)
    asyncio.run(load.during(work))
    assert load.failed == []
    assert min(load.sent, load.answered_late, load.talked) > 0
    return {
        "bears_per_s": round(bears), "asked_per_s": round(bears / 2), "requests": load.requests,
        "connections": load.connections, "uploads_10mb": load.sent, "uploads_during_a_switch": load.straddled(),
        "answers_after_20s": load.answered_late, "websocket_messages": load.talked,
        "websockets_going_away": load.went_away, "failed": len(load.failed), "p95_ms": load.p95_ms(),
    }  # fmt: skip


@pytest.mark.soak
def test_soak_fleet_load(fleet: Fleet, soak: Soak) -> None:
    """Twenty deploys and rollbacks of a fleet, and reboots of its app hosts, lose nothing at half of what it bears.

    Websockets are open all the time, and end by the application's word alone, that it is going away.
    """
    rounds = soak.times(sample=1, full=20)
    took: list[list[float]] = []

    def move_clients() -> None:
        took.extend(there_and_back(fleet, soak.turns(range(rounds))))

    with fleet.settings(release_drain_s=DRAIN_S, release_warm_s=WARM_S):
        moved = loaded(fleet, soak, move_clients)
    deploys, rollbacks = took
    assert moved["uploads_during_a_switch"] >= rounds
    with fleet.settings(release_drain_s=DRAIN_S):
        rebooted = loaded(fleet, soak, lambda: reboot(fleet), talk_s=REBOOT_TALK_S, forgiving=True)
    assert not soak.full or moved["websockets_going_away"] > 0
    assert rebooted["websockets_going_away"] > 0
    soak.record(
        deploys=len(deploys), rollbacks=len(rollbacks), clients=50, **moved, deploy_max_s=max(deploys),
        rollback_max_s=max(rollbacks), reboots={"hosts": len(APPS), **rebooted},
    )  # fmt: skip


def reboot(fleet: Fleet) -> None:
    """Have every app host patched and rebooted in its turn."""
    before = {host: began(fleet, host) for host in APPS}
    for host in APPS:
        fleet.ssh("touch /run/reboot-required", host=host)
    with powered(fleet, *APPS):
        answer = fleet.run("maintenance.roll", timeout_s=900)
    assert answer.code == 0, str(answer)
    assert not [host for host in APPS if began(fleet, host) == before[host]]
