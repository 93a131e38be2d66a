"""At every boundary that a deploy and a rollback have, as the product itself names them, something strikes.

The driver is killed, or cut off from the host, or the host loses its power.

Requirements: REL-7, REL-8.
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import cycle
from random import Random
from typing import Any, NamedTuple

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger, names
from tests.conftest import Soak
from tests.faults.test_drivers import CONFIRM_S, begin, settles
from tests.support import aftermath
from tests.support import site as sites
from tests.support.cuts import SILENT, unreached, within
from tests.support.driving import READY_S, Answer, Driver
from tests.support.histories import Version, good, migrates
from tests.support.prober import Prober
from tests.support.site import ENV, HOST, Site
from tests.support.watching import Journal

from ferryman.paths import CHECKOUT
from ferryman.progress import QUIET

TASKS = CHECKOUT / "roles" / "release" / "tasks"
WORKER = {"worker": {"kind": "worker", "command": "python tiny.py worker", "stop_timeout_s": 2}}
DATABASE = {"name": "tiny", "owner": "tiny", "password": "of the application"}
WITHIN_S = CONFIRM_S + 8
"""The guard's deadline, what moving the worker adds to it, and what a busy machine may take."""
IN_ONE_WRITE = ("commit", "settle")
"""Steps that the journal tells of when they are done: before, nothing of them is there."""
BEFORE_START = ("stage", "snapshot", "migrate", "withstand")
"""Steps of a deploy that a rollback has no use for."""
TURNS = ((True, True), (True, False), (False, True))
"""Deploys in their order: whether one migrates, and whether a rollback follows.

Every second rollback goes over a difference of the schema. What is deployed then migrates: the live release lacks it.
"""
ON_THE_WAY = ("prune", "stop")
"""What the journal tells beside the steps."""
KILLED, CUT, POWER = "driver killed", "driver cut off", "power lost"
CUT_S = CONFIRM_S + 2
"""How long a driver is cut off: until after the moment by which it should have confirmed."""
ANSWERS_S = 30.0
"""Within so much of a loss of power clients have answers again; the host's own boot is in it."""
CODES = (0, 1, 2, 3)
PATIENT = 0.25
"""How often nobody breaks the lock of who is gone: the same command waits until his lease is over."""


@dataclass(frozen=True)
class Boundary:
    """A moment that somebody tells of: the driver's progress, or (with a `result`) the host's journal."""

    step: str
    result: str = ""

    def __str__(self) -> str:
        return f"{self.step} {self.result}".strip()


class Case(NamedTuple):
    """What became of one: `fault` came to a deploy or a rollback (`of`) at a boundary; how the driver ended (None where
    it was killed), whether what was asked for stands before anybody does anything, after how many seconds nothing was
    pending any more, for how many the host gave no answer, and requests (those without one among them)."""

    of: str
    at: str
    fault: str
    driver: int | None
    new_stands: bool
    settled_s: float
    away_s: float = 0
    asked: int = 0


class Struck(NamedTuple):
    """What a fault came to by itself: the driver's exit code (None: it was killed), and the seconds of a Case, where
    they are known by then."""

    driver: int | None
    settled_s: float | None = None
    away_s: float = 0


class Known(NamedTuple):
    """The boundaries of a deploy and of a rollback."""

    deploy: list[Boundary]
    rollback: list[Boundary]


# What a deploy and a rollback consist of


def tasks(entry: str) -> Iterator[tuple[str, bool]]:
    """Return the tasks of an entry of the role on one host, as people see them, and whether each is always done."""
    return _tasks(yaml.safe_load((TASKS / f"{entry}.yml").read_text()))


def _tasks(told: Iterable[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    for task in told:
        if "block" in task:
            yield from _tasks(task["block"])
        elif file := _file(task):
            yield from _tasks(yaml.safe_load((TASKS / file).read_text()))
        elif (name := task["name"].rpartition(" | ")[2]) not in QUIET:
            yield name, "when" not in task


def _file(task: dict[str, Any]) -> str:
    """Return the file of tasks that a task leads to on one host of which nothing else is asked."""
    called = task.get("ansible.builtin.include_tasks") or task.get("ansible.builtin.import_tasks") or {"file": ""}
    defaults = yaml.safe_load((TASKS.parent / "defaults" / "main.yml").read_text())
    told = Templar(loader=DataLoader(), variables={**defaults, "ansible_play_hosts_all": [HOST]})
    return str(told.template(trust_as_template(called["file"])))


def boundaries(driver: Driver, entry: str, journal: Journal, steps: list[str]) -> list[Boundary]:
    """Return the boundaries of a run that has just begun, which has to have exactly these `steps` and no task less."""
    since = len(journal.lines)
    answer = driver.wait()
    assert answer.code == 0, str(answer)
    known = dict(tasks(entry))
    # A busy machine takes its time to skip a task, too, and then it is told.
    done = [task for task in driver.steps() if known.get(task, True)]
    assert done == [task for task, always in known.items() if always]
    told = [each for each in journal.settled(since) if each[0] not in ON_THE_WAY]
    assert [step for step, result in told if result == "started"] == [s for s in steps if s not in IN_ONE_WRITE]
    assert [step for step, result in told if result == "done"] == steps
    assert {result for _, result in told} == {"started", "done"}
    return [*map(Boundary, done), *(Boundary(*each) for each in told)]


def version(text: str, *, migrating: bool) -> Version:
    """Return a version with a worker; a migration takes long enough to be met in its middle."""
    return replace(migrates(text, sleep_s=1) if migrating else good(text), description={"processes": WORKER})


@contextmanager
def with_everything(site: Site) -> Iterator[None]:
    """Give the application a database of the host and a worker, so that no step is without work."""
    hosts, told = site.root / "inventories" / ENV / "hosts.yml", site.repository.path / "ferryman.yml"
    before = {path: path.read_text() for path in (hosts, told)}
    tree = yaml.safe_load(before[hosts])
    tree["all"]["children"]["db"] = {"hosts": {HOST: {}}}
    hosts.write_text(yaml.safe_dump(tree))
    try:
        with site.inventory(database=DATABASE):
            provisioned = site.run("provision", timeout_s=READY_S)
            assert provisioned.code == 0, str(provisioned)
            yield
    finally:
        for path, text in before.items():
            path.write_text(text)


@pytest.fixture(scope="module")
def known(hosted: Site) -> Iterator[Known]:
    """A site with everything, and the boundaries of what is done to it: a deploy that has every step, and one back."""
    site = hosted
    if not sites.is_whole(site):
        sites.mend(site)
    settings = site.settings(release_confirm_s=CONFIRM_S, release_worker_soak_s=0.3)
    with with_everything(site), settings:
        first = site.deploy(site.repository.commit(version("to go back to", migrating=False)))
        assert first.code == 0, str(first)  # the one that the site began with has no worker
        commit = site.repository.commit(version("to see the steps", migrating=True))
        planned = site.run("plan", "--app", site.app, "--ref", commit)
        steps = [each["step"] for each in planned.said["steps"]]
        others = {*names.RESTORING, *names.AMONG_MANY, *names.SCALING, names.HAND_OVER}
        assert set(steps) == names.BEFORE_COMMIT - others | {"settle"}
        with Journal(site) as journal:
            deploys = boundaries(begin(site, commit), "deploy", journal, steps)
            words = ("rollback", "--accept-schema", "--env", ENV, "--app", site.app, "--json")
            steps = [step for step in steps if step not in BEFORE_START]
            rollbacks = boundaries(site.begin(*words), "rollback", journal, steps)
        yield Known(deploys, rollbacks)


# What strikes


@dataclass
class Striker:
    """Has a fault come to deploys and rollbacks at boundaries, up to `delay_s` later, and sees what must hold then."""

    site: Site
    chance: Random
    fault: str
    delay_s: float = 0

    def strike(self, driver: Driver, prober: Prober) -> Struck:
        """Let it happen, and return once the driver has ended."""
        raise NotImplementedError

    def through(self, there: list[Boundary], back: list[Boundary]) -> Iterator[Case]:
        """Strike a deploy at each boundary, and after two of three a rollback at one of its own."""
        back = [*back]
        for at, (migrating, goes_back) in zip(there, cycle(TURNS), strict=False):
            yield self.deploy(at, migrating=migrating or at.step in ("snapshot", "migrate", "withstand"))
            if goes_back and back:
                yield self.rollback(back.pop())
        assert not back

    def deploy(self, at: Boundary, *, migrating: bool) -> Case:
        """Strike a deploy. Which one migrates is the ledger's to confirm: of no other it has a dump."""
        text = f"{self.fault} at {at}, {time.time_ns()}"
        commit = self.site.repository.commit(version(text, migrating=migrating))
        with Prober(self.site) as prober:
            before, case = self._struck("deploy", at, lambda: begin(self.site, commit), commit[:7], prober)
            self._finished(self._again("deploy", "--app", self.site.app, "--ref", commit), commit[:7])
            assert self.site.version()["text"] == text
        # Until the guard acts clients may be on what a lost driver had begun: whole releases of that commit, no more.
        prober.served_only(before, *(release for release in prober.releases if release.endswith(commit[:7])))
        self._dumped(migrating)
        return case._replace(asked=prober.asked)

    def rollback(self, at: Boundary) -> Case:
        """Strike a rollback to the release before, also over a difference of the schema."""
        lines = self.site.ledger()
        present = [str(line["release"]) for line in lines if "release" in line]
        target = ledger.rollback_target(lines, present=present, accept_schema=True).id
        words = ("rollback", "--accept-schema", "--app", self.site.app)
        with Prober(self.site) as prober:
            begins = (*words, "--env", ENV, "--json")
            before, case = self._struck("rollback", at, lambda: self.site.begin(*begins), target, prober)
            if case.new_stands:  # the same words mean the release before that
                self._free()
            else:
                self._finished(self._again(*words), target)
            self._whole(target)
        prober.served_only(before, target)
        return case._replace(asked=prober.asked)

    def _struck(
        self, of: str, at: Boundary, start: Callable[[], Driver], wanted: str, prober: Prober
    ) -> tuple[str, Case]:
        """Strike what `start` begins; `wanted` is what the release ends with that it leads to."""
        site, before = self.site, self.site.served()
        known = len(site.ledger())
        with self._met(at, start) as driver:
            began = time.monotonic()
            struck = self.strike(driver, prober)
        truth = site.arbiter()
        stable = truth["shift"]["release_stable"]
        # The new one is where to go back to only once the ledger has its commit record.
        assert stable == before or (stable.endswith(wanted) and truth["live"] == stable), truth["shift"]
        if struck.settled_s is None:
            served = settles(site, WITHIN_S - (time.monotonic() - began))
            settled_s = time.monotonic() - began
        else:
            served, settled_s = settles(site, WITHIN_S), struck.settled_s
        assert served == before or served.endswith(wanted)
        stands = served != before
        assert stands or struck.driver != 0, f"it said that it was done\n{driver.wait()}"
        assert not stands or struck.driver not in (1, 2), f"it said that it was not\n{driver.wait()}"
        aftermath.told(site, known, of if of == "rollback" else f"{of} {wanted}", live=served, stands=stands)
        return before, Case(of, str(at), self.fault, struck.driver, stands, round(settled_s, 2), struck.away_s)

    def _free(self) -> None:
        freed = self.site.run("unlock", "--app", self.site.app, "--yes")
        assert freed.code == 0, str(freed)

    def _again(self, *words: str) -> Answer:
        """Do what was struck once more, after whoever did it has lost his lock, by somebody's word or by its lease."""
        if self.chance.random() < PATIENT:
            return self.site.run(*words, "--wait", "60", timeout_s=180)
        self._free()
        return self.site.run(*words)

    @contextmanager
    def _met(self, at: Boundary, start: Callable[[], Driver]) -> Iterator[Driver]:
        """Come to a boundary of what `start` begins, or to somewhere behind it."""
        with Journal(self.site) as journal:
            driver = start()
            if at.result:
                found = journal.wait_for(at.step, at.result, driver, since=0)
            else:
                found = driver.wait_for_step(at.step)
            assert found, f"{at} never came\n{driver.wait()}"
            time.sleep(self.chance.uniform(0, self.delay_s))
            yield driver

    def _finished(self, again: Answer, wanted: str) -> None:
        assert again.code == 0, str(again)
        assert again.said["release"].endswith(wanted)
        self._whole(again.said["release"])

    def _whole(self, release: str) -> None:
        """See one release, with the one worker in its slot, and a database where the ledger has it."""
        site = self.site
        assert settles(site, 2) == release
        told = ledger.story(site.ledger())
        assert not told.unfinished
        workers = f"systemctl list-units --plain --no-legend --state=active '{site.app}-worker@*' | cut -d' ' -f1"
        seen = site.ssh(f"tail -n 1 /srv/{site.app}/shared/state/schema; {workers}").split()
        assert seen == [told.schema, f"{site.app}-worker@{site.version()['slot']}-1.service"]

    def _dumped(self, migrating: bool) -> None:
        """See the dump that the ledger has of the live release's run."""
        told = ledger.story(self.site.ledger())
        line = told.releases[told.live].line
        assert ("restore_point" in line) == migrating, line
        if migrating:
            seen = self.site.ssh(f"sha256sum {line['restore_point']}").split()
            assert seen == [line["restore_point_sha256"], line["restore_point"]]


class Killer(Striker):
    """Kills the driver."""

    def strike(self, driver: Driver, prober: Prober) -> Struck:
        """A machine that dies takes all with it; a killed process group leaves Ansible's own sessions to find out."""
        del prober  # nobody has to be forgiving
        driver.kill(whole=self.chance.random() < 0.7)
        code = driver.process.returncode
        assert code in (-signal.SIGKILL, 0), f"it ended by itself\n{driver.wait()}"
        return Struck(None if code else code)


class Cutter(Striker):
    """Lets nothing through between driver and host for a while, as when a cable is pulled and put back."""

    def strike(self, driver: Driver, prober: Prober) -> Struck:
        """The host, alone, comes to rest while it is cut off; the driver then finds what has become of it."""
        del prober  # clients have another way
        with unreached(self.site, self.site.host, SILENT):
            settled_s = self._alone()
        answer = driver.wait(240)
        assert answer.code in CODES, str(answer)
        return Struck(answer.code, settled_s)

    def _alone(self) -> float:
        """Wait until the cut has been long enough, and return after how many seconds nothing was pending any more."""
        began = time.monotonic()
        settled_s = 0.0
        pending = f"test -e /var/lib/ferryman/pending/{self.site.app} && echo pending"
        while True:
            told, passed_s = within(self.site, self.site.host, pending, check=False), time.monotonic() - began
            if not told and passed_s > CUT_S:
                return settled_s
            settled_s = passed_s if told else settled_s
            assert not told or passed_s < WITHIN_S, "the switch is still pending after its deadline"
            time.sleep(0.3)


class Unplugger(Striker):
    """Takes the host's power away, and gives it back at once."""

    def strike(self, driver: Driver, prober: Prober) -> Struck:
        """It answers by itself, and from its first answer on with one of the two releases; nobody finds half of one."""
        began = time.monotonic()
        with prober.without_power():
            self.site.cut(self.site.host)
            self.site.back(self.site.host)
            while not self._answers():
                assert time.monotonic() - began < ANSWERS_S, "it does not answer by itself"
        away_s = round(time.monotonic() - began, 2)
        answer = driver.wait(240)
        assert answer.code in CODES, str(answer)
        return Struck(answer.code, away_s, away_s)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.site.get()[0] == 200
        return False


def recorded(soak: Soak, known: Known, cases: list[Case], **more: object) -> None:
    """Keep what became of each, and their sums."""
    soak.record(
        cases=[case._asdict() for case in cases],
        deploy=[str(at) for at in known.deploy],
        rollback=[str(at) for at in known.rollback],
        **more,
        went_live=sum(case.new_stands for case in cases),
        requests=sum(case.asked for case in cases),
        failed=0,
        settled_max_s=max(case.settled_s for case in cases),
        confirm_s=CONFIRM_S,
    )


@pytest.mark.soak
def test_soak_kills(site: Site, known: Known, soak: Soak) -> None:
    """A driver killed at any boundary leaves one release that serves, and the same command again finishes."""
    killer, cases = Killer(site, soak.random(), KILLED), list[Case]()
    for number in range(soak.times(sample=1, full=2)):
        killer.delay_s = 1.2 * number  # first at the boundary itself, then somewhere behind it
        cases += killer.through(*drawn(killer.chance, known, soak, deploys=2, rollbacks=1))
    recorded(soak, known, cases, ended_before=sum(case.driver is not None for case in cases))


@pytest.mark.soak
def test_soak_faults(site: Site, known: Known, soak: Soak) -> None:
    """A driver cut off, and a host without power, at any boundary: one release serves, the next command finishes."""
    chance, cases = soak.random(), list[Case]()
    strikers = [Cutter(site, chance, CUT, 1.2), Unplugger(site, chance, POWER, 1.2)]
    for striker in chance.sample(strikers, soak.times(sample=1, full=len(strikers))):
        cases += striker.through(*drawn(chance, known, soak, deploys=1, rollbacks=1))
    recorded(soak, known, cases, away_max_s=max(case.away_s for case in cases))


def drawn(chance: Random, known: Known, soak: Soak, *, deploys: int, rollbacks: int) -> Known:
    """Return all boundaries in an order of their own, or for a sample so many."""
    back = chance.sample(known.rollback, soak.times(sample=rollbacks, full=len(known.rollback)))
    return Known(chance.sample(known.deploy, soak.times(sample=deploys, full=len(known.deploy))), back)
