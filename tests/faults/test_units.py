"""Units that systemd cannot use, or has lost: a deploy goes back as from any failure, and the next one tidies up.

Requirements: REL-6.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import Site

JOB = {"nightly": {"kind": "cron", "command": "true", "schedule": "*-*-* 03:15:00"}}
UNREADABLE = "[Timer]\nOnCalendar=\nOnCalendar=every day\n"
UNFIT = "[Unit]\nAssertPathExists=/nowhere\n"
SLOTS = {"blue": "green", "green": "blue"}


@pytest.fixture
def site(site: Site) -> Site:
    """The site with a nightly job."""
    site.deploy(site.repository.commit(good("with a job", processes=JOB)))
    assert timers(site) == [timer(site, stable(site))]
    return site


def stable(site: Site) -> str:
    """Return the slot that serves."""
    return str(site.version()["slot"])


def timer(site: Site, slot: str) -> str:
    return f"{site.app}-nightly@{slot}-1.timer"


def timers(site: Site) -> list[str]:
    """Return the timers of the site that run."""
    told = site.ssh(f"systemctl list-units --plain --no-legend --state=active '{site.app}-*.timer'")
    return sorted(line.split()[0] for line in told.splitlines())


@contextmanager
def changed(site: Site, unit: str, text: str) -> Iterator[None]:
    """Let somebody have changed a unit on the host, by a file of his own beside ours."""
    place = f"/etc/systemd/system/{unit}.d"
    site.ssh(f"mkdir -p {place}; cat > {place}/ours.conf; systemctl daemon-reload", given=text)
    try:
        yield
    finally:
        site.ssh(f"rm -r {place}; systemctl daemon-reload")


@pytest.mark.at_times(journey="units that are broken")
def test_a_timer_that_systemd_cannot_read_is_seen_before_clients_are_moved(site: Site, prober: Prober) -> None:
    before, slot = site.served(), stable(site)
    with changed(site, timer(site, SLOTS[slot]), UNREADABLE):
        answer = site.deploy(site.repository.commit(good("its timer cannot be read")))
        assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
        assert f"{timer(site, SLOTS[slot])} (bad-setting)" in answer.text, str(answer)
        assert "every day" in answer.evidence, str(answer)
        assert (site.ledger()[-1]["status"], site.arbiter()["lock"]["held"]) == ("failed", False)
        # What the first one left in the slot is no obstacle: the next is told the same, and nothing else.
        again = site.deploy(site.repository.commits[-1])
        assert again.code == 2, str(again)
        assert "(bad-setting)" in again.text, str(again)
    assert timers(site) == [timer(site, slot)]
    after = site.good("its timer can be read")
    assert timers(site) == [timer(site, stable(site))]
    prober.served_only(before, after)


@pytest.mark.at_times(journey="units that are broken")
def test_a_timer_that_does_not_start_sends_everybody_back(site: Site) -> None:
    before, slot = site.served(), stable(site)
    with changed(site, timer(site, SLOTS[slot]), UNFIT):
        answer = site.deploy(site.repository.commit(good("its timer does not start")))
        assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
        assert f"{timer(site, SLOTS[slot])} could not be started" in answer.text, str(answer)
        assert (site.served(), timers(site)) == (before, [timer(site, slot)])
        site.ssh(f"systemctl stop {timer(site, slot)}")
        with changed(site, timer(site, slot), UNFIT):
            alone = site.deploy(site.repository.commit(good("no timer starts")))
        assert alone.code == 3, str(alone)
        assert (site.served(), timers(site)) == (before, [])
        end = site.ledger()[-1]
        assert (end["release"][-7:], end["status"]) == (site.repository.commits[-1][:7], "returned")
        assert f"{timer(site, slot)} could not be started" in end["reason"]
    assert f"{timer(site, slot)}: does not run" in site.run("health", "--app", site.app).text
    again = site.run("deploy", "--app", site.app, "--ref", before[-7:])
    assert again.code == 0, str(again)
    assert timers(site) == [timer(site, stable(site))]


@pytest.mark.at_times(journey="units that are broken")
def test_units_that_are_gone_or_broken_are_no_obstacle_to_what_comes_next(site: Site, prober: Prober) -> None:
    slot = stable(site)
    first, job = site.served(), timer(site, slot)
    site.ssh(f"rm /etc/systemd/system/{job}; systemctl daemon-reload")
    second = site.good("the old timer has no file")
    assert timers(site) == [timer(site, stable(site))], "the old one would go on beside it"
    # What is left in the slot that is wanted next: a unit that was never there, and one that nobody can read.
    site.ssh(
        f"rm -f /etc/systemd/system/{site.app}-nightly@{slot}-1.service; echo nonsense > /etc/systemd/system/{job}"
    )
    site.ssh("systemctl daemon-reload")
    back = site.rollback()
    assert (back.code, back.said["release"]) == (0, first), str(back)
    assert timers(site) == [job]
    third = site.good("and forwards again")
    prober.served_only(first, second, third)
