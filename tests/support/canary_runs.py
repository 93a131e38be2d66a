"""Runs of simulated releases through the real verdict, and through what others decide by, counted."""

from __future__ import annotations

import functools
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import verdict
from tests.support import canary_rivals
from tests.support.canary_world import LIMITS, STAGES, Bad, Run, Surroundings, World, any_surroundings

Ended = tuple[str, dict[str, tuple[str, float]]]
"""By which rule a release ended, and by each way how it ended and after how many seconds."""
Map = Callable[[Callable[[int], Ended], Iterable[int]], Iterable[Ended]]
MOST_S = 3600.0  # who holds for so long has asked somebody, and nobody answered


GOOD = Bad()
TICK_S = 5.0
"""How often the verdict on a good release is asked: seldom does one of its requests fail, and a look is long then."""


def nothing(_: Random) -> Surroundings:
    """Nothing at all happens."""
    return Surroundings()


@dataclass(frozen=True)
class Scenario:
    """A kind of release, and at which rate requests come."""

    name: str
    rps: float
    bad: Bad = GOOD
    around: Callable[[Random], Surroundings] = nothing
    tick_s: float = 2.0
    """How often the verdict is asked. On hosts a look that has seen a failure of new, or a request that hangs, ends a
    second later: what fails is asked less often here, and so is found no sooner than there."""
    baseline: bool = False
    """Whether it is compared with processes of the old release that are as young."""

    def world(self, chance: Random) -> World:
        """Make one such world."""
        shares = [share for share, _ in STAGES]
        around = self.around(chance)
        return World(chance, rps=self.rps, bad=self.bad, around=around, shares=shares, baseline=self.baseline)


def quiet(chance: Random) -> Surroundings:
    """Nothing unusual: clients that stay, errors that cling, crawlers."""
    return Surroundings(waves=0.3, crawlers=chance.choice((0, 1)), clinging=chance.random() < 0.5)


def shared_outage(chance: Random) -> Surroundings:
    """Ten to fifteen minutes in which a third of all requests fail, whoever answers."""
    begin = chance.uniform(0, 1500)
    return Surroundings(waves=0.3, outage=(begin, begin + chance.uniform(600, 900), 0.3), clinging=True)


def slow_when_young(chance: Random) -> Surroundings:
    """Processes that are three times as slow for their first minutes: caches fill, code is compiled."""
    return Surroundings(waves=0.3, young_s=chance.uniform(180, 280), young_slower=3.0, clinging=True)


def failing_when_young(chance: Random) -> Surroundings:
    """Processes of which a few requests run into a timeout for their first minutes."""
    return Surroundings(waves=0.3, young_s=chance.uniform(120, 240), young_errors=0.06, clinging=True)


def slow_at_first(chance: Random) -> Surroundings:
    """A new release that is five times as slow for less than half a minute."""
    return Surroundings(waves=0.3, young_s=chance.uniform(15, LIMITS.warm_s), young_slower=5.0, clinging=True)


def unseen_outage(chance: Random) -> Surroundings:
    """Ten to fifteen minutes in which some pages fail, whoever answers, and no probe sees it; once all have new."""
    begin = chance.uniform(1750, 1900)
    return Surroundings(waves=0.3, outage=(begin, begin + chance.uniform(600, 900), 0.3), unseen=True, clinging=True)


HEALTHY = [Scenario(f"healthy, {rps:g} rps", rps, around=any_surroundings, tick_s=TICK_S) for rps in (2, 10, 50)]
HEALTHY += [Scenario("healthy, a shared outage, 10 rps", 10, around=shared_outage, tick_s=TICK_S)]
HEALTHY += [Scenario("healthy, an outage that no probe sees, 10 rps", 10, around=unseen_outage, tick_s=TICK_S)]
HEALTHY += [Scenario("healthy, slow at first, 10 rps", 10, around=slow_at_first, tick_s=TICK_S)]
HEALTHY += [Scenario("healthy, no traffic", 0.001, tick_s=10)]
FAULTY = [
    Scenario("12 % errors, 10 rps", 10, Bad(errors=0.12), quiet),
    Scenario("12 % errors, 50 rps", 50, Bad(errors=0.12), quiet),
    Scenario("6 % errors, 10 rps", 10, Bad(errors=0.06), quiet),
    Scenario("2 % errors, 10 rps", 10, Bad(errors=0.02), quiet),
    Scenario("40 % errors for one client in ten, 10 rps", 10, Bad(errors=0.4, only=0.1), quiet),
    Scenario("12 % errors from half an hour on, 10 rps", 10, Bad(errors=0.12, from_s=1500), quiet),
    Scenario("15 % errors once all have it, 10 rps", 10, Bad(errors=0.15, from_s=1850), quiet),
    Scenario("p95 three times as long, 10 rps", 10, Bad(slower=3.0), quiet),
    Scenario("hangs, 10 rps", 10, Bad(hangs=True), quiet, tick_s=1.0),
]
YOUNG = [
    Scenario(f"healthy, {name}, 10 rps{', a baseline' if baseline else ''}", 10, GOOD, around, TICK_S, baseline)
    for name, around in (("slow when young", slow_when_young), ("failing when young", failing_when_young))
    for baseline in (False, True)
]
"""Each without a baseline, then with one."""
BESIDE_BASELINE = [
    Scenario("healthy, 10 rps, a baseline", 10, around=any_surroundings, tick_s=TICK_S, baseline=True),
    Scenario("12 % errors, 10 rps, a baseline", 10, Bad(errors=0.12), quiet, baseline=True),
    Scenario("12 % errors, failing when young, 10 rps, a baseline", 10, Bad(errors=0.12), failing_when_young, 2, True),
    Scenario("p95 three times as long, 10 rps, a baseline", 10, Bad(slower=3.0), quiet, baseline=True),
]
ALL = HEALTHY + FAULTY + YOUNG + BESIDE_BASELINE
FULL = 10_000
"""How many releases of each kind a soak counts: some three hours of one core in all."""


def ours(world: World, tick_s: float) -> tuple[str, float, str]:
    """Return how a release ends by the verdict, when, and by which rule."""
    run = Run(world, tick_s)
    while run.at < MOST_S:
        run.tick()
        found = verdict.judge(run.evidence(), LIMITS)
        if found.word == verdict.ROLLBACK:
            return found.word, run.at, found.rule
        if found.word == verdict.PROMOTE and not run.advance():
            return found.word, run.at, found.rule
    return found.word, run.at, found.rule


def one(scenario: Scenario, seed: int, number: int) -> Ended:
    """Return how one release ended."""
    world = scenario.world(Random(f"{seed} {scenario.name} {number}"))
    word, at, rule = ours(world, scenario.tick_s)
    slow = scenario.bad.slower > 1
    return f"{word} {rule}", {
        "verdict": (word, at),
        "flagger_10": canary_rivals.flagger(world, 10, duration=slow),
        "flagger_1": canary_rivals.flagger(world, 1, duration=slow),
        "plain": canary_rivals.plain(world),
    }


def count(scenario: Scenario, seed: int, runs: int, over: Map = map) -> dict[str, Any]:
    """Return how often each way ended how, and after how many seconds it was sent back; `over` is a pool's `map`."""
    ends: dict[str, Counter[str]] = {}
    times: dict[str, list[float]] = {}
    rules: Counter[str] = Counter()
    for rule, told in over(functools.partial(one, scenario, seed), range(runs)):
        rules[rule] += 1
        for way, (end, at) in told.items():
            ends.setdefault(way, Counter())[end] += 1
            if end == "rollback":
                times.setdefault(way, []).append(at - scenario.bad.from_s)
    return {
        "scenario": scenario.name,
        "runs": runs,
        "rules": dict(rules),
        "ways": {
            way: {
                "back_percent": round(100 * found["rollback"] / runs, 3),
                "promoted_percent": round(100 * found["promote"] / runs, 3),
                "median_s": round(statistics.median(times[way]), 1) if way in times else None,
                "most_s": round(max(times[way]), 1) if way in times else None,
            }
            for way, found in ends.items()
        },
    }
