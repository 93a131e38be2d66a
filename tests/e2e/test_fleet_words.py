"""What a fleet says, and to whom it listens: pages, records that somebody has edited, an old driver, questions.

Requirements: REL-9, REL-10, REL-15.
"""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import pack
from tests.e2e.test_diff import forget
from tests.support import histories
from tests.support.cuts import unreached
from tests.support.fleet import APPS, ENTRIES, Fleet
from tests.support.prober import Prober
from tests.support.site import ENV

from ferryman import telling

pytestmark = pytest.mark.at_times(journey="a fleet that is asked, and edited by hand")
ARBITER, OTHER = ENTRIES
PLACE = "/var/lib/ferryman/sites/tiny"
LEDGER, JOURNAL = f"{PLACE}/arbiter/ledger.jsonl", f"{PLACE}/journal.jsonl"
NOT_ITS_OWN = "line 1 does not match its own hash"
STEPS = {
    **dict.fromkeys(ENTRIES[1:], ("switch", "share", "hold", "mend", "settle", "return")),
    **dict.fromkeys(APPS, ("stage", "start", "switch", "workers", "hold", "mend", "settle", "return")),
}
"""What a driver has each host do that does not keep the lock."""


def sections(fleet: Fleet) -> dict[str, str]:
    """Return what `status` says of each host, without its line breaks; of clients under ''."""
    text = fleet.begin("status", "--env", ENV).wait().out
    head, *found = re.split(r"^(\w+) \(.*\)$", text, flags=re.MULTILINE)
    told = {"": head, **dict(zip(found[::2], found[1::2], strict=True))}
    return {host: " ".join(said.split()) for host, said in told.items()}


def shown(fleet: Fleet) -> list[str]:
    """Return the entries whose clients get the maintenance page."""
    statuses = {}
    for entry in ENTRIES:
        with fleet.through(entry):
            statuses[entry], _ = fleet.get("/")
    assert {*statuses.values()} <= {200, 503}, statuses
    return [entry for entry, status in statuses.items() if status == 503]


def test_the_maintenance_page_is_shown_on_every_entry_and_hidden_on_every_entry(fleet: Fleet) -> None:
    live = fleet.settles(2)
    on = fleet.run("maintenance.on", "--app", fleet.app)
    try:
        assert (on.code, on.said["maintenance"], on.said["changed"]) == (0, True, True), str(on)
        assert shown(fleet) == [*ENTRIES]
        told = sections(fleet)
        assert telling.PAGE in told[""], told
        assert [host for host in told if "wrong" in told[host]] == [""], "once, for all entries"
    finally:
        off = fleet.run("maintenance.off", "--app", fleet.app)
    assert (off.code, off.said["maintenance"], off.said["changed"]) == (0, False, True), str(off)
    assert shown(fleet) == []
    assert fleet.settles(2) == live


def test_an_entry_that_is_not_reached_for_the_page_is_named_and_status_says_where_it_is_shown(fleet: Fleet) -> None:
    live = fleet.settles(2)
    try:
        with unreached(fleet, OTHER):
            on = fleet.run("maintenance.on", "--app", fleet.app)
        assert (on.code, shown(fleet)) == (3, [ARBITER]), str(on)
        assert f"the maintenance page is shown on {ARBITER} alone: {OTHER} cannot be reached" in on.said["error"]
        assert f"{telling.PAGE} on {ARBITER} alone" in sections(fleet)[""]
        on = fleet.run("maintenance.on", "--app", fleet.app)
        assert (on.code, shown(fleet)) == (0, [*ENTRIES]), str(on)
        with unreached(fleet, ARBITER):  # who keeps the lock is not asked for it
            off = fleet.run("maintenance.off", "--app", fleet.app)
        assert (off.code, shown(fleet)) == (3, [ARBITER]), str(off)
        assert f"the maintenance page is hidden on {OTHER} alone: {ARBITER} cannot be reached" in off.said["error"]
    finally:
        off = fleet.run("maintenance.off", "--app", fleet.app)
    assert (off.code, shown(fleet)) == (0, []), str(off)
    assert fleet.settles(2) == live


def asked(fleet: Fleet, host: str, **request: Any) -> dict[str, Any]:
    """Return what a host answers to a driver's request."""
    roles = ["entry"] if host in ENTRIES else ["app"]
    more = {"app": fleet.app, "site": fleet.app, "environment": ENV, "roles": roles, "lease_s": 30, "settings": {}}
    message = pack.message({"act": "steps", "check": False, "who": "a test", **more, **request}, code=True)
    argv = fleet.reached(pack.command(), host=host)
    done = subprocess.run(argv, input=message, capture_output=True, timeout=60, check=False)
    lines = [line for line in done.stdout.decode().splitlines() if line.startswith(names.ANSWER)]
    assert lines, done.stderr.decode()
    return dict(json.loads(lines[-1].removeprefix(names.ANSWER)))


def test_a_driver_that_was_replaced_while_it_slept_is_refused_by_every_host_in_each_step(fleet: Fleet) -> None:
    before = fleet.settles(2)
    slept, awake = (fleet.repository.commit(histories.good(text)) for text in ("slept through it", "came in between"))
    with Prober(fleet) as prober:
        driver = fleet.begin("deploy", "--env", ENV, "--app", fleet.app, "--ref", slept, "--json")
        assert driver.wait_for_step("Build"), str(driver.wait())
        driver.signal(signal.SIGSTOP)
        held = fleet.arbiter()["lock"]
        assert (held["alive"], held["purpose"]) == (True, f"deploy {slept[:7]}")
        freed = fleet.run("unlock", "--app", fleet.app, "--yes")
        assert freed.code == 0, str(freed)
        with fleet.settings(release_warm_s=0):
            between = fleet.deploy(awake)
        assert between.code == 0, str(between)
        new = fleet.settles(2)
        for host, steps in STEPS.items():
            for step in steps:
                said = asked(fleet, host, steps=[step], run=held["run"], token=held["token"], release=new)
                assert (said["ok"], said["refused"], said["changes"]) == (False, True, []), f"{host} {step}: {said}"
                assert re.search(rf"token {held['token']} is older than \d+: another run came in", said["reason"]), said
        driver.signal(signal.SIGCONT)
        late = driver.wait()
        assert (late.code in (1, 2), late.said.get("overtaken")) == (True, True), str(late)
        assert "came in between" in late.text, str(late)
        assert fleet.settles(2) == new
    prober.served_only(before, new)
    assert new == between.said["release"]
    by = fleet.ledger()[-1]["run"]
    for host in (*ENTRIES, *APPS):
        lines = [json.loads(line) for line in fleet.ssh(f"cat {JOURNAL}", host=host).splitlines()]
        since = next(number for number, line in enumerate(lines) if line["run"] == by)
        did = {line["step"] for line in lines[since:] if line["run"] == held["run"]}
        assert did <= {"interrupt"}, f"{host}: {did}"  # word for sessions of its own alone


# Records that somebody edits


@contextmanager
def edited(fleet: Fleet, host: str, path: str, script: str) -> Iterator[None]:
    """Have somebody change a file with sed until then."""
    fleet.ssh(f"cp -p {path} /root/as-it-was && sed -i '{script}' {path}", host=host)
    try:
        yield
    finally:
        fleet.ssh(f"mv /root/as-it-was {path}", host=host)


@contextmanager
def another_driver(fleet: Fleet) -> Iterator[None]:
    """Be one that has never seen this ledger, and forget afterwards what was seen of it."""
    heads = fleet.root / ".ferryman" / "heads"
    shutil.rmtree(heads)
    try:
        yield
    finally:
        shutil.rmtree(heads)


def wrong(told: dict[str, str]) -> dict[str, str]:
    """Return the hosts of which `status` says that something is wrong, and what."""
    return {host: said.partition("wrong ")[2] for host, said in told.items() if "wrong " in said}


def test_a_ledger_that_somebody_has_edited_is_named_by_status_and_nothing_begins_until_it_is_mended(
    fleet: Fleet,
) -> None:
    live, commit = fleet.settles(2), fleet.repository.commit(histories.good("behind an edited ledger"))
    with Prober(fleet) as prober:
        with edited(fleet, ARBITER, LEDGER, '1s/"status": "[a-z]*"/"status": "returned"/'):
            told = wrong(sections(fleet))
            assert [*told] == [ARBITER], told
            assert f"ledger: {NOT_ITS_OWN}: bring back a good copy of {LEDGER}" in told[ARBITER]
            for refused in (fleet.deploy(commit), fleet.rollback()):
                assert (refused.code, refused.said["status"], refused.said["host"]) == (1, "refused", ARBITER)
                assert f"the ledger cannot be relied on: {NOT_ITS_OWN}" in refused.text, str(refused)
                assert LEDGER in refused.text, str(refused)
            assert not fleet.arbiter()["lock"]["alive"]
        answer = fleet.deploy(commit)
        assert (answer.code, fleet.settles(2)) == (0, answer.said["release"]), str(answer)
    prober.served_only(live, answer.said["release"])


def test_a_ledger_whose_last_line_somebody_has_taken_away_is_known_by_every_copy_of_it(fleet: Fleet) -> None:
    """Its chain is whole; the driver that saw it last is another one."""
    live, commit = fleet.good("the last line tells of it"), fleet.repository.commit(histories.good("without that line"))
    lines = len(fleet.ledger())
    with edited(fleet, ARBITER, LEDGER, "$d"), another_driver(fleet):
        told = wrong(sections(fleet))
        said = f"its copy of the ledger has {lines} lines, and the ledger itself {lines - 1}, not the same"
        assert {host for host in told if told[host].startswith(said)} == {OTHER, *APPS}, told
        refused = fleet.deploy(commit)
        assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
        assert re.search(rf"it does not hold line {lines} \(\w+\), of which \w+ has a copy", refused.text)
        assert fleet.settles(2) == live
    assert wrong(sections(fleet)) == {}
    answer = fleet.deploy(commit)
    assert (answer.code, fleet.settles(2)) == (0, answer.said["release"]), str(answer)


def test_a_journal_that_somebody_has_edited_is_named_with_its_host_and_keeps_no_deploy_from_going_on(
    fleet: Fleet,
) -> None:
    with edited(fleet, "app2", JOURNAL, '1s/"step": "/"step": "un/'):
        said = f"journal: {NOT_ITS_OWN}: bring back a good copy of {JOURNAL}, or move it aside"
        told = wrong(sections(fleet))
        assert ([*told], said in told["app2"]) == (["app2"], True), told
        assert fleet.good("all the same") == fleet.settles(2)
        told = wrong(sections(fleet))
        assert ([*told], said in told["app2"]) == (["app2"], True), "until somebody has looked at it"
    assert wrong(sections(fleet)) == {}


# Questions


def test_what_differs_between_two_releases_is_told_by_whichever_host_has_both(fleet: Fleet) -> None:
    one, other, _ = (fleet.good(text) for text in ("to compare from", "to compare with", "live meanwhile"))

    def differ() -> dict[str, Any]:
        answer = fleet.run("release.diff", one, other, "--app", fleet.app)
        assert answer.code == 0, str(answer)
        return answer.said

    here = differ()
    assert (here["from"]["release"], here["to"]["release"], here["unknown"]) == (one, other, {})
    assert here["notes"] == ["Say: to compare with"]
    assert [each["path"] for each in here["files"]["changed"]] == ["behaviour.json"]
    lost = f"rm -r /srv/{fleet.app}/releases/{one}"
    forget(fleet.root / ".ferryman")
    fleet.ssh(lost, host="app1")
    with unreached(fleet, "app2"):
        there = differ()
    away = there.pop("unreachable")
    assert ([*away], there) == (["app2"], here), "the third one has told it"
    forget(fleet.root / ".ferryman")
    for host in ("app2", "app3"):
        fleet.ssh(lost, host=host)
    gone = f"no host keeps that of {one} any more, nor does this machine"
    assert differ()["unknown"] == {"files": gone, "configuration": gone}


def test_why_a_release_serves_no_more_is_told_by_who_keeps_the_ledger_whoever_else_is_away(fleet: Fleet) -> None:
    before, release = fleet.settles(2), fleet.good("gone back from")
    back = fleet.rollback()
    assert (back.code, back.said["release"]) == (0, before), str(back)
    with unreached(fleet, OTHER), unreached(fleet, "app1"):
        why = fleet.run("release.why", release, "--app", fleet.app)
    assert (why.code, why.said["release"], why.said["stands"]) == (0, release, "withdrawn"), str(why)
    runs = [(run["event"], run["release"], run["previous"], run["status"]) for run in why.said["runs"]]
    assert runs == [("deploy", release, before, "live"), ("rollback", before, release, "live")]
    shown = fleet.begin("release.why", release, "--env", ENV, "--app", fleet.app).wait()
    said = " ".join(shown.out.split())
    assert f"rollback from it to {before}" in said, shown.out
    with unreached(fleet, ARBITER):
        lost = fleet.run("release.why", release, "--app", fleet.app)
    assert (lost.code, f"{ARBITER} cannot be reached" in lost.said["error"]) == (1, True), str(lost)
