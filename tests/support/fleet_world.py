"""A fleet in one process, for thousands of histories: the product's own code, without systemd or network.

    with living(World(tmp_path, Random(1))) as world:
        world.happens()        # one thing, by chance: a step of a driver, a poll, a reboot, a cut, a verdict
        world.comes_to_rest()  # nobody drives, everybody is reached, and all have had their turns

Its times are each host's own: a clock that jumps, and a boot that ends all deadlines.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    afterwards,
    agent,
    arbiter,
    bringing_back,
    commits,
    draining,
    following,
    guard,
    ledger,
    lock,
    names,
    probe,
    settling,
    sharing,
    shift,
    slots,
    steps,
    verifying,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from tests.support.placed import Placed

ARBITER, ENTRIES, APPS = "entry1", ("entry1", "entry2"), ("app1", "app2")
HOSTS = (*ENTRIES, *APPS)
ROLES = {"entry1": ["entry", "arbiter"], "entry2": ["entry"], "app1": ["app"], "app2": ["app"]}
WARM_S, CONFIRM_S, LEASE_S = 300.0, 15.0, 30.0
STAGES = (10, 30)
HASTY = 0.15
"""How often another host may come first where all begin at once.

It waits for the arbiter, here without success, or cannot reach it and goes on: then nobody but a boot of the arbiter,
or the next run, can tell it how that ended.
"""
ABANDONED_S = 5.0
"""So early the timer of a baseline that nobody ever gave clients comes, which else would come to no history."""
SETTINGS = {
    "warm_s": WARM_S, "confirm_s": CONFIRM_S, "drain_s": 30.0, "watch_s": 0.0, "soak_s": 0.0, "worker_soak_s": 0.0,
    "health_consecutive": 1, "start_timeout_s": 5.0, "keep": 50,
}  # fmt: skip
DESCRIBED: dict[str, Any] = {"processes": {}, "health": {}, "metrics": []}
ENTRY = {"domain": "shop.example", "port": 443}


class PowerCut(BaseException):
    """The arbiter is without power, in the middle of whatever it does."""


class There(Placed):
    """The site as one of the hosts has it."""

    @property
    def pending(self) -> Path:
        """The guard's."""
        return self.place / "pending"

    @property
    def follows(self) -> Path:
        """The guard's, too."""
        return self.place / "follows"


@dataclass
class Machine:
    """One host: its time, its boot, whether the arbiter is reached from it, what works on it, and which timers run."""

    boottime: float
    boot: int = 0
    reached: bool = True
    workers: str = ""
    compares: bool = False
    """Whether a baseline was started in this boot, and was not given up since."""
    cooling: list[tuple[float, str, str, float]] = field(default_factory=list)
    """When which slot is stopped, if it still holds which release and has drained for so long."""


@dataclass
class World:
    """The hosts, who drives (or did, and may wake up again), and what is watched."""

    place: Path
    chance: Random
    machines: dict[str, Machine] = field(default_factory=dict)
    here: str = ARBITER
    drivers: list[Iterator[None]] = field(default_factory=list)
    watched: dict[str, Any] = field(default_factory=dict)
    made: int = 0
    fragile: bool = False
    """Whether the arbiter may lose its power now."""
    back: int = 0
    """How many releases were brought back with nobody there."""
    followed: int = 0
    """How often another host heard of that by itself."""
    untold: int = 0
    """How often somebody was in doubt over a run that the arbiter had begun, until that was started again."""
    compared: int = 0
    """How often an entry gave clients to a baseline."""

    def begin(self) -> None:
        """Bring a first release everywhere."""
        for name in HOSTS:
            self.machines[name] = Machine(self.chance.uniform(100, 1e6))
            host = self.host(name)
            if name in ENTRIES:
                host.link(host.site.state / "share", "sets/0")
            else:
                host.directory(host.site.root)
        self.finish(self.deploy(stages=False))

    # Hosts

    def host(self, name: str, run: str = "", token: int = 0) -> Host:
        """Be on a host; what is asked for the time answers as that one."""
        self.here = name
        return Host(There("shop", place=self.place / name), run=run, token=token)

    def now(self) -> lock.Now:
        """The time on the host that one is on."""
        machine = self.machines[self.here]
        return lock.Now(machine.boottime, f"{self.here}-{machine.boot}", "")

    def get(self, _: Any, path: str, *, address: str = "", **__: Any) -> tuple[int, dict[str, str], str]:
        """What the arbiter's entry answers to the host that one is on."""
        if not self.machines[self.here].reached:
            raise OSError("no route")
        file = self.place / address / "state" / "runs" / path.rpartition("/")[2]
        return (200, {}, file.read_text()) if file.exists() else (404, {}, "")

    def state(self, name: str) -> dict[str, Any]:
        """What a host has for stable."""
        return shift.state(self.host(name))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The ledger."""
        return arbiter.lines(self.host(ARBITER))

    # Who drives

    def ask(self, name: str, wanted: list[str], token: int, **request: Any) -> dict[str, Any]:
        """Have a host do steps, as a driver's session does."""
        host, answer = self.host(name, str(request["run"]), token), dict[str, Any](steps=[])
        agent.do(host, {"roles": ROLES[name], "entry": ENTRY, "settings": SETTINGS, "lease_s": LEASE_S,
                        "steps": wanted, **request}, io.BytesIO(), answer)  # fmt: skip
        return answer

    def deploy(self, *, stages: bool) -> Iterator[None]:
        """Bring a new release everywhere, a step at a time, with `stages` beside a baseline on each app host.

        It ends wherever it is refused.
        """
        self.made += 1
        run, release, seal = f"20260101T{self.made:06d}Z-abcdef", f"r{self.made}", f"seal of {self.made}"
        head = self.host(ARBITER, run)
        agent._tidy(head, {"owner": run, "purpose": "deploy", "lease_s": LEASE_S}, {})
        token, stable = head.token, shift.state(head)
        looks = {name: self.state(name) for name in HOSTS}
        slot = names.other(stable["stable"])
        line = {"event": "deploy", "release": release, "previous": stable["release_stable"], "slot": slot, "who": run}
        more = {"run": run, "release": release, "slot": slot, "line": line, "description": DESCRIBED}
        asks = {"address": ARBITER, "seal": seal, **ENTRY}
        sealed = {name: {"seal": seal} if name == ARBITER else {"asks": asks} for name in HOSTS}
        try:
            yield
            for name in HOSTS:
                if name != ARBITER:
                    self._mend(name, looks[name], stable, token, more)
                    yield
            self.ask(ARBITER, ["stage"], token, **more, **sealed[ARBITER])
            for name in APPS:
                self.ask(name, ["start"], token, **more, baseline=stages)
                yield
            yield from self._moves(token, more, sealed, stages=stages)
            for name in HOSTS:
                self.ask(name, ["workers", "hold"], token, **more)
                yield
            back = {"release": stable["release_stable"], "description": DESCRIBED}
            after = {"since": 0, "log": "", "salt": "", "limits": {}, "entries": {"entry2": "entry2"}, "back": back}
            told = {"after": after} if stages and back["release"] else {}
            self.ask(ARBITER, ["commit"], token, **more, **sealed[ARBITER], watched=bool(told))
            yield
            follow = []
            for name in HOSTS[1:]:
                follow.append(self.ask(name, ["settle"], token, ledger=[], **more, **told).get("follows"))
                yield
            self.ask(ARBITER, ["settle"], token, **more, **(told if all(follow) else {}))
        except Failed:
            end = ""
            for name in HOSTS:
                with contextlib.suppress(Failed):
                    answer = self.ask(name, ["return"], token, **more, **sealed[name], reason="refused", end=end)
                    end = end or ("live" if answer.get("committed") else "returned") * (name == ARBITER)
                yield

    def _moves(self, token: int, more: Any, sealed: Any, *, stages: bool) -> Iterator[None]:
        """Send everyone to the new release, with `stages` some of them before; app hosts only wait meanwhile."""
        patience = {"patience_s": 60.0 * stages}
        order = [ARBITER, *self.chance.sample(HOSTS[1:], len(HOSTS) - 1)]
        if stages and self.chance.random() < HASTY:
            self.chance.shuffle(order)
        elif stages and self.chance.random() < 0.5:
            order.sort(key=lambda name: self.machines[name].reached)
        for name in order:
            if stages and name in ENTRIES:
                self._share(name, STAGES[0], token, {**more, **sealed[name]})
            else:
                self.ask(name, ["switch"], token, **more, **sealed[name], **(patience if name in APPS else {}))
            yield
        for percent in STAGES[1:] * stages:
            for name in ENTRIES:
                self._share(name, percent, token, more, place=[])
                yield
        for name in ENTRIES * stages:
            self.ask(name, ["switch"], token, **more, ends={"percent": STAGES[-1], "verdict": {}})
            yield

    def _share(self, name: str, percent: int, token: int, more: Any, **told: Any) -> None:
        """Have an entry give the new release a share of its clients, and the baseline as many."""
        log = {"log": str(self.place / "access.json"), "salt": "", "hang_s": 2, "for_s": 1}
        self.ask(name, ["share"], token, **more, share={**log, "percent": percent, "baseline": True, **told})
        self.compared += 1

    def _mend(self, name: str, seen: Any, stable: Any, token: int, more: Any) -> None:
        """Do as the driver's task does with a host that has something else for stable than the arbiter."""
        to = {"slot": stable["stable"], "release": stable["release_stable"]}
        if seen["phase"] == "stable" and (seen["stable"], seen["release_stable"]) == (*to.values(),):
            return
        end = "live" if ledger.committed(self.lines, str(seen.get("run", ""))) else "returned"
        by, told = stable.get("stable_run", {}), {**to, "end": end, "left_out": False}
        if by.get("undoes") and by["undoes"] == seen.get("stable_run", {}).get("run"):
            told["back"] = {**to, "by": by["run"], "token": stable["token"]}
        self.ask(name, ["mend"], token, **more, arbiter=told)

    def finish(self, driver: Iterator[None], *, each_s: float = 0) -> None:
        """Have a driver come to his end, with so many seconds for each of his steps."""
        for _ in driver:
            for machine in self.machines.values():
                machine.boottime += each_s
            for name in HOSTS * bool(each_s):
                self.poll(name)

    # What happens

    def happens(self) -> None:
        """Let one thing happen."""
        name = self.chance.choice(HOSTS)
        acts = [self.poll, self.poll, self.poll, self.look, self.drive, self.drive, self.drive, self.passes]
        self.chance.choice([*acts, self.cut, self.boot, self.vanish])(name)

    def poll(self, name: str) -> None:
        """Give a host's guard its turn, and the timers by which slots are stopped."""
        machine = self.machines[name]
        due = [timer for timer in machine.cooling if timer[0] <= machine.boottime]
        machine.cooling = [timer for timer in machine.cooling if timer not in due]
        for _, slot, release, drain_s in due:
            settling.cool(self.host(name), slot, release, drain_s=drain_s)
            machine.compares &= slot != names.BASELINE  # nobody came for so long that it was given up
        host, before = self.host(name), self.state(name).get("stable_run", {}).get("run")
        if host.site.pending.exists():
            guard._look_after(host)
        if host.site.follows.exists():
            guard._follow(self.host(name))
        after = self.state(name).get("stable_run", {}).get("run")
        self.followed += before != after and after in self.by_nobody

    @property
    def by_nobody(self) -> set[str]:
        """The runs that brought a release back."""
        return {str(line["run"]) for line in self.lines if (line["status"], line.get("who")) == ("live", "guard")}

    def look(self, _: str) -> None:
        """Have the watch look, and find that the release has turned bad; its host may lose its power over it."""
        if not self.watched:
            return
        host, before, self.fragile = self.host(ARBITER), len(self.by_nobody), True
        try:
            over = not afterwards._goes_on(host, self.watched) or bringing_back.bring_back(
                host, self.watched, {"sentence": "bad"}, goes_on=afterwards._goes_on
            )
        except PowerCut:
            self.fragile = False
            self.boot(ARBITER)
        else:
            if over:
                self.watched = {}
                if shift.state(host)["phase"] == "stable":
                    commits.stays(host)
        finally:
            self.fragile = False
        self.back += len(self.by_nobody) - before

    def drive(self, _: str) -> None:
        """Have somebody drive on, or begin; whoever was thought to be gone may wake up."""
        if not self.drivers or (len(self.drivers) < 2 and self.chance.random() < 0.1):
            self.drivers.append(self.deploy(stages=True))
        driver = self.chance.choice(self.drivers)
        try:
            for _step in range(self.chance.choice([1, 1, 3, 30])):
                next(driver)
        except (StopIteration, Failed):  # done, or the lock is somebody else's
            self.drivers.remove(driver)

    def vanish(self, _: str) -> None:
        """Have nobody drive any more."""
        self.drivers.clear()

    def passes(self, _: str) -> None:
        """Let time pass, on each host by its own clock."""
        seconds = self.chance.choice([1, 5, 20, 40, 400])
        for machine in self.machines.values():
            machine.boottime += seconds * self.chance.uniform(0.9, 1.1)

    def cut(self, name: str) -> None:
        """Cut a host off from the arbiter, or have it reached again."""
        self.machines[name].reached = not self.machines[name].reached or name == ARBITER

    def boot(self, name: str) -> None:
        """Start a host again."""
        machine = self.machines[name]
        machine.boot, machine.boottime, machine.workers = machine.boot + 1, self.chance.uniform(1, 30), ""
        machine.compares = False
        machine.cooling.clear()
        if name == ARBITER:
            self.watched = {}
        guard._settle_at_boot(self.host(name))

    def comes_to_rest(self) -> None:
        """Have nobody drive, everybody be reached, and each have his turn until nothing changes any more."""
        self.drivers.clear()
        for machine in self.machines.values():
            machine.reached = True
        self._turns()
        untold = {str(self.state(name)["run"]) for name in HOSTS if self.state(name)["phase"] != "stable"}
        assert not any(commits.stands(self.host(ARBITER), run) for run in untold), "whoever may know is told"
        if untold:
            self.untold += 1
            self.boot(ARBITER)
            self._turns()

    def _turns(self) -> None:
        for _ in range(6):
            for machine in self.machines.values():
                machine.boottime += WARM_S + 1
            self.look("")
            for name in HOSTS:
                self.poll(name)


@contextlib.contextmanager
def living(world: World) -> Iterator[World]:
    """Have the product's code act in a world that begins: its time, its network; of systemd only where workers are."""

    def start(host: Host, slot: str, name: str, **_: Any) -> None:
        machine = world.machines[host.site.state.parent.name]
        machine.cooling = [timer for timer in machine.cooling if timer[1] != slot]
        machine.compares |= slot == names.BASELINE
        host.link(host.site.slot(slot), f"../releases/{name}")

    def cool_later(host: Host, slot: str, *, after_s: float) -> None:
        if release := slots.holds(host, slot):
            cooling = world.machines[host.site.state.parent.name].cooling
            cooling.append((world.now().boottime + after_s, slot, release, after_s))

    def workers(host: Host, slot: str = "", **_: Any) -> None:
        if host.site.root.exists():
            world.machines[host.site.state.parent.name].workers = slot

    def watched(_: Host, request: Any, **more: Any) -> None:
        keys = ("run", "slot", "release", "roles", "entry", "settings", "after")
        if "arbiter" in request["roles"]:
            world.watched = {**{key: request[key] for key in keys}, **more}

    def moved(host: Host, percent: int, **more: Any) -> None:
        set_share(host, percent, **more)
        if world.fragile and world.chance.random() < 0.2:
            raise PowerCut

    def nothing(*_: Any, **__: Any) -> Any:
        return {}

    set_share, described = shift.set_share, {"processes": {"web": {"kind": "web", "command": "x"}}}
    told: list[tuple[Any, str, Any]] = [
        (os, "fsync", nothing), (Host, "systemctl", nothing), (Host, "journal", nothing), (shift, "get", world.get),
        (shift, "set_share", moved), (shift, "verify", nothing), (shift, "read_back", nothing),
        (probe, "pass_gate", nothing), (probe, "require_well", nothing),
        (verifying, "at_slot", nothing), (verifying, "through_entry", nothing),
        (draining, "wait", lambda *_, **__: 0), (settling, "cool_later", cool_later),
        (steps, "ABANDONED_S", ABANDONED_S), (slots, "record", lambda *_: described),
        (slots, "instances", lambda *_, **__: []),
        (settling, "prune", lambda *_, **__: []), (slots, "start", start), (slots, "stop", nothing),
        (slots, "bring_up", nothing), (slots, "enable", nothing), (slots, "rest", workers),
        (slots, "move_workers", workers), (slots, "has_background", lambda host, _: host.site.root.exists()),
        (slots, "moving_takes", lambda *_: 0.0), (following, "knows_how", lambda: True),
        (afterwards, "_start", watched), (commits, "BEGUN_S", 0.0), (commits, "BEGUN_EVERY_S", 0.0),
    ]  # fmt: skip
    told += [(module, "now", world.now) for module in (shift, guard, arbiter, afterwards, settling, sharing, draining)]
    with pytest.MonkeyPatch.context() as patch:
        for where, what, instead in told:
            patch.setattr(where, what, instead)
        world.begin()
        yield world
