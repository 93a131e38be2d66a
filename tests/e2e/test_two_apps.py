"""Two applications on the same hosts, deployed at the same time from two places: neither notices the other.

One is called as a process of the other's units would be: what takes `tiny-*` for its own takes the other one's, too.

Requirements: REL-9, REL-13.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
import yaml
from tests.e2e.test_detached import attach, within
from tests.e2e.test_fleet import CONFIRM_S, WITHIN_S
from tests.support import fleet as fleets
from tests.support import histories
from tests.support import site as sites
from tests.support.driving import READY_S, Answer, Driver
from tests.support.fleet import APPS, ENTRIES, Fleet
from tests.support.histories import Version, crashes, good
from tests.support.prober import Prober
from tests.support.site import ENV, Site
from tests.support.watching import Journal

ON_A_FLEET = pytest.mark.at_times(journey="two applications on the same fleet")
OTHERS_DRIVE = pytest.mark.at_times(journey="two applications on the same fleet, driven by others than who began")
ON_ONE_HOST = pytest.mark.at_times(journey="two applications on the same host")
FIRST, SECOND = "tiny", "tiny-web"
ROUNDS = 3
TAKES_S = 300
JOB_S = 60
"""For so long a worker is at its last job, once it is to stop."""
SHORT_S = 5.0
OWN = "find /srv/{app}/releases /srv/{app}/current -maxdepth 1 -printf '%p %l\\n' | sort"
"""Says which releases an app host has, and which of them is live."""
OF_SECOND = {"repository": SECOND, "domains": [f"{SECOND}.localhost"]}

Pair = tuple[Fleet, Fleet]
Served = dict[str, set[str]]


def both(root: Path) -> fleets.Apps:
    """Have both applications in a project."""
    return {app: fleets.tiny(root, app) for app in (FIRST, SECOND)}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The fleet as two people have it who each deploy an application of their own, from a directory of their own."""
    with fleets.brought_up(tmp_path_factory.mktemp("two-apps"), both) as first:
        second = of_place(first, moved_in(first, tmp_path_factory.mktemp("elsewhere")), SECOND)
        second.good("the first from elsewhere")
        yield first, second


@pytest.fixture
def pair(places: Pair) -> Pair:
    """Both with a good release live everywhere, and nobody at work."""
    for each in places:
        if any(each.state(host)["phase"] != "stable" for host in (*ENTRIES, *APPS)):
            each.run("unlock", "--app", each.app, "--yes")
            each.good("mended")
    return places


def moved_in(fleet: Fleet, root: Path) -> Path:
    """Give somebody else the project: its files, clones of the applications, and what opens the vault and the hosts."""
    for what in ("group_vars", "inventories"):
        shutil.copytree(fleet.root / what, root / what, symlinks=True)
    (root / ".ferryman").mkdir(mode=0o700)
    for what in ("vault", f"sandbox/{fleet.name}"):
        shutil.copytree(fleet.root / ".ferryman" / what, root / ".ferryman" / what)
    way = root / ".ferryman" / "sandbox" / fleet.name / "ssh_config"
    way.write_text(way.read_text().replace(str(fleet.root), str(root)))
    for app in (FIRST, SECOND):
        subprocess.run(["git", "clone", "-q", str(fleet.root / app), str(root / app)], check=True)
    return root


def of_place(fleet: Fleet, root: Path, app: str) -> Fleet:
    """Return an application as whoever works in `root` has it."""
    return replace(fleet, root=root, app=app, repository=fleets.cloned(root / app), turn=cycle(ENTRIES))


def begin(fleet: Site, version: Version, *words: str) -> Driver:
    """Begin to deploy a new version."""
    commit = fleet.repository.commit(version)
    return fleet.begin("deploy", "--app", fleet.app, "--env", ENV, "--ref", commit, "--json", *words)


@contextmanager
def unnoticed(pair: Pair) -> Iterator[Served]:
    """Have a client of each application ask all the time: none is lost, each is answered by its own releases alone.

    Those are what was live at the beginning, and what is added to what this gives, by application.
    """
    served = {each.app: {each.settles(2)} for each in pair}
    with ExitStack() as stack:
        clients = {each.app: stack.enter_context(Prober(each)) for each in pair}
        yield served
    for app, client in clients.items():
        client.served_only(*served[app])


def span(fleet: Fleet, release: str) -> tuple[str, str]:
    """Return from when to when a release was worked on, as the first app host has it."""
    said = fleet.ssh(f'grep -F \'"{release}"\' {fleet.journal_path} | grep -o \'"at": "[^"]*\'', host=APPS[0])
    times = sorted(line.rpartition('"')[2] for line in said.splitlines())
    return times[0], times[-1]


def overlap(*runs: tuple[Fleet, Answer]) -> None:
    """See that what both brought to the hosts was under way there at the same time."""
    spans = [span(fleet, str(answer.said["release"])) for fleet, answer in runs]
    assert max(begun for begun, _ in spans) < min(ended for _, ended in spans), spans


def apart(pair: Pair) -> None:
    """See that hosts are equal in each application, and that none has a line of the other's in ledger or journal."""
    for each, other in (pair, pair[::-1]):
        there = {each.ssh(OWN.format(app=each.app), host=host) for host in APPS}
        assert len(there) == 1, there
        assert each.agrees(2) in there.pop()
        assert not {line.get("commit") for line in each.ledger()} & {*other.repository.commits}
    first, second = ({line["run"] for line in [*each.ledger(), *each.journal()] if line.get("run")} for each in pair)
    assert not first & second


def both_go_live(pair: Pair, drivers: list[Driver], served: Served) -> None:
    """See both drivers end well after they were at work at the same time, and add what is `served` now."""
    answers = [driver.wait(TAKES_S) for driver in drivers]
    assert [(answer.code, answer.said["status"]) for answer in answers] == [(0, "live")] * 2, answers
    overlap(*zip(pair, answers, strict=True))
    for each, answer in zip(pair, answers, strict=True):
        served[each.app].add(answer.said["release"])
        assert each.settles(2) == answer.said["release"]


@ON_A_FLEET
def test_two_applications_go_live_at_the_same_time_again_and_again_from_two_places(pair: Pair) -> None:
    with unnoticed(pair) as served:
        for turn in range(ROUNDS):
            drivers = [begin(each, good(f"turn {turn} of {each.app}, {time.time_ns()}")) for each in pair]
            both_go_live(pair, drivers, served)
    apart(pair)


@ON_A_FLEET
def test_what_fails_beside_a_deploy_goes_back_alone(pair: Pair) -> None:
    for well, ill in (pair, pair[::-1]):
        before = ill.settles(2)
        with unnoticed(pair) as served:
            goes, fails = begin(well, good(f"beside what fails, {time.time_ns()}")), begin(ill, crashes())
            gone, failed = goes.wait(TAKES_S), fails.wait(TAKES_S)
            assert (gone.code, gone.said["status"]) == (0, "live"), str(gone)
            assert (failed.code, failed.said["status"]) == (2, "failed"), str(failed)
            overlap((well, gone), (ill, failed))
            assert (well.settles(2), ill.settles(2)) == (gone.said["release"], before)
            served[well.app].add(gone.said["release"])
        assert "flux capacitor" in failed.evidence
    apart(pair)


@ON_A_FLEET
def test_a_rollback_beside_a_deploy_leaves_it_alone(pair: Pair) -> None:
    first, second = pair
    target = first.settles(2)
    first.good("to go back from")
    with unnoticed(pair) as served:
        served[first.app].add(target)
        goes = begin(second, good("beside a rollback"))
        assert goes.wait_for_step("Stage"), str(goes.wait())
        back = first.rollback(timeout_s=TAKES_S)
        gone = goes.wait(TAKES_S)
        assert (back.code, back.said["release"]) == (0, target), str(back)
        assert (gone.code, gone.said["status"]) == (0, "live"), str(gone)
        served[second.app].add(gone.said["release"])
        assert (first.settles(2), second.settles(2)) == (target, gone.said["release"])
    apart(pair)


@ON_A_FLEET
def test_one_person_may_deploy_both_at_the_same_time_from_one_place(pair: Pair) -> None:
    first, second = pair
    here = of_place(first, first.root, SECOND)
    here.repository.git("pull", "-q", "--ff-only", str(second.repository.path), "main")
    with unnoticed(pair) as served:
        for turn in range(ROUNDS):
            drivers = [begin(each, good(f"from one place, {turn}")) for each in (first, here)]
            both_go_live(pair, drivers, served)
    second.repository.git("pull", "-q", "--ff-only", str(here.repository.path), "main")
    apart((first, here))


@OTHERS_DRIVE
def test_the_arbiter_drives_both_at_the_same_time(pair: Pair) -> None:
    with unnoticed(pair) as served:
        drivers = [begin(each, good("the arbiter drives it"), "--detach") for each in pair]
        handed = [driver.wait(TAKES_S) for driver in drivers]
        assert [(answer.code, answer.said["status"]) for answer in handed] == [(0, "handed_over")] * 2, handed
        with ThreadPoolExecutor(2) as followers:
            answers = list(followers.map(lambda each: attach(each).wait(TAKES_S), pair))
        assert [(answer.code, answer.said["status"]) for answer in answers] == [(0, "live")] * 2, answers
        for each, answer in zip(pair, answers, strict=True):
            served[each.app].add(answer.said["release"])
            assert each.settles(WITHIN_S) == answer.said["release"]
    apart(pair)
    keys = "cat /home/ops/.ssh/authorized_keys; ls /etc/sudoers.d"
    assert not any("ferryman-drives" in pair[0].ssh(keys, host=host) for host in (*ENTRIES[1:], *APPS))


def killed_at_its_switch(fleet: Site, kill: Callable[[Driver], None] = Driver.kill) -> None:
    """Begin a deploy, and kill its driver once clients are being moved."""
    with Journal(fleet) as journal:
        driver = begin(fleet, good("its driver is killed"))
        assert journal.wait_for("switch", "started", driver, since=0, timeout_s=120), str(driver.wait())
        kill(driver)


@OTHERS_DRIVE
def test_both_are_brought_back_in_time_where_both_drivers_are_killed(pair: Pair) -> None:
    before = [each.settles(2) for each in pair]
    with ExitStack() as stack:
        for each in pair:
            stack.enter_context(each.settings(release_confirm_s=CONFIRM_S, release_watch_s=CONFIRM_S - 2))
        clients = [stack.enter_context(Prober(each)) for each in pair]
        with ThreadPoolExecutor(2) as killers:
            list(killers.map(killed_at_its_switch, pair))
        began = time.monotonic()
        for each, stable in zip(pair, before, strict=True):
            assert each.settles(max(0.0, began + CONFIRM_S + WITHIN_S - time.monotonic())) == stable
    for each, client, stable in zip(pair, clients, before, strict=True):
        candidate = {release for release in client.releases if release.endswith(each.repository.commits[-1][:7])}
        client.served_only(stable, *candidate)
        freed = each.run("unlock", "--app", each.app, "--yes")
        assert freed.code == 0, str(freed)
    apart(pair)


@OTHERS_DRIVE
def test_provisioning_from_one_place_beside_a_deploy_from_the_other_disturbs_neither(pair: Pair) -> None:
    """What provisioning changes makes nginx reload, and begin a client's idle connection anew."""
    first, second = pair
    before = [each.settles(2) for each in pair]
    with first.settings(nginx_hsts_seconds=172800), ExitStack() as stack:
        clients = [stack.enter_context(Prober(each, forgiving=True)) for each in pair]
        provisions = first.begin("provision", "--env", ENV, "--json")
        answers: list[Answer] = []
        while provisions.process.poll() is None:
            answers.append(begin(second, good(f"beside provisioning, {len(answers)}")).wait(TAKES_S))
            assert (answers[-1].code, answers[-1].said["status"]) == (0, "live"), str(answers[-1])
        provisioned = provisions.wait(TAKES_S)
        assert provisioned.code == 0, str(provisioned)
        assert provisioned.said["changes"], "it had something to do"
        assert len(answers) > 1, "one went live in the middle of it"
    assert (first.settles(2), second.settles(2)) == (before[0], answers[-1].said["release"])
    clients[0].served_only(before[0])
    clients[1].served_only(before[1], *(str(answer.said["release"]) for answer in answers))
    apart(pair)


# What one host does for both by itself


@pytest.fixture
def neighbours(hosted: Site) -> Iterator[tuple[Site, Site]]:
    """The host with a second application on it, each with a release that is live and soon stopped."""
    path = hosted.root / "inventories" / ENV / "group_vars" / "all" / "apps.yml"
    before, described = path.read_text(), hosted.repository.commits[-1]
    shutil.rmtree(hosted.root / SECOND, ignore_errors=True)
    repository = histories.tiny(hosted.root / SECOND, good("v1"), name=SECOND)
    two = hosted, replace(hosted, app=SECOND, repository=repository)
    path.write_text(yaml.safe_dump({"apps": {**yaml.safe_load(before)["apps"], SECOND: OF_SECOND}}))
    try:
        answer = hosted.run("provision", timeout_s=READY_S)
        assert answer.code == 0, str(answer)
        for each in two:
            answer = each.deploy(each.repository.commit(good("soon stopped", processes={"web": {"stop_timeout_s": 5}})))
            assert answer.code == 0, str(answer)
        yield two
    finally:
        path.write_text(before)
        hosted.repository.git("checkout", "-q", described, "--", "ferryman.yml")
        sites.mend(hosted)


def worker_of(site: Site) -> str:
    """Say what the worker of an application does, in systemd's word; nothing where it has ended."""
    return site.ssh(f"systemctl list-units --plain --no-legend '{site.app}-worker@*' | awk '{{print $3}}'")


def cut_off(site: Site, driver: Driver) -> None:
    """Kill a driver and its session on the host, which would do the rest by itself."""
    driver.kill()
    site.ssh("pkill -KILL -f '[p]ython3 -I -B -c'")


@ON_ONE_HOST
def test_clients_of_one_are_sent_back_in_time_although_workers_of_the_other_take_long_to_end(
    neighbours: tuple[Site, Site],
) -> None:
    slow, other = neighbours
    stable = [each.served() for each in neighbours]
    worker = {"kind": "worker", "command": "python tiny.py worker", "stop_timeout_s": 2 * JOB_S}
    busy = Version("its worker is busy", {"last_job_s": JOB_S}, description={"processes": {"worker": worker}})
    short = {"release_confirm_s": SHORT_S, "release_watch_s": SHORT_S - 1}
    with slow.settings(release_worker_soak_s=2 * SHORT_S), Prober(slow) as first, Prober(other) as second:
        driver = begin(slow, busy)
        within(TAKES_S, lambda: worker_of(slow) == "active" or driver.process.poll() is not None)
        assert driver.process.poll() is None, str(driver.wait())
        cut_off(slow, driver)
        within(60, lambda: worker_of(slow) == "deactivating")  # nobody has confirmed it: the guard takes it back
        assert slow.served() == stable[0], "clients do not wait for that"
        with other.settings(**short):
            killed_at_its_switch(other, partial(cut_off, other))
        within(SHORT_S + WITHIN_S, lambda: other.served() == stable[1])
        within(WITHIN_S, lambda: not other.arbiter()["shift"].get("candidate"))
        assert worker_of(slow) == "deactivating", "all this while"
        within(2 * JOB_S, lambda: not worker_of(slow))
    for each, client, served in zip(neighbours, (first, second), stable, strict=True):
        candidate = {release for release in client.releases if release.endswith(each.repository.commits[-1][:7])}
        client.served_only(served, *candidate)
