"""The numbers under `metrics` in `ferryman.yml`: checked, and filled with defaults, all errors at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import verification
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Path, Reader, Spec

METRIC: Spec = {
    "name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "json": {"type": "str", "default": ""},
    "prometheus": {"type": "str", "default": ""},
    "of": {"type": "str", "default": ""},
    "at_least": {"type": "float"},
    "at_most": {"type": "float"},
    "then": {"type": "str", "default": "back", "choices": ["back", "ask"]},
}
SOURCES = {
    "json": "a path in its JSON like payments.success_percent",
    "prometheus": "a series in its text like pool_free",
}
BOUNDS = {"at_least": "for what must not fall", "at_most": "for what must not rise"}


def read(reader: Reader, given: Iterable[Any] | None) -> list[dict[str, Any]]:
    """Return the metrics, complete with defaults; what is wrong is remembered by `reader`."""
    found: list[dict[str, Any]] = []
    for number, value in enumerate(given or []):
        place = ("metrics", number)
        metric = reader.check(value, METRIC, place)
        if not metric:
            continue
        verification.name(reader, metric["name"], [each["name"] for each in found], place, what="metric")
        _path(reader, metric["path"], (*place, "path"))
        _one_of(reader, metric, SOURCES, place)
        _one_of(reader, metric, BOUNDS, place)
        _series(reader, metric["prometheus"], (*place, "prometheus"))
        if metric["prometheus"]:
            _series(reader, metric["of"], (*place, "of"))
        for key in BOUNDS:
            _bound(reader, metric, (*place, key))
        found.append(metric)
    return found


def _path(reader: Reader, path: str | None, place: Path) -> None:
    if path is None:
        return
    verification.path(reader, path, place)
    if "{" in path:
        reader.wrong(place, "holds a brace, and nothing is filled in here; a URL writes it %7B")


def _one_of(reader: Reader, metric: Mapping[str, Any], choices: Mapping[str, str], place: Path) -> None:
    """See that exactly one of some keys is given."""
    given = [key for key in choices if metric[key] not in (None, "")]
    ways = " or ".join(f"{key} ({what})" for key, what in choices.items())
    if not given:
        reader.wrong(place, f"has neither of two, one is needed: {ways}")
    elif len(given) > 1:
        reader.wrong((*place, given[1]), f"cannot go along with {given[0]}: one is needed, {ways}")


def _series(reader: Reader, wanted: str, place: Path) -> None:
    try:
        metrics.series(wanted or "none")
    except ValueError:
        reader.wrong(place, f'{wanted!r} must be as the application writes it, like pool_free{{db="main"}}')


def _bound(reader: Reader, metric: Mapping[str, Any], place: Path) -> None:
    """See that something can be beyond a bound, and something within it."""
    bound = metric[place[-1]]
    if bound is None:
        return
    if not math.isfinite(bound):
        reader.wrong(place, "must be a number that something can be beyond")
    elif metric["of"] and not 0 < bound < 100:
        reader.wrong(place, "must be a percentage above 0 and below 100: with of it bounds a ratio")
