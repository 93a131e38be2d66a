"""How much a series of events speaks against a new release: e-values, which may be looked at as often as one likes.

An event belongs to a client, each client has one event of a kind at most (its first failure; the first time that it
waited longer than so many seconds), and the arm of a client was drawn by a hash. So if old and new are alike, the arm
of each event is a coin that falls on new with the share of clients that new has, whatever else is going on: how active
a client is, to whom errors cling, how much comes at what time, what is out of order for both. The likelihood ratio of
"odds are k times that" against "they are not higher" is then a supermartingale that begins at 1, a mean over several k
is one, too, and by Ville's inequality it ever reaches 1/alpha in at most alpha of all releases that are no worse.

Source: Lindon, Malek, Anytime-valid inference for multinomial count data (arXiv 2011.03567): given that an event comes,
its arm is multinomial with the shares of the arms, even where rates change with time. Here the mixture is over a few
odds instead of a Dirichlet's, and of one side, since a new release that is better is no reason to go back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

Count = tuple[float, int, int]
"""The share of clients that new had (0 to 1), and how many events came from new and from old while it had that."""

WORSE = ((3.0, 0.15), (16.0, 0.85))
"""How many times the odds, and the weight of that. What lies between them, or above, is found nearly as fast."""
OTHER = ((0.5, 0.25), (0.8, 0.25), (1.25, 0.25), (2.0, 0.25))
"""Of a share that is not what it should be, in either direction."""


@lru_cache(maxsize=1024)
def _terms(share: float, odds: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Return for each of the odds what an event from new and one from old add to the logarithm."""
    if not 0 < share < 1:
        return tuple((0.0, 0.0) for _ in odds)  # with one arm alone nothing is compared
    return tuple((math.log(k / (1 + (k - 1) * share)), -math.log(1 + (k - 1) * share)) for k, _ in odds)


@lru_cache(maxsize=16)
def _weights(odds: tuple[tuple[float, float], ...]) -> tuple[float, ...]:
    return tuple(math.log(weight) for _, weight in odds)


def log_e(counts: Iterable[Count], odds: tuple[tuple[float, float], ...] = WORSE) -> float:
    """Return the logarithm of the e-value of all counts; 0 where there is nothing yet. Their order is nothing to it."""
    sums = list(_weights(odds))
    for share, new, old in counts:
        if new or old:
            for at, (from_new, from_old) in enumerate(_terms(share, odds)):
                sums[at] += new * from_new + old * from_old
    return log_sum(sums)


def log_sum(logs: Sequence[float]) -> float:
    """Return the logarithm of the sum of what these are logarithms of."""
    most = max(logs)
    return most + math.log(sum(math.exp(each - most) for each in logs))


def log_mean(logs: Sequence[float]) -> float:
    """Return the logarithm of the mean: of e-values that depend on each other the mean is one, their product is not."""
    return log_sum(logs) - math.log(len(logs))


def odds(counts: Sequence[Count]) -> float:
    """Return how many times as often, by client, new has such events as old; infinite where old has none."""
    any_new, above, below = 0, 0.0, 0.0
    for share, new, old in counts:
        if 0 < share < 1:
            # Mantel and Haenszel's estimate over stages: each is compared with itself alone.
            any_new += new
            above += new * (1 - share)
            below += old * share
    return (above / below if below else math.inf) if any_new else 0.0


def surely_below(good: int, total: int, least: float, *, chance: float) -> bool:
    """Say whether a share of good ones is below `least` for more than chance: Chernoff's bound on the binomial tail."""
    if not total or good / total >= least:
        return False
    return total * _divergence(good / total, least) >= -math.log(chance)


def _divergence(seen: float, meant: float) -> float:
    def part(p: float, q: float) -> float:
        return p * math.log(p / q) if p else 0.0

    return part(seen, meant) + part(1 - seen, 1 - meant)
