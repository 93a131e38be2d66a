"""A driver is killed at every boundary that a deploy and a rollback have, as the product itself names them (REL-7)."""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from random import Random
from typing import Any

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger, names
from tests.conftest import Soak
from tests.faults.test_drivers import CONFIRM_S, begin, settles
from tests.support.driving import Answer, Driver
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
BEFORE_START = ("stage", "snapshot", "migrate")
"""Steps of a deploy that a rollback has no use for."""
TURNS = ((True, True), (True, False), (False, True))
"""Deploys in their order: whether one migrates, and whether a rollback follows.

Every second rollback goes over a difference of the schema. What is deployed then migrates: the live release lacks it.
"""
ON_THE_WAY = ("prune", "stop")
"""What the journal tells beside the steps."""


@dataclass(frozen=True)
class Boundary:
    """A moment that somebody tells of: the driver's progress, or (with a `result`) the host's journal."""

    step: str
    result: str = ""

    def __str__(self) -> str:
        return f"{self.step} {self.result}".strip()


@dataclass(frozen=True)
class Kill:
    """What came of one: whether the driver still ran, what was asked for went live all the same, when it settled."""

    killed: bool
    live: bool
    settled_s: float
    asked: int


# What a deploy and a rollback consist of


def tasks(entry: str) -> Iterator[tuple[str, bool]]:
    """Return the tasks of an entry of the role on one host, as people see them, and whether each is always done."""
    return _tasks(yaml.safe_load((TASKS / f"{entry}.yml").read_text()), entry)


def _tasks(told: Iterable[dict[str, Any]], entry: str) -> Iterator[tuple[str, bool]]:
    for task in told:
        if "block" in task:
            yield from _tasks(task["block"], entry)
        elif "ansible.builtin.include_tasks" in task:
            yield from tasks(f"{entry}_one")
        elif (name := task["name"].rpartition(" | ")[2]) not in QUIET:
            yield name, "when" not in task


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
            provisioned = site.run("provision", timeout_s=400)
            assert provisioned.code == 0, str(provisioned)
            yield
    finally:
        for path, text in before.items():
            path.write_text(text)


# Killing


@dataclass
class Killer:
    """Kills drivers of a site at boundaries, up to `delay_s` later, and sees what must hold then."""

    site: Site
    journal: Journal
    chance: Random
    delay_s: float = 0

    def deploy(self, at: Boundary, *, migrating: bool) -> Kill:
        """Kill a deploy. Which one migrates is the ledger's to confirm: of no other it has a dump."""
        text = f"killed at {at}, {time.time_ns()}"
        commit = self.site.repository.commit(version(text, migrating=migrating))
        with Prober(self.site) as prober:
            before, kill = self._killed(at, lambda: begin(self.site, commit), commit[:7])
            self._finished(self.site.deploy(commit), commit[:7])
            assert self.site.version()["text"] == text
        # Until the guard acts clients may be on what the dead driver had begun: whole releases of that commit, no more.
        prober.served_only(before, *(release for release in prober.releases if release.endswith(commit[:7])))
        self._dumped(migrating)
        return replace(kill, asked=prober.asked)

    def rollback(self, at: Boundary) -> Kill:
        """Kill a rollback to the release before, also over a difference of the schema."""
        lines = self.site.ledger()
        present = [str(line["release"]) for line in lines if "release" in line]
        target = ledger.rollback_target(lines, present=present, accept_schema=True).id
        words = ("rollback", "--accept-schema", "--app", self.site.app)
        with Prober(self.site) as prober:
            before, kill = self._killed(at, lambda: self.site.begin(*words, "--env", ENV, "--json"), target)
            if not kill.live:  # else the same words mean the release before that
                self._finished(self.site.run(*words), target)
            self._whole(target)
        prober.served_only(before, target)
        return replace(kill, asked=prober.asked)

    def _killed(self, at: Boundary, start: Any, wanted: str) -> tuple[str, Kill]:
        """Kill what `start` begins; `wanted` is what the release ends with that it leads to."""
        site, before, since = self.site, self.site.served(), len(self.journal.lines)
        driver: Driver = start()
        if at.result:
            found = self.journal.wait_for(at.step, at.result, driver, since=since)
        else:
            found = driver.wait_for_step(at.step)
        assert found, f"{at} never came\n{driver.wait()}"
        time.sleep(self.chance.uniform(0, self.delay_s))
        # A machine that dies takes all with it; a killed process group leaves Ansible's own sessions to find out.
        driver.kill(whole=self.chance.random() < 0.7)
        began = time.monotonic()
        truth = site.arbiter()
        stable = truth["shift"]["release_stable"]
        # The new one is where to go back to only once the ledger has its commit record.
        assert stable == before or (stable.endswith(wanted) and truth["live"] == stable), truth["shift"]
        served = settles(site, WITHIN_S - (time.monotonic() - began))
        settled_s = round(time.monotonic() - began, 2)
        assert served == before or served.endswith(wanted)
        killed = driver.process.returncode == -signal.SIGKILL
        assert killed or served != before, f"it ended by itself\n{driver.wait()}"
        freed = site.run("unlock", "--app", site.app, "--yes")
        assert freed.code == 0, str(freed)
        return before, Kill(killed, served != before, settled_s, 0)

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


@pytest.mark.soak
def test_soak_kills(site: Site, soak: Soak) -> None:
    """A driver killed at any boundary leaves one release that serves, and the same command again finishes."""
    chance, seen = soak.random(), []
    settings = site.settings(release_confirm_s=CONFIRM_S, release_worker_soak_s=0.3)
    with with_everything(site), settings, Journal(site) as journal:
        first = site.deploy(site.repository.commit(version("to go back to", migrating=False)))
        assert first.code == 0, str(first)  # the one that the site began with has no worker
        commit = site.repository.commit(version("to see the steps", migrating=True))
        planned = site.run("plan", "--app", site.app, "--ref", commit)
        steps = [each["step"] for each in planned.said["steps"]]
        others = {*names.RESTORING, *names.AMONG_MANY, *names.SCALING, names.HAND_OVER}
        assert set(steps) == names.BEFORE_COMMIT - others | {"settle"}
        deploys = boundaries(begin(site, commit), "deploy", journal, steps)
        words = ("rollback", "--accept-schema", "--env", ENV, "--app", site.app, "--json")
        steps = [step for step in steps if step not in BEFORE_START]
        rollbacks = boundaries(site.begin(*words), "rollback", journal, steps)
        killer = Killer(site, journal, chance)
        for number in range(soak.times(sample=1, full=2)):
            killer.delay_s = 1.2 * number  # first at the boundary itself, then somewhere behind it
            back = chance.sample(rollbacks, soak.times(sample=1, full=len(rollbacks)))
            there = chance.sample(deploys, soak.times(sample=2, full=len(deploys)))
            for at, (migrating, goes_back) in zip(there, cycle(TURNS), strict=False):
                seen.append(killer.deploy(at, migrating=migrating or at.step in ("snapshot", "migrate")))
                if goes_back and back:
                    seen.append(killer.rollback(back.pop()))
            assert not back
    soak.record(
        kills=len(seen),
        deploy=[str(at) for at in deploys],
        rollback=[str(at) for at in rollbacks],
        ended_before=sum(not kill.killed for kill in seen),
        went_live=sum(kill.live for kill in seen),
        requests=sum(kill.asked for kill in seen),
        failed=0,
        settled_max_s=max(kill.settled_s for kill in seen),
        confirm_s=CONFIRM_S,
    )
