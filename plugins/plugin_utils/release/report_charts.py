"""Charts of what clients of both releases got over time, as paths in a box of 1000 by 100 that a page may stretch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Look = Mapping[str, Any]
Point = tuple[float, "float | None"]
WIDTH, HEIGHT = 1000.0, 100.0
POINTS = 48
"""A line has about so many: a phone shows no more, and a point of few requests says little."""
LEAST_ERRORS, LEAST_P95_S = 0.05, 0.5
"""The tops of charts that are all lower (what HEALTH-3 asks for is low in them): what is small is to look small."""
ARMS = ("new", "old")
BESIDE_BASELINE = {"new": "new", "old": "baseline", "rest": "all others"}
SPACE = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line


@dataclass(frozen=True)
class Band:
    """A stage: where it begins and how wide it is, in percent of the chart's width, and its share of the clients."""

    left: float
    width: float
    share: float


@dataclass(frozen=True)
class Chart:
    """A chart: its name, the labels of its height from the top down, a path for each release, and all that in words."""

    key: str
    title: str
    labels: tuple[str, ...]
    paths: Mapping[str, str]
    told: str


def percent(share: float) -> str:
    """Return a share as people read it."""
    value = share * 100
    return f"{value:.{0 if value >= 10 or value == round(value) else 1}f}{SPACE}%"


def seconds(value: float | None) -> str:
    """Return how long a request took as people read it."""
    if value is None:
        return "unknown"
    return f"{value * 1000:.0f}{SPACE}ms" if value < 1 else f"{value:.1f}{SPACE}s"


def bands(looks: Sequence[Look]) -> list[Band]:
    """Return the stages side by side."""
    first, last = _ends(looks)
    begins = {look["stage"]: (look["since"], look["share"]) for look in looks}
    edges = [*(since for since, _ in begins.values()), last]
    return [
        Band(100 * (since - first) / (last - first), 100 * (until - since) / (last - first), share)
        for (since, share), until in zip(begins.values(), edges[1:], strict=True)
    ]


def called(looks: Sequence[Look]) -> Mapping[str, str]:
    """Return how the arms are called in words: where the old release has a baseline, others are beside it."""
    return BESIDE_BASELINE if "rest" in looks[-1]["lately"] else dict(zip(ARMS, ARMS))


def charts(looks: Sequence[Look]) -> list[Chart]:
    """Return both charts: which share of the requests failed, and how long the slowest in twenty took."""
    return [
        _chart(looks, "errors", "Requests that failed", _error_rate, percent, LEAST_ERRORS),
        _chart(looks, "p95", "Response time (p95)", _p95, seconds, LEAST_P95_S),
    ]


def _chart(
    looks: Sequence[Look],
    key: str,
    title: str,
    value: Callable[[Sequence[Look], str], float | None],
    said: Callable[[float], str],
    least: float,
) -> Chart:
    (first, last), names = _ends(looks), called(looks)
    parts = list(_slices(looks, first, last))
    points = {arm: [(at, value(part, arm)) for at, part in parts] for arm in ARMS}
    known = {arm: [height for _, height in points[arm] if height is not None] for arm in ARMS}
    top = _round_up(max([least, *known["new"], *known["old"]]))
    most = [f"{names[arm]}: {'at most ' + said(max(known[arm])) if known[arm] else 'nothing measured'}" for arm in ARMS]
    return Chart(
        key=key,
        title=title,
        labels=(said(top), said(top / 2), "0"),
        paths={arm: _path(points[arm], top) for arm in ARMS},
        told=f"{title}. {'; '.join(most)}. The table below has the figures.",
    )


def _ends(looks: Sequence[Look]) -> tuple[float, float]:
    first = looks[0]["since"]
    return first, max(looks[-1]["at"], first + 1)


def _slices(looks: Sequence[Look], first: float, last: float) -> Iterator[tuple[float, Sequence[Look]]]:
    """Return looks that follow each other, each part about a point's time long, with its place in the chart's width."""
    begin, part = first, list[Look]()
    for look in looks:
        part.append(look)
        if (look["at"] - begin) * POINTS >= last - first or look is looks[-1]:
            yield ((begin + look["at"]) / 2 - first) / (last - first) * WIDTH, part
            begin, part = look["at"], []


def _error_rate(part: Sequence[Look], arm: str) -> float | None:
    requests = sum(look["lately"][arm]["requests"] for look in part)
    return sum(look["lately"][arm]["failed"] for look in part) / requests if requests else None


def _p95(part: Sequence[Look], arm: str) -> float | None:
    """Return the mean of the looks' p95s, each as heavy as its requests."""
    told = [look["lately"][arm] for look in part if look["lately"][arm]["p95_s"] is not None]
    requests = sum(each["requests"] for each in told)
    return sum(each["p95_s"] * each["requests"] for each in told) / requests if requests else None


def _path(points: Sequence[Point], top: float) -> str:
    """Return a path through what is known: a gap is left where nothing is, and one point alone is a dot."""
    said, pen = [], False
    for at, value in points:
        if value is not None:
            said.append(f"{'L' if pen else 'M'}{at:.1f} {HEIGHT * (1 - value / top):.1f}" + ("" if pen else "h0"))
        pen = value is not None
    return "".join(said)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10 ... (and their parts) that is not below."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)
