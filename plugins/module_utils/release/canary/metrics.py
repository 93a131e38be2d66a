"""What an application tells of itself, as numbers that have a bound: read from the processes of both releases.

Metrics are those of `ferryman.yml`, checked and filled with defaults. Every process of a slot is asked; of several
numbers the worst counts, so that one process whose pool is exhausted is not hidden by its neighbours. Of counters only
what they are at is read here: their ratio is known once they are read again (`ratios`).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Optional, TypeVar, Union

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer

Metric = Mapping[str, Any]
Told = TypeVar("Told")
Get = Callable[[tuple[str, int], str, float], Answer]
"""Asks a process (address and port) for a path, within so many seconds."""

ANSWER_S = 3.0
MOST_S = 6.0
"""All that one reading of both releases may take."""
AT_ONCE = 8
BROKEN = 500
EXACT = 1e15
NAME = r"[A-Za-z_:][A-Za-z0-9_:]*"
LABEL = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
SERIES = re.compile(rf'({NAME})(?:\{{((?:[^"}}]|"(?:[^"\\]|\\.)*")*)\}})?')
ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(frozen=True)
class Reading:
    """Whether a number keeps to its bound, None where nothing is known; `said` is the number, or why there is none."""

    good: Optional[bool]
    said: str


class Lacking(Exception):
    """An answer that has no number where one was meant."""


def is_ratio(metric: Metric) -> bool:
    """Say whether a metric is a counter that is told as a percentage of what another one increases by."""
    return bool(metric.get("of"))


def figure(metric: Metric, value: float) -> str:
    """Return a number of a metric as sentences have it, with its unit where it has one."""
    unit = " %" if is_ratio(metric) else ""
    return (f"{value:.0f}" if value == round(value, 0) and abs(value) < EXACT else f"{value:.4g}") + unit


def named(metric: Metric) -> str:
    """Return a metric as sentences call it."""
    word, bound = ("at least", metric["at_least"]) if metric["at_most"] is None else ("at most", metric["at_most"])
    return f"metric {metric['name']!r} ({word} {figure(metric, bound)})"


def asking(metrics: Iterable[Metric]) -> set[str]:
    """Return what sentences call those of which a person is asked."""
    return {named(metric) for metric in metrics if metric["then"] == "ask"}


def keeps(metric: Metric, value: float) -> bool:
    """Say whether a number is within its bound, which belongs to it."""
    return bool(value >= metric["at_least"] if metric["at_most"] is None else value <= metric["at_most"])


# From an answer to numbers


def numbers(metric: Metric, text: str) -> list[float]:
    """Return the numbers that an answer has for a metric; none where it says that there is nothing to tell now.

    That is null in JSON, and NaN in Prometheus' text. Raises Lacking where it does not know the metric.
    """
    found = _of_json(metric["json"], text) if metric["json"] else _of_text(metric["prometheus"], text)
    return [value for value in found.values() if not math.isnan(value)]


def counters(metric: Metric, text: str) -> Optional[list[dict[str, float]]]:
    """Return by series what an answer has for a ratio's counter, and for the one that it is a ratio of.

    None where it says of one of them that there is nothing to tell now. Raises Lacking as `numbers`.
    """
    if metric["json"]:
        found = [_of_json(metric[key], text) for key in ("json", "of")]
    else:
        found = [_of_text(metric[key], text, counted=True) for key in ("prometheus", "of")]
    known = all(math.isfinite(value) for values in found for value in values.values())
    return found if known and all(found) else None


def _of_json(path: str, text: str) -> dict[str, float]:
    try:
        value = expect.at(json.loads(text), path)
    except (ValueError, RecursionError):
        raise Lacking("is no JSON") from None
    if value is None:
        return {}
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Lacking(f"has no number at {path}")
    try:
        return {path: float(value)}
    except OverflowError:
        raise Lacking(f"has a number beyond all bounds at {path}") from None


def _of_text(wanted: str, text: str, *, counted: bool = False) -> dict[str, float]:
    """Read Prometheus' text format (Prometheus, Exposition formats): each line a series, its labels, its value.

    A counter has no line for the value of a label that nothing has happened with yet: it is at 0 there, where others of
    its name have these labels, or where its type alone is told.
    """
    name, labels = series(wanted)
    found, known = dict[str, float](), set[str]()
    for line in text.split("\n"):
        if not line.startswith(name):
            continue
        told = SERIES.match(line)
        if not told or told[1] != name:
            continue
        here = _labels(told[2] or "")
        known |= here.keys()
        if not labels.items() <= here.items():
            continue
        words = line[told.end() :].split()
        try:
            found[told[0]] = float(words[0])
        except (IndexError, ValueError):
            raise Lacking(f"has no number for {wanted}") from None
    if not found and counted and (labels.keys() <= known if known else _declared(name, text)):
        return {wanted: 0.0}
    if not found:
        raise Lacking(f"has no {wanted}")
    return found


def _declared(name: str, text: str) -> bool:
    """Say whether a text tells of a counter's type; OpenMetrics leaves _total out there."""
    family = re.escape(name[: -len("_total")] if name.endswith("_total") else name)
    return bool(re.search(rf"^# TYPE {family}(?:_total)? counter$", text, re.MULTILINE))


def series(wanted: str) -> tuple[str, dict[str, str]]:
    """Return name and labels of a series as Prometheus writes it. Raises ValueError where it is none."""
    told = SERIES.fullmatch(wanted)
    labels = _labels(told[2] or "") if told else {}
    if not told or (told[2] and not labels):
        raise ValueError(f"{wanted!r} is no series")
    return told[1], labels


def _labels(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        told = LABEL.match(text, at)
        if not told:
            return {}
        found[told[1]] = re.sub(r"\\.", lambda each: ESCAPED.get(each[0], each[0]), told[2])
        at = told.end()
    return found


# From answers to whether a release keeps its bounds


def reading(metric: Metric, answers: Iterable[Answer], *, owned: bool) -> Reading:
    """Return what the answers of all processes of a release say of a metric: the worst of them.

    Who does not answer, or only with an error, has none that is good. A release that answers and does not know the
    metric is bad where it is its own (`owned`); the one before it may never have had it, and nothing is known.
    """
    told = _told(metric, answers, numbers, owned=owned)
    if isinstance(told, Reading):
        return told
    found = [(keeps(metric, value), value) for values in told for value in values]
    if not found:
        return Reading(None, "nothing to tell")
    upward = metric["at_most"] is None
    good, worst = min(found, key=lambda each: each[1] if upward else -each[1])
    return Reading(good, figure(metric, worst))


def _told(
    metric: Metric, answers: Iterable[Answer], what: Callable[[Metric, str], Told], *, owned: bool
) -> Union[Reading, list[Told]]:
    """Return what each answer has of a metric, as `what` reads it; or why they say nothing."""
    found = []
    for answer in answers:
        if answer.error or answer.status >= BROKEN:
            return Reading(False, f"{metric['path']}: {answer.error or f'status {answer.status}'}")
        try:
            found.append(what(metric, answer.text if answer.status == 200 else _none(answer)))
        except Lacking as lacking:
            return Reading(False if owned else None, f"{metric['path']} {lacking}")
    return found


def _none(answer: Answer) -> str:
    raise Lacking(f"answers {answer.status}")


def read(metrics: Sequence[Metric], arms: Sequence[Sequence[tuple[str, int]]], get: Get) -> dict[str, Any]:
    """Ask the processes of the new release and of the old one (`arms`); return by name `good` and `said` of both.

    Of a ratio that is whether its counters are told at all, None where nobody runs; what they are at is in `counts` of
    both beside: by process, then of either counter (`counters`), by series. A path that several metrics are at is asked
    for once; the old one first, so that a new one that hangs takes no time from it.
    """
    until = time.monotonic() + MOST_S
    wanted = [
        (arm, process, path)
        for arm, processes in reversed([*enumerate(arms)])
        for process in processes
        for path in dict.fromkeys(metric["path"] for metric in metrics)
    ]

    def ask(one: tuple[int, tuple[str, int], str]) -> Answer:
        left = min(ANSWER_S, until - time.monotonic())
        return get(one[1], one[2], left) if left > 0 else Answer(error=f"no time was left within {MOST_S:g} s")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(wanted, pool.map(ask, wanted)))  # of equal length
    return {
        metric["name"]: _both(
            metric, [{each: answers[arm, each, metric["path"]] for each in arms[arm]} for arm in range(len(arms))]
        )
        for metric in metrics
    }


def _both(metric: Metric, arms: Sequence[Mapping[tuple[str, int], Answer]]) -> dict[str, Any]:
    """Return what is told of a metric, by the answers of new and old."""
    if not is_ratio(metric):
        both = [reading(metric, arm.values(), owned=not number) for number, arm in enumerate(arms)]
        return {"good": [each.good for each in both], "said": [each.said for each in both]}
    told = [_told(metric, arm.values(), counters, owned=not number) for number, arm in enumerate(arms)]
    why = [each if isinstance(each, Reading) else Reading(True if each else None, "") for each in told]
    return {
        "good": [each.good for each in why],
        "said": [each.said for each in why],
        "counts": [
            {f"{host}:{port}": at for (host, port), at in zip(arm, [] if isinstance(each, Reading) else each) if at}
            for arm, each in zip(arms, told)
        ],
    }
