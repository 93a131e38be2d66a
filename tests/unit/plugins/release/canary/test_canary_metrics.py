"""What an application tells of itself, from the text of its answers to whether it keeps its bounds."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.metrics import Reading
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer
from hypothesis import given
from hypothesis import strategies as st
from tests.support.steps import metric

TEXT = """\
# HELP pool_free Connections that nobody uses.
# TYPE pool_free gauge
pool_free{db="main",host="a"} 7
pool_free{db="reports"} 2 1395066363000
pool_free_total 900
payments:success 0.97
latency{quantile="0.99"} NaN
queue +Inf
"""
POOL: dict[str, Any] = {"name": "pool", "prometheus": "pool_free", "at_least": 1}
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]) | st.just("\n"), max_size=12)


def answered(text: str, status: int = 200) -> Answer:
    return Answer(status, (), text, 0.01)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ("pool_free", [7, 2]),
        ('pool_free{db="main"}', [7]),
        ('pool_free{host="a", db="main"}', [7]),
        ("pool_free_total", [900]),
        ("payments:success", [0.97]),
        ('latency{quantile="0.99"}', []),
        ("queue", [math.inf]),
    ],
)
def test_a_series_of_prometheus_is_found_by_its_name_and_the_labels_that_are_named(
    wanted: str, numbers: list[float]
) -> None:
    assert metrics.numbers(metric(name="x", prometheus=wanted, at_least=1), TEXT) == numbers


@given(names, st.dictionaries(names, values, max_size=4), st.floats(allow_nan=False))
def test_any_series_that_is_written_as_prometheus_does_is_read_as_it_was_meant(
    name: str, labels: dict[str, str], value: float
) -> None:
    written = [
        f'{key}="{text}"'
        for key, text in (
            (key, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, text in labels.items()
        )
    ]
    wanted = f"{name}{{{','.join(written)}}}"
    assert metrics.series(wanted) == (name, labels)
    found = metrics.numbers(metric(name="x", prometheus=wanted, at_least=1), f"{wanted} {value!r}\n")
    assert found == [value]


@pytest.mark.parametrize(
    ("told", "numbers"),
    [({"a": {"b": [1, 2.5]}}, [2.5]), ({"a": {"b": [0, None]}}, []), ({"a": {"b": [0, math.nan]}}, [])],
)
def test_a_number_of_json_is_found_by_its_path_and_null_is_nothing_to_tell(told: Any, numbers: list[float]) -> None:
    assert metrics.numbers(metric(name="x", json="a.b.1", at_most=1), json.dumps(told)) == numbers


@pytest.mark.parametrize("text", ["", "<html>", "[" * 100_000, '{"a": true}', '{"a": "7"}', '{"b": 7}', "1" * 400])
def test_what_has_no_number_in_its_json_is_lacking(text: str) -> None:
    with pytest.raises(metrics.Lacking):
        metrics.numbers(metric(name="x", json="a", at_most=1), text)


def test_a_number_beyond_what_a_machine_knows_is_lacking() -> None:
    with pytest.raises(metrics.Lacking, match="beyond all bounds"):
        metrics.numbers(metric(name="x", json="a", at_most=1), '{"a": 1' + "0" * 400 + "}")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.floats(-1e6, 1e6), st.booleans())
def test_of_several_processes_the_worst_counts_and_a_bound_belongs_to_what_keeps_it(
    told: list[float], bound: float, upward: bool
) -> None:
    wanted = metric(name="x", json="a", **{"at_least" if upward else "at_most": bound})
    answers = [answered(json.dumps({"a": value})) for value in told]
    expected = all(value >= bound if upward else value <= bound for value in told)
    found = metrics.reading(wanted, answers, owned=True)
    assert found.good == expected
    assert float(found.said) == pytest.approx(min(told) if upward else max(told), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("answer", "new", "old"),
    [
        (answered("pool_free 3"), Reading(True, "3"), Reading(True, "3")),
        (answered("pool_free 0"), Reading(False, "0"), Reading(False, "0")),
        (answered("pool_free NaN"), Reading(None, "nothing to tell"), Reading(None, "nothing to tell")),
        (answered("oh", 500), Reading(False, "/metrics: status 500"), Reading(False, "/metrics: status 500")),
        (Answer(error="refused"), Reading(False, "/metrics: refused"), Reading(False, "/metrics: refused")),
        (answered("", 404), Reading(False, "/metrics answers 404"), Reading(None, "/metrics answers 404")),
        (answered("x 1"), Reading(False, "/metrics has no pool_free"), Reading(None, "/metrics has no pool_free")),
    ],
)
def test_a_metric_that_the_new_release_lacks_is_bad_and_one_that_the_old_never_had_says_nothing(
    answer: Answer, new: Reading, old: Reading
) -> None:
    wanted = metric(**POOL)
    assert metrics.reading(wanted, [answer], owned=True) == new
    assert metrics.reading(wanted, [answer], owned=False) == old


def test_of_a_release_without_processes_nothing_is_known() -> None:
    assert metrics.reading(metric(**POOL), [], owned=True).good is None


def test_each_process_is_asked_once_for_a_path_that_several_metrics_are_at() -> None:
    asked: list[tuple[tuple[str, int], str]] = []

    def get(process: tuple[str, int], path: str, _: float) -> Answer:
        asked.append((process, path))
        return answered(f"pool_free {process[1]}\nqueue 5\n")

    queue = metric(name="queue", prometheus="queue", at_most=4, then="ask")
    new, old = [("127.0.0.1", 1), ("127.0.0.1", 0)], [("127.0.0.1", 9)]
    assert metrics.read([metric(**POOL), queue], [new, old], get) == {
        "pool": {"good": [False, True], "said": ["0", "9"]},
        "queue": {"good": [False, False], "said": ["5", "5"]},
    }
    assert sorted(asked) == sorted((process, "/metrics") for process in [*new, *old])


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ({"at_least": 90}, "metric 'x' (at least 90)"),
        ({"at_most": 0.25}, "metric 'x' (at most 0.25)"),
        ({"at_most": 0}, "metric 'x' (at most 0)"),
        ({"at_most": 2_000_000}, "metric 'x' (at most 2000000)"),
    ],
)
def test_a_metric_is_called_by_its_name_and_its_bound(bound: dict[str, float], said: str) -> None:
    assert metrics.named(metric(name="x", json="a", **bound)) == said
