"""Who may change a site, over thousands of contests with paused owners, reboots and clocks that jump.

Requirements: REL-9.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import lock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

NOW = lock.Now(boottime=100.0, boot="one", utc="2026-11-22T10:30:00Z")


def taken(held: dict[str, Any], now: lock.Now = NOW, run: str = "a", lease_s: float = 30) -> dict[str, Any]:
    return lock.take(held, now, run=run, owner=f"{run}@desk", purpose="deploy", lease_s=lease_s, until="10:31")


def later(seconds: float, boot: str = "one") -> lock.Now:
    return NOW._replace(boottime=NOW.boottime + seconds, boot=boot)


def test_another_is_told_who_holds_it_since_when_and_until_when() -> None:
    with pytest.raises(lock.Held) as held:
        taken(taken({}), run="b")
    for word in ("a@desk", "deploy", "2026-11-22T10:30:00Z", "10:31"):
        assert word in str(held.value)


def test_a_lease_ends_by_time_and_by_a_reboot() -> None:
    held = taken({})
    assert lock.alive(held, later(29.9))
    assert not lock.alive(held, later(30))
    assert not lock.alive(held, later(1, boot="two"))
    assert taken(held, later(31), run="b")["token"] == 2


def test_its_holder_may_take_it_again_and_keeps_his_token() -> None:
    held = taken(taken({}), later(10))
    assert (held["token"], held["expires"]) == (1, 140.0)


def test_a_lease_that_ran_out_is_taken_up_again_if_nobody_came_in_between() -> None:
    held = taken({})
    assert lock.renew(held, later(500), run="a", token=1, lease_s=30)["expires"] == 630.0
    between = taken(held, later(31), run="b")
    with pytest.raises(lock.Lost, match="b@desk"):
        lock.renew(between, later(40), run="a", token=1, lease_s=30)


def test_freeing_is_for_the_holder_alone() -> None:
    held = taken({})
    assert lock.free(held, run="b") == held
    assert not lock.free(held, run="a")["held"]


def test_breaking_it_puts_the_token_above_what_any_host_has_seen() -> None:
    broken = lock.break_(taken({}), NOW, by="b@desk", seen=7)
    assert (broken["token"], broken["held"]) == (8, False)
    assert taken(broken, run="b")["token"] == 9


def test_whose_lock_was_broken_reads_by_whom_and_when_and_who_came_then() -> None:
    broken = lock.break_(taken({}), NOW, by="b@desk")
    with pytest.raises(lock.Lost) as lost:
        lock.renew(broken, NOW, run="a", token=1, lease_s=30)
    assert str(lost.value).endswith("b@desk broke it by `unlock` at 2026-11-22T10:30:00Z")
    with pytest.raises(lock.Lost, match=r"b@desk broke it .*, and c@desk \(deploy\) came in between"):
        lock.renew(taken(broken, run="c"), NOW, run="a", token=1, lease_s=30)
    with pytest.raises(lock.Lost) as lost:
        lock.renew(taken(broken, later(1), run="c"), NOW, run="another", token=1, lease_s=30)
    assert "unlock" not in str(lost.value), "its own was never broken"


def test_a_lock_file_that_was_lost_gives_no_token_twice() -> None:
    assert lock.take({}, NOW, run="b", owner="b", purpose="", lease_s=1, seen=41)["token"] == 42


# Waiting in line

BEAT_S = 15.0


def lined_up(queue: dict[str, Any], *runs: str, now: lock.Now = NOW) -> dict[str, Any]:
    for run in runs:
        queue = lock.line_up(queue, now, run=run, owner=f"{run}@desk", purpose="deploy", beat_s=BEAT_S)
    return queue


def in_line(queue: dict[str, Any], now: lock.Now = NOW) -> list[str]:
    return [each["run"] for each in lock.before(queue, now, run="")]


def test_who_waits_keeps_his_place_and_is_told_who_comes_before() -> None:
    queue = lined_up(lined_up({}, "a", "b", "c"), "a", "b", "c", now=later(10))
    assert [each["run"] for each in lock.before(queue, later(10), run="c")] == ["a", "b"]
    assert lock.before(queue, later(10), run="a") == []
    assert in_line(lock.step_out(queue, run="b"), later(10)) == ["a", "c"]


def test_nobody_comes_in_before_those_who_wait_although_the_lock_is_free() -> None:
    queue = lined_up({}, "a", "b")
    with pytest.raises(
        lock.Behind, match=r"a@desk waits for the lock .deploy. since 2026.*comes first; 1 more after that"
    ):
        lock.take({}, NOW, run="c", owner="c", purpose="", lease_s=30, queue=queue)
    with pytest.raises(lock.Behind, match=r"comes first$"):
        lock.take({}, NOW, run="b", owner="b", purpose="", lease_s=30, queue=queue)
    assert lock.take({}, NOW, run="a", owner="a", purpose="", lease_s=30, queue=queue)["run"] == "a"


def test_a_number_is_never_given_out_twice() -> None:
    queue = lock.step_out(lined_up({}, "a"), run="a")
    assert [each["number"] for each in lined_up(queue, "b")["tickets"]] == [2]


def test_after_a_reboot_each_who_says_that_he_is_there_keeps_his_place() -> None:
    queue, booted = lined_up({}, "a", "b", "c"), lock.Now(boottime=2, boot="two")
    assert in_line(queue, booted) == [], "nobody else waits for those who may be gone"
    queue = lined_up(queue, "c", now=booted)
    assert in_line(queue, booted) == ["a", "b", "c"], "they have as long again to say so"
    queue = lined_up(queue, "b", "c", now=booted._replace(boottime=booted.boottime + BEAT_S))
    assert in_line(queue, booted._replace(boottime=booted.boottime + BEAT_S)) == ["b", "c"]


class Line(RuleBasedStateMachine):
    """Runs that come, wait, die and are served, at an arbiter that is started again at times and whose clock jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, Any] = {}
        self.queue: dict[str, Any] = {}
        self.now = NOW
        self.boots = 1
        self.hasty = 0
        self.came: list[str] = []
        """Who waits and lives, in the order of coming."""
        self.heard: dict[str, float] = {}
        """When each was last heard of, in seconds since the beginning."""
        self.elapsed = 0.0
        self.asked: float | None = 0.0
        """When somebody first lined up since the arbiter was started: from then on all others have their time again."""

    def at(self, place: int) -> str:
        return self.came[place % len(self.came)]

    def hear(self, run: str) -> None:
        self.queue = lined_up(self.queue, run, now=self.now)
        self.heard[run] = self.elapsed
        self.asked = self.elapsed if self.asked is None else self.asked

    @rule(seconds=st.sampled_from([0.5, 4, 14, 40]), clock=st.text(max_size=3))
    def time_passes(self, seconds: float, clock: str) -> None:
        """Everybody who lives says so in time, as drivers do."""
        while seconds > 0:
            step = min(seconds, BEAT_S / 2)
            self.elapsed, seconds = self.elapsed + step, seconds - step
            self.now = self.now._replace(boottime=self.now.boottime + step, utc=clock)
            for run in self.came:
                self.hear(run)

    @rule()
    def comes(self) -> None:
        self.came.append(f"run-{len(self.heard)}")
        self.hear(self.came[-1])

    @precondition(lambda self: self.came)
    @rule(place=st.integers(0, 9))
    def dies(self, place: int) -> None:
        self.came.remove(self.at(place))

    @precondition(lambda self: self.came)
    @rule(place=st.integers(0, 9))
    def gives_up(self, place: int) -> None:
        run = self.at(place)
        self.came.remove(run)
        self.queue = lock.step_out(self.queue, run=run)

    @precondition(lambda self: self.came)
    @rule(place=st.integers(0, 9))
    def tries(self, place: int) -> None:
        run, before = self.at(place), self.held
        gone = [other for other in self.heard if other not in self.came]
        try:
            self.held = taken_in_turn(before, self.queue, self.now, run)
        except lock.Held:
            assert lock.alive(before, self.now)
        except lock.Behind as behind:
            first = behind.tickets[0]["run"]
            lives = first in self.came and self.came.index(first) < self.came.index(run)
            assert self.asked is not None, "nobody waits for those who may be gone"
            silent_s = self.elapsed - max(self.heard[first], self.asked)
            assert lives or (first in gone and silent_s < BEAT_S), "he is never coming"
        else:
            assert not lock.alive(before, self.now), "a lease that runs is nobody else's"
            assert run == self.came[0], "somebody who came before him waits"
            self.came.remove(run)
            self.queue = lock.step_out(self.queue, run=run)

    @rule()
    def comes_without_waiting(self) -> None:
        before = self.held
        self.hasty += 1
        try:
            self.held = taken_in_turn(before, self.queue, self.now, f"hasty-{self.hasty}")
        except (lock.Held, lock.Behind):
            return
        assert not lock.alive(before, self.now)
        assert not self.came, "somebody waits"

    @rule()
    def ends(self) -> None:
        self.held = lock.free(self.held, run=str(self.held.get("run")))

    @rule()
    def is_started_again(self) -> None:
        self.boots += 1
        self.now, self.asked = lock.Now(boottime=1.0, boot=str(self.boots)), None
        for run in reversed(self.came):  # whoever is heard of first takes nobody's place
            self.hear(run)

    @invariant()
    def order_is_that_of_coming(self) -> None:
        there = [run for run in in_line(self.queue, self.now) if run in self.came]
        assert there == self.came


def taken_in_turn(held: dict[str, Any], queue: dict[str, Any], now: lock.Now, run: str) -> dict[str, Any]:
    return lock.take(held, now, run=run, owner=run, purpose="", lease_s=30, queue=queue)


TestLine = Line.TestCase
TestLine.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)


@dataclass
class Driver:
    """Whoever deploys: what he believes to hold, and until when he sleeps."""

    run: str
    token: int = 0
    asleep_until: float = 0


@dataclass
class World:
    """An arbiter with its lock, hosts that remember tokens, and drivers that come, sleep, die and come back."""

    chance: Random
    held: dict[str, Any] = field(default_factory=dict)
    now: lock.Now = NOW
    hosts: list[int] = field(default_factory=lambda: [0, 0, 0])
    drivers: list[Driver] = field(default_factory=list)
    given: dict[int, str] = field(default_factory=dict)
    """Which run was given which token."""
    accepted: list[list[int]] = field(default_factory=lambda: [[], [], []])
    """The tokens that each host let act, in order."""
    elapsed: float = 0
    boots: int = 1

    def step(self) -> None:
        pause = self.chance.choice([0.1, 1, 5, 40])
        self.elapsed += pause
        self.now = self.now._replace(
            boottime=self.now.boottime + pause, utc=str(self.chance.random())
        )  # a clock that jumps
        awake = [driver for driver in self.drivers if driver.asleep_until <= self.elapsed]
        driver = self.chance.choice(awake) if awake else None
        act = self.chance.choice(
            ["come", "come", "act", "act", "act", "act", "renew", "free", "sleep", "sleep", "reboot", "break", "lose"]
        )
        if act == "come":
            self.come()
        elif act == "reboot" and self.chance.random() < 0.3:
            self.boots += 1
            self.now = lock.Now(boottime=self.chance.random() * 50, boot=str(self.boots))
        elif act == "break" and self.chance.random() < 0.3:
            self.held = lock.break_(self.held, self.now, by="somebody", seen=max(self.hosts))
        elif act == "lose" and self.chance.random() < 0.2:
            self.held = {}  # the file is gone; the arbiter is the first host and remembers its token
        elif driver:
            self.drive(driver, act)

    def come(self) -> None:
        run = f"run-{len(self.drivers)}"
        before = self.held
        try:
            self.held = lock.take(before, self.now, run=run, owner=run, purpose="", lease_s=30, seen=self.hosts[0])
        except lock.Held:
            assert lock.alive(before, self.now)
            return
        assert not lock.alive(before, self.now), "a lease that runs is nobody else's"
        token = int(self.held["token"])
        self.drivers.append(Driver(run, token))
        assert token not in self.given or token > self.hosts[0]
        self.given[token] = run
        self.hosts[0] = max(self.hosts[0], token)  # as the look does that takes the lock

    def drive(self, driver: Driver, act: str) -> None:
        if act == "sleep":
            driver.asleep_until = self.elapsed + self.chance.choice([5, 50, 500])
        elif act == "free":
            self.held = lock.free(self.held, run=driver.run)
        elif act == "renew":
            self.renew(driver)
        else:
            self.act(driver)

    def renew(self, driver: Driver) -> bool:
        try:
            self.held = lock.renew(self.held, self.now, run=driver.run, token=driver.token, lease_s=30)
        except lock.Lost:
            return False
        return True

    def act(self, driver: Driver) -> None:
        """As a session does: the arbiter renews the lease first, every host admits the token or does not."""
        for number in range(len(self.hosts)):
            if number == 0 and not self.renew(driver):
                return
            if driver.token >= self.hosts[number]:
                self.hosts[number] = driver.token
                self.accepted[number].append(driver.token)


@pytest.mark.soak
def test_soak_lock(soak: Any) -> None:
    """However owners pause, hosts reboot and clocks jump, no host lets anybody act who had been replaced."""
    chance, contests, acts = soak.random(), soak.times(sample=400, full=20_000), 0
    for _ in range(contests):
        world = World(chance)
        for _ in range(80):
            world.step()
        for tokens in world.accepted:
            assert tokens == sorted(tokens), "a host let somebody act who had been replaced"
            acts += len(tokens)
    soak.record(contests=contests, acts=acts, broken=0)
