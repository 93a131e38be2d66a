"""A simulated release: clients that stay, come back and differ, two arms, and what an entry would have counted.

No request is simulated: of each client it matters when it is seen first, when it fails first and when it first waits
longer than a level; of each minute, how many requests came and failed. Those are drawn from their distributions.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import (
    LEVELS_S,
    Arm,
    Clients,
    Draw,
    Evidence,
    Minute,
    Waiting,
    again,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.gathering import Counts
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.limits import Limits
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import bin_of

if TYPE_CHECKING:
    from random import Random

STAGES = ((0.10, 300.0), (0.25, 600.0), (0.50, 900.0), (1.0, 600.0))
"""Shares and times of REL-4, and the watch."""
BASE_ERRORS = 0.005
PER_RPS = 150  # clients of forty minutes for each request per second: sixteen requests a client
MEDIAN_S, SIGMA = 0.08, 0.8  # of how long a request takes: p95 is 0.3 s
LIMITS = Limits()


@dataclass(frozen=True)
class Bad:
    """What is wrong with the new release; nothing by default."""

    errors: float = 0.0
    """The share of requests that fail in all; of `only`, the share of clients to whom it happens."""
    only: float = 1.0
    slower: float = 1.0
    """How many times as long a request takes."""
    hangs: bool = False
    from_s: float = 0.0
    """When it begins."""


@dataclass(frozen=True)
class Surroundings:
    """What is no release's fault."""

    waves: float = 0.0
    """How far load swings around its mean, 0 to 1."""
    outage: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """From when to when which share of requests fails, whoever answers."""
    unseen: bool = False
    """Whether an outage is of some pages alone, which fail always, and never of what probes ask for."""
    restarts: tuple[float, ...] = ()
    """When what both need is restarted: for some seconds all fail."""
    flutter: float = -1.0
    """When one of new's processes is restarted: for two seconds a third of its requests fail."""
    crawlers: int = 0
    movers: float = 0.0
    """The share of clients whose address changes every few minutes while their cookie stays."""
    young_s: float = 0.0
    """For how long processes that were just started are slow, or fail, of whichever release."""
    young_slower: float = 1.0
    young_errors: float = 0.0
    clinging: bool = False
    """Whether a few clients see most of the failures."""


RESTART_S, FLUTTER_S = 8.0, 2.0
REPLAYABLE = 0.7  # of requests, those that read, and are not behind a login


def any_surroundings(chance: Random) -> Surroundings:
    """Draw what may happen within forty minutes of an ordinary day, and of a bad one."""
    begin = chance.uniform(0, 2000)
    outage = (begin, begin + chance.uniform(60, 900), chance.choice((0.08, 0.15, 0.3, 0.7)))
    return Surroundings(
        waves=chance.choice((0.0, 0.3, 0.8)),
        outage=outage if chance.random() < 0.4 else (0.0, 0.0, 0.0),
        unseen=chance.random() < 0.5,
        restarts=tuple(chance.uniform(0, 2400) for _ in range(chance.choice((0, 0, 1, 2)))),
        flutter=chance.uniform(0, 2400) if chance.random() < 0.2 else -1.0,
        crawlers=chance.choice((0, 1, 3)),
        movers=chance.choice((0.0, 0.05)),
        clinging=chance.random() < 0.7,
    )


@dataclass
class Client:
    """One address: its share of all requests, of all failures, and its bucket (0 to 1)."""

    activity: float
    clings: float
    bucket: float


def population(chance: Random, rps: float, around: Surroundings) -> list[Client]:
    """Return clients whose activity is Pareto's with shape 1.5: a tenth of them make half of all requests."""
    count = max(60, int(PER_RPS * rps))
    weights = [min((1 - chance.random()) ** (-1 / 1.5), 400.0) for _ in range(count)]
    total = sum(weights)
    weights += [total * 0.05] * around.crawlers
    buckets = [chance.randrange(100) / 100 for _ in weights]
    for at in range(int(around.movers * count)):  # it comes as six, one after the other: the bucket is one
        weights[at] /= 6
        weights += [weights[at]] * 5
        buckets += [buckets[at]] * 5
    total = sum(weights)
    cling = [chance.random() ** 8 * 8 + 0.05 if around.clinging else 1.0 for _ in weights]
    failures = sum(w * c for w, c in zip(weights, cling, strict=True))
    return [Client(w / total, w * c / failures, b) for w, c, b in zip(weights, cling, buckets, strict=True)]


class World:
    """A release that is as it is, among clients and in surroundings that are as they are."""

    def __init__(
        self,
        chance: Random,
        *,
        rps: float,
        bad: Bad,
        around: Surroundings,
        shares: list[float],
        baseline: bool = False,
    ) -> None:
        self.baseline = baseline
        self.chance, self.rps, self.bad, self.around = chance, rps, bad, around
        self.clients = population(chance, rps, around)
        self.clients.sort(key=lambda each: each.bucket)
        self.phase = chance.uniform(0, 2 * math.pi)
        self.arms = {share: Split(self.clients, share, baseline=baseline) for share in shares}

    def load(self, at: float) -> float:
        """Return requests per second."""
        return self.rps * (1 + self.around.waves * math.sin(self.phase + at / 1200 * 2 * math.pi))

    def failing(self, begin: float, end: float) -> tuple[float, float]:
        """Return the mean share of requests that fail for everybody, and that fails for new alone, in a time."""
        around = self.around
        shared = _overlap(begin, end, around.outage[0], around.outage[1]) * around.outage[2]
        shared += sum(_overlap(begin, end, each, each + RESTART_S) for each in around.restarts)
        new = _overlap(begin, end, self.bad.from_s, math.inf) * max(self.bad.errors - BASE_ERRORS, 0.0)
        if around.flutter >= 0:
            new += _overlap(begin, end, around.flutter, around.flutter + FLUTTER_S) / 3
        return min(shared, 1.0), min(new, 1.0)

    def arms_failing(self, begin: float, end: float) -> list[float]:
        """Return the mean share of requests that fail with each arm in a time, beside what always does."""
        shared, new = self.failing(begin, end)
        young = _overlap(begin, end, 0.0, self.around.young_s) * self.around.young_errors
        return [min(shared + new + young, 1.0), min(shared + (young if self.baseline else 0.0), 1.0), shared]

    def slower(self, arm: int, at: float) -> float:
        """Return how many times as long a request takes with an arm at a time."""
        young = at < self.around.young_s and (arm == NEW or (arm == OLD and self.baseline))
        return (self.bad.slower if arm == NEW else 1.0) * (self.around.young_slower if young else 1.0)

    def chance_of(self, share: float) -> float:
        """Return the chance by which an event is of new."""
        return 0.5 if self.baseline and share <= 0.5 else share


NEW, OLD, REST = 0, 1, 2
"""The arms; `OLD` is the baseline where there is one, and all others are the rest."""


class Split:
    """The clients of the arms at a share; the first `border` of them have new, those from `last` on old."""

    def __init__(self, clients: list[Client], share: float, *, baseline: bool = False) -> None:
        buckets = [each.bucket for each in clients]
        self.border = bisect_left(buckets, share - 1e-9)
        self.last = bisect_left(buckets, 1 - min(share, 1 - share) - 1e-9) if baseline else self.border
        self.numbers = (range(self.border), range(self.last, len(clients)), range(self.border, self.last))
        self.active = tuple(list(accumulate(clients[at].activity for at in numbers)) for numbers in self.numbers)
        self.clinging = tuple(list(accumulate(clients[at].clings for at in numbers)) for numbers in self.numbers)

    def activity(self, arm: int) -> float:
        """Return which share of all requests an arm gets."""
        return self.active[arm][-1] if self.active[arm] else 0.0


def _overlap(begin: float, end: float, first: float, last: float) -> float:
    return max(0.0, min(end, last) - max(begin, first)) / (end - begin)


def poisson(chance: Random, mean: float) -> int:
    """Draw a count; of a large mean by the normal distribution, which is near enough."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count


def exceeds(level: float, slower: float = 1.0) -> float:
    """Return the share of requests that take longer than `level` seconds."""
    return 0.5 * math.erfc(math.log(level / (MEDIAN_S * slower)) / (SIGMA * math.sqrt(2)))


def _bins(slower: float) -> list[tuple[int, float]]:
    """Return a coarse sketch of how long requests take: bins, and the share of each."""
    edges = [MEDIAN_S * slower * math.exp(SIGMA * z) for z in (-3, -2, -1, -0.5, 0, 0.5, 1, 1.4, 1.6, 1.8, 2, 2.3, 2.7)]
    shares = [1.0, *(exceeds(edge, slower) for edge in edges), 0.0]
    places = [edges[0] * 0.7, *(math.sqrt(a * b) for a, b in pairwise(edges)), edges[-1] * 1.4]
    return [(bin_of(place), a - b) for place, (a, b) in zip(places, pairwise(shares), strict=True)]


class Run:
    """What the entries have counted so far, and how the release stands."""

    def __init__(self, world: World, tick_s: float) -> None:
        self.world, self.tick_s = world, tick_s
        self.at = self.since = 0.0
        self.stage = 0
        self.draws = {(0, -1): Counts(world.chance_of(STAGES[0][0]))}
        self.past: list[Draw] = []
        self.minutes: list[Minute] = []
        self.second = world.chance.uniform(0, 60)  # of a minute, at which the first client is moved
        self.replayed: list[tuple[float, int, int]] = []
        self.people = People(world)
        self.known = self._failing_before() & self._failing_before()
        self.failed = dict.fromkeys(self.known, SPENT)
        self.answered: list[tuple[int, int]] = []
        self.hanging = 0
        self.bins = {factor: _bins(factor) for factor in _factors(world)}
        self.firsts = Firsts(world, tick_s)
        self.people.begin(self.firsts)

    @property
    def until(self) -> float:
        """When the stage's time is over."""
        return self.since + STAGES[self.stage][1]

    def advance(self) -> bool:
        """Go to the next stage; answer whether there was one."""
        if self.stage + 1 == len(STAGES):
            return False
        self.stage += 1
        self.since = self.at
        self.past += [each.draw() for each in self.draws.values()]
        share = STAGES[self.stage][0]
        self.people.begin(self.firsts, at=self.at)
        self.draws = {(self.stage, -1): Counts(self.world.chance_of(share))}
        for before in () if self.world.baseline else range(self.stage):
            self.draws[self.stage, before] = Counts(again(STAGES[before][0], share))
        return True

    def _failing_before(self) -> frozenset[int]:
        """Draw who fails in one half of the time before the first client is moved."""
        clings = list(accumulate(client.clings for client in self.world.clients))
        count = poisson(self.world.chance, KNOWN_S / 2 * self.world.rps * BASE_ERRORS)
        return frozenset(self.world.chance.choices(range(len(clings)), cum_weights=clings, k=count))

    def evidence(self) -> Evidence:
        """Return what a verdict is given now."""
        within = LIMITS.hang_s + 10
        recent = self.answered[-round(within / self.tick_s) :]
        answered = (sum(new for new, _ in recent), sum(old for _, old in recent))
        return Evidence(
            now=self.at,
            since=self.since,
            until=self.until,
            share=STAGES[self.stage][0],
            draws=[*self.past, *(each.draw() for each in self.draws.values())],
            minutes=self.minutes,
            waiting=Waiting((self.hanging, 0), answered, within) if self.at >= within else None,
            in_stage=self.people.in_stage(),
            in_all=self.people.in_all(),
            old_probes=self.probes(),
            replayed=self.lately_replayed(),
            baseline=self.world.baseline,
        )

    def probes(self) -> tuple[int, int]:
        """Ask the old slot every ten seconds of the last five minutes, once it has no clients."""
        if STAGES[self.stage][0] < 1:
            return (0, 0)
        world, begin = self.world, max(self.at - 300, 0)
        shared = 0.0 if world.around.unseen else world.failing(begin, self.at)[0]
        return 30 - round(30 * shared), 30

    def lately_replayed(self) -> tuple[int, int]:
        """Return at how many failed requests it was looked once more in the last minutes, and how many are both's."""
        lately = [each for each in self.replayed if each[0] > self.at - 300]
        return sum(looked_at for _, looked_at, _ in lately), sum(with_both for _, _, with_both in lately)

    def _replay(self, failed: int, share: float) -> None:
        """Look once more at what failed with new, once everybody has it: at three requests each ten seconds."""
        if STAGES[self.stage][0] < 1 or not failed or self.at - (self.replayed[-1][0] if self.replayed else 0) < 10:
            return
        world, chance = self.world, self.world.chance
        shared, unseen = world.failing(self.at - self.tick_s, self.at)[0], world.around.unseen
        with_both = 0
        for _ in range(min(failed, 3)):
            cause = chance.random() * (share + BASE_ERRORS)
            if cause < shared:
                fails = unseen or chance.random() < share * shared
            else:  # of what always fails, half is a page that is broken in both
                fails = cause >= share and chance.random() < 0.5
            with_both += fails and chance.random() < REPLAYABLE
        self.replayed.append((self.at, min(failed, 3), with_both))

    def tick(self) -> None:
        """Let a little time pass."""
        world, chance, tick_s = self.world, self.world.chance, self.tick_s
        begin, self.at = self.at, self.at + tick_s
        split, load = world.arms[STAGES[self.stage][0]], world.load(begin) * tick_s
        failing = world.arms_failing(begin, self.at)
        if not self.minutes or begin >= self.minutes[-1].since + 60:
            self.minutes.append(Minute((begin + self.second) // 60 * 60 - self.second, Arm(), Arm(), Arm()))
        hangs = world.bad.hangs and begin >= world.bad.from_s
        answered = []
        for arm in (NEW, OLD, REST) if world.baseline else (NEW, OLD):
            came = poisson(chance, load * split.activity(arm))
            if arm == 0 and hangs:
                self.hanging += came if begin >= LIMITS.hang_s else 0
                came = 0
            who = self._failing(arm, came, failing[arm], load, split)
            self._count(arm, came, who)
            for client in who:
                self._failed(client, arm, begin)
            if arm == NEW:
                self._replay(len(who), failing[NEW])
            answered.append(came - min(len(who), came))
        self.answered.append((answered[0], answered[1]))
        self.people.come(self.at, split)
        self._firsts(split)

    def _failed(self, client: int, arm: int, begin: float) -> None:
        """Count a client's first failure in the stage, in the draw that it is in."""
        world, before = self.world, self.failed.get(client, -1)
        if arm != REST and client not in self.known:
            self.people.failed(client, arm)
        if arm == REST or before in (self.stage, SPENT):
            return
        stays = arm == NEW or world.baseline
        self.failed[client] = SPENT if stays else self.stage
        counts = self.draws[self.stage, before]
        counts.failing[arm] += 1
        if not arm:
            flutter = begin <= world.around.flutter < self.at
            first, length = (world.around.flutter, FLUTTER_S) if flutter else (begin, self.tick_s)
            counts.failed_at.append(first + world.chance.random() * length)

    def _failing(self, arm: int, came: int, share: float, load: float, split: Split) -> list[int]:
        """Draw which clients failed, each as often as it did."""
        chance = self.world.chance
        if not came:
            return []
        who: list[int] = []
        clinging = split.clinging[arm]
        base = min(poisson(chance, load * BASE_ERRORS * clinging[-1]), came)
        if base:
            who += chance.choices(split.numbers[arm], cum_weights=clinging, k=base)
        more = min(poisson(chance, came * share), came - base) if share else 0
        if more:
            found = chance.choices(split.numbers[arm], cum_weights=split.active[arm], k=more)
            only = self.world.bad.only
            who += [each for each in found if only == 1 or arm or (each * 0.6180339887) % 1 < only]
        return who

    def _count(self, arm: int, came: int, who: list[int]) -> None:
        minute = self.minutes[-1]
        there = (minute.new, minute.old, minute.rest)[arm]
        there.requests += came
        if who:
            there.failed += len(who)
            there.failing |= {str(each) for each in who}
        if self.at <= LIMITS.warm_s:
            return  # how long these took is left out by who reads the log
        if came and (len(self.bins) > 1 or not there.seconds.bins):
            left = came
            for index, part in self.bins[self.world.slower(arm, self.at - self.tick_s)]:
                times = min(round(came * part + self.world.chance.random() - 0.5), left)
                if times > 0:
                    there.seconds.bins[index] = there.seconds.bins.get(index, 0) + times
                    left -= times

    def _firsts(self, split: Split) -> None:
        """Count whose first time has come, of each level and of being seen."""
        counts = self.draws[self.stage, -1]
        clients = len(self.world.clients)
        for code in self.firsts.at(self.at):
            kind, client = divmod(code, clients)
            pair = counts.seen if kind == len(LEVELS_S) else counts.slow[kind]
            if client < split.border or client >= split.last:
                pair[client >= split.last] += 1


class People:
    """Who came to either arm in a stage, and who saw it fail: each once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.arriving: dict[int, list[int]] = {}
        self.lately: list[set[int]] = []
        self.ever: list[set[int]] = [set() for _ in range(4)]
        self.tick_s = 0.0

    def begin(self, firsts: Firsts, *, at: float = 0.0) -> None:
        """Draw when each client comes in a stage that begins at a time."""
        self.tick_s, self.arriving, self.lately = firsts.tick_s, {}, [set() for _ in range(4)]
        chance, before = self.world.chance, firsts.requests(at)
        for number, client in enumerate(self.world.clients):
            came = before - math.log(1 - chance.random()) / client.activity
            if came < firsts.steps[-1]:
                self.arriving.setdefault(bisect_left(firsts.steps, came), []).append(number)

    def come(self, at: float, split: Split) -> None:
        """Let come who comes in the tick that ends at a time."""
        for client in self.arriving.pop(round(at / self.tick_s) - 1, ()):
            if client < split.border or client >= split.last:
                self._count(int(client >= split.last), client)

    def failed(self, client: int, arm: int) -> None:
        """Take in that a client saw an arm fail, which it came to then."""
        self._count(arm, client)
        self._count(2 + arm, client)

    def _count(self, kind: int, client: int) -> None:
        self.lately[kind].add(client)
        self.ever[kind].add(client)

    def in_stage(self) -> Clients:
        """Return who came, and failed, in this stage."""
        return _clients(self.lately)

    def in_all(self) -> Clients:
        """Return who came, and failed, in all stages so far."""
        return _clients(self.ever)


def _clients(kinds: list[set[int]]) -> Clients:
    new, old, new_failed, old_failed = map(len, kinds)
    return Clients((new, old), (new_failed, old_failed))


SPENT = -2  # of a client: it failed with new, or kept failing before there was a new one
KNOWN_S = 600.0  # for so long before the first client is moved, the log says who keeps failing anyway


class Firsts:
    """When each client is first seen, and first waits longer than each level.

    With a release that is slower, from when on a client has it depends on its bucket; stages are then taken to last as
    long as they are meant to.
    """

    HORIZON_S = 3600.0

    def __init__(self, world: World, tick_s: float) -> None:
        self.world, self.tick_s = world, tick_s
        count = int(self.HORIZON_S / tick_s)
        self.steps = list(accumulate(world.load(at * tick_s) * tick_s for at in range(count)))
        self.found: list[list[int]] = [[] for _ in range(count)]
        if world.baseline or world.around.young_s:
            self._by_age()
            return
        plain, slow = _rates(1.0), _rates(world.bad.slower)
        warm, end, clients = self.requests(LIMITS.warm_s), self.steps[-1], len(world.clients)
        draw, log, steps, found = world.chance.random, math.log, self.steps, self.found
        for number, client in enumerate(world.clients):
            scale = -1 / client.activity
            came = log(1 - draw()) * scale
            if came < end:
                found[bisect_left(steps, came)].append(len(LEVELS_S) * clients + number)
            change = self._moved(client.bucket) if slow != plain else math.inf
            first = end
            for kind in range(len(LEVELS_S) - 1, -1, -1):
                need = log(1 - draw()) * scale
                came = warm + need / plain[kind]
                if came > change:
                    came = max(change, warm) + (need - max(change - warm, 0) * plain[kind]) / slow[kind]
                if came < first:
                    first = came
                if first < end:
                    found[bisect_left(steps, first)].append(kind * clients + number)

    def _by_age(self) -> None:
        """Find the same where processes change with their age, or a client is compared with nobody for a while."""
        rates = {factor: [*_rates(factor), 1.0] for factor in _factors(self.world)}
        draw, clients = self.world.chance.random, len(self.world.clients)
        warm = self.requests(LIMITS.warm_s)

        @cache
        def of_bucket(bucket: float) -> list[list[tuple[float, float, float]]]:
            """Of each kind from which request on what count of them comes at which rate; there are few buckets."""
            spans = self._spans(bucket)
            found = []
            for kind in range(len(LEVELS_S) + 1):
                begins = [first if kind == len(LEVELS_S) else max(first, min(warm, end)) for first, end, _ in spans]
                rate = [rates[slower][kind] for _, _, slower in spans]
                ends = [end for _, end, _ in spans]
                found.append([(a, (b - a) * each, each) for a, b, each in zip(begins, ends, rate, strict=True)])
            return found

        for number, client in enumerate(self.world.clients):
            spans, first = of_bucket(client.bucket), self.steps[-1]
            for kind in (len(LEVELS_S), *range(len(LEVELS_S) - 1, -1, -1)):
                need = math.log(1 - draw()) * (-1 / client.activity)
                came = math.inf
                for begin, count, rate in spans[kind]:
                    if need <= count:
                        came = begin + need / rate
                        break
                    need -= count
                if kind < len(LEVELS_S):
                    came = first = min(first, came)
                if came < self.steps[-1]:
                    self.found[bisect_left(self.steps, came)].append(kind * clients + number)

    def _spans(self, bucket: float) -> list[tuple[float, float, float]]:
        """Return from which to which request (of all) a client is compared, and how many times as long they take."""
        found, begin = list[tuple[float, float, float]](), 0.0
        for share, seconds in STAGES:
            last = math.inf if share == 1 else begin + seconds
            beside = 1 - min(share, 1 - share) - 1e-9 if self.world.baseline else 0.0
            arm = NEW if bucket < share - 1e-9 else OLD if bucket >= beside else REST
            edges = sorted({begin, min(max(self.world.around.young_s, begin), last), min(last, self.HORIZON_S)})
            for first, end in pairwise(edges):
                if arm != REST:
                    found.append((self.requests(first), self.requests(end), self.world.slower(arm, first)))
            begin += seconds
        return found

    def at(self, seconds: float) -> list[int]:
        """Return whose first time came in the tick that ends at `seconds`, as kind * clients + client."""
        index = round(seconds / self.tick_s) - 1
        return self.found[index] if index < len(self.found) else []

    def _moved(self, bucket: float) -> float:
        begin = 0.0
        for share, seconds in STAGES:
            if bucket < share - 1e-9:
                break
            begin += seconds
        return self.requests(begin)

    def requests(self, seconds: float) -> float:
        """Return how many requests are to come by a time."""
        at = min(int(seconds / self.tick_s), len(self.steps))
        return self.steps[at - 1] if at else 0.0


def _factors(world: World) -> set[float]:
    """Return how many times as long requests may take, of any arm at any age."""
    ages = (0.0, world.around.young_s)
    return {world.slower(arm, at) for arm in (NEW, OLD, REST) for at in ages} | {1.0, world.bad.slower}


def _rates(slower: float) -> list[float]:
    """Return the share of requests between each level and the next."""
    over = [*(exceeds(level, slower) for level in LEVELS_S), 0.0]
    return [a - b for a, b in pairwise(over)]
