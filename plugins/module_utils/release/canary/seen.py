"""What the looks of entries have brought: counts that are added up, and what was asked of the application lately."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import (
    access,
    gathering,
    metrics,
    ratios,
    replay,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Pair, Signal, Waiting

ANSWERED_S = 10.0  # beyond the limit: what a release that hangs has answered before it did
PROBED_S = 300.0
PROBES = 4  # in a row, on each entry, until a step or a metric says something: fewer may be a hiccup


class Asked(NamedTuple):
    """What a step or a metric of the application came to: whether it was good with new and old, and their words."""

    at: float
    name: str
    good: Sequence[Optional[bool]]
    said: Sequence[str] = ("", "")
    process: str = ""
    """Which one of the new release was asked (address:port), of how many; of 1 where all were."""
    of: int = 1


@dataclass
class Seen:
    """What one entry has counted, and lately: (at, answered by new and by old), (at, whether the old slot is well), and
    (at, how many failed requests were looked at once more, and how many of them fail with both).
    """

    tally: access.Tally = field(default_factory=access.Tally)
    now: float = 0.0
    waiting: Optional[Pair] = (0, 0)
    answered: list[tuple[float, Pair]] = field(default_factory=list)
    old_probes: list[tuple[float, bool]] = field(default_factory=list)
    replayed: list[tuple[float, Pair]] = field(default_factory=list)
    signals: list[Asked] = field(default_factory=list)
    ratios: dict[str, ratios.Ratio] = field(default_factory=dict)
    word: Mapping[str, Any] = field(default_factory=dict)
    turns: int = 0
    """How often the steps were asked."""

    def take(
        self, look: Mapping[str, Any], *, new: str, declared: Sequence[metrics.Metric], baseline: bool = False
    ) -> access.Tally:
        """Take in a look, as the entry's own task wrote it; return what came.

        `declared` are the application's metrics.
        """
        came = access.read(look["tally"])
        access.add(self.tally, came)
        self.now, self.word = float(look["at"]), look.get("word") or self.word
        self.waiting = None if look["waiting"] is None else (look["waiting"][0], look["waiting"][1])
        self.answered.append((self.now, gathering.answered(came, new=new, baseline=baseline)))
        if look.get("old_probe") is not None:
            self.old_probes.append((self.now, bool(look["old_probe"])))
        if any(look.get("replayed") or ()):
            self.replayed.append((self.now, (look["replayed"][0], look["replayed"][1])))
        probes, told = look.get("probes") or {}, look.get("metrics") or {}
        process, of = look.get("probed") or ("", 1)
        self.turns += bool(probes)
        for name, good in probes.items():
            self.signals.append(Asked(self.now, f"verify step {name!r}", good, process=process, of=of))
        self._numbers(declared, told)
        return came

    def _numbers(self, declared: Sequence[metrics.Metric], told: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what metrics came to; of a ratio what its counters are at, too."""
        for metric in declared:
            each = told.get(metric["name"])
            if each is None:
                continue
            self.signals.append(Asked(self.now, metrics.named(metric), each["good"], each["said"]))
            if metrics.is_ratio(metric):
                self.ratios.setdefault(metric["name"], ratios.Ratio()).take(each["counts"], at=self.now)

    def replays(self, now: float) -> bool:
        """Say whether it is time to look once more at what fails."""
        return replay.due(self.replayed[-1][0] if self.replayed else None, now)

    @property
    def asked_at(self) -> float:
        """When the application was asked last; 0 for never."""
        return self.signals[-1].at if self.signals else 0.0


def old_probes(seen: Iterable[Seen], *, now: float) -> Pair:
    """Return how often the old slot was well lately, of how often it was asked once it had no clients any more."""
    probes = [good for each in seen for at, good in each.old_probes if at > now - PROBED_S]
    return sum(probes), len(probes)


def replayed(seen: Iterable[Seen], *, now: float) -> Pair:
    """Return how many failed requests were looked at once more lately, and how many of them fail with both."""
    return _sum([pair for each in seen for at, pair in each.replayed if at > now - PROBED_S])


def waiting(seen: Collection[Seen], *, began: float, now: float, hang_s: float) -> Optional[Waiting]:
    """Return who waits, once it has been looked at for so long that a release which works has answered somebody."""
    within = hang_s + ANSWERED_S
    told = [each.waiting for each in seen]
    if now - began < within or any(each is None for each in told):
        return None
    lately = [pair for each in seen for at, pair in each.answered if at > now - within]
    return Waiting(_sum([each for each in told if each]), _sum(lately), within)


def signals(seen: Collection[Seen], *, now: float, declared: Sequence[metrics.Metric]) -> tuple[Signal, ...]:
    """Return how the application's own steps and its metrics (`declared`) did the last few times, and its ratios in the
    last minutes: what was before is over.

    Of what is to be asked a person is asked where it is bad.
    """
    asking = metrics.asking(declared)
    whole = sorted((each for entry in seen for each in entry.signals if each.at > now - PROBED_S), key=attrgetter("at"))
    newest, found = PROBES * len(seen), []
    for name in sorted({each.name for each in whole}):
        asked = [each for each in whole if each.name == name][-newest:]
        new, old = (_good(each.good[arm] for each in asked) for arm in (0, 1))
        said = (asked[-1].said[0], asked[-1].said[1])
        found.append(Signal(name, new, old, least_samples=newest, back=name not in asking, said=said))
        found += _of_each(name, seen, now=now, least=newest)
    for metric in declared:
        read = [each.ratios[metric["name"]] for each in seen if metric["name"] in each.ratios]
        found += [ratios.signal(metric, read, since=now - PROBED_S)] if read else []
    return tuple(found)


def _of_each(name: str, seen: Collection[Seen], *, now: float, least: int) -> list[Signal]:
    """Return how a step did at each of several processes, which took turns: one that is ill among them is ill."""
    of = max(each.of for entry in seen for each in entry.signals if each.name == name)
    if of == 1:
        return []
    lately = [each for entry in seen for each in entry.signals if each.name == name and each.at > now - PROBED_S * of]
    lately.sort(key=attrgetter("at"))
    old, found = _good(each.good[1] for each in lately), []
    for process in sorted({each.process for each in lately}):
        new = _good(each.good[0] for each in [each for each in lately if each.process == process][-least:])
        found.append(Signal(f"{name} at {process}", new, old, least_samples=least))
    return found


def _good(answers: Iterable[Optional[bool]]) -> Pair:
    known = [each for each in answers if each is not None]
    return sum(known), len(known)


def _sum(pairs: Sequence[Pair]) -> Pair:
    return sum(new for new, _ in pairs), sum(old for _, old in pairs)
