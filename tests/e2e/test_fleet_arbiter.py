"""The host that keeps lock and ledger is gone for good: what the others serve, who takes over, and with what.

Requirements: REL-7, REL-9.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from tests.support import histories
from tests.support.fleet import APPS, ENTRIES, Fleet
from tests.support.prober import Prober

pytestmark = pytest.mark.at_times(journey="a fleet whose arbiter is gone for good")

LOST, HEIR = ENTRIES
CONFIRM_S = 10.0


@contextmanager
def without(fleet: Fleet, host: str) -> Iterator[None]:
    """Take a host out of the inventory: whoever is the first entry then keeps lock and ledger."""
    path = fleet.root / "inventories" / "dev" / "hosts.yml"
    before = path.read_text()
    tree = yaml.safe_load(before)
    del tree["all"]["children"]["entry"]["hosts"][host]
    path.write_text(yaml.safe_dump(tree))
    fleet.host, there = HEIR, fleet.host
    try:
        yield
    finally:
        fleet.host = there
        path.write_text(before)


def stable(fleet: Fleet) -> dict[str, tuple[str, str]]:
    """Return what is stable on the hosts that are left, and whether something is pending there."""
    states: dict[str, dict[str, Any]] = {host: fleet.state(host) for host in (HEIR, *APPS)}
    return {host: (state["release_stable"], state["phase"]) for host, state in states.items()}


def test_another_entry_takes_over_from_an_arbiter_that_is_lost_in_a_deploy_and_goes_on_with_its_ledger(
    fleet: Fleet,
) -> None:
    """Clients of the other entry notice nothing, from the loss to a rollback under the new arbiter."""
    first = fleet.good("known to all")
    before = fleet.good("live when it is lost")
    known = fleet.ledger()
    commit = fleet.repository.commit(histories.good("under way when it is lost"))
    with fleet.through(HEIR), fleet.settings(release_confirm_s=CONFIRM_S), Prober(fleet) as prober:
        driver = fleet.begin("deploy", "--env", "dev", "--ref", commit, "--json")
        assert driver.wait_for_step("Send the clients to it"), str(driver.wait())
        fleet.cut(LOST)
        driver.kill(whole=True)
        with without(fleet, LOST):
            refused = fleet.deploy(commit)
            assert refused.code == 1, str(refused)
            assert re.search(r"does not hold line \d+ \(\w+\), of which this host has a copy", refused.text)
            assert "unlock --force" in refused.text
            asked = fleet.run("unlock", "--app", fleet.app, "--force")
            assert (asked.code, "nobody is here to be asked" in asked.text) == (1, True), str(asked)
            taken = fleet.run("unlock", "--app", fleet.app, "--force", "--yes")
            assert taken.code == 0, str(taken)
            assert taken.said["took_over"]["lines"] == len(known)
            assert fleet.ledger()[: len(known)] == known
            again = fleet.deploy(commit)
            assert again.code == 0, str(again)
            new = again.said["release"]
            assert stable(fleet) == dict.fromkeys((HEIR, *APPS), (new, "stable"))
            for host in APPS:
                asks = fleet.state(host)["stable_run"]["asks"]
                assert asks["address"] == fleet.addresses[HEIR], f"{host} would ask nobody after a boot"
            back = fleet.rollback()
            assert (back.code, back.said["release"]) == (0, before), str(back)
            assert {first, before, new} <= {each["release"] for each in fleet.arbiter()["history"]}
            assert fleet.run("status").code == 0
    prober.served_only(before, *(release for release in prober.releases if release.endswith(commit[:7])))
