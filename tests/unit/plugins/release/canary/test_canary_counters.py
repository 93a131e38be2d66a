"""Counters of an application, from what its processes are at, again and again, to whether a rate or a share is good."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, counters, metrics, seen
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.metrics import Reading
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer
from hypothesis import given
from hypothesis import strategies as st
from tests.support.steps import metric

FAILED = metric(name="failed", prometheus="mails_failed_total", rate=True, at_most=0.5)
PAID = metric(name="paid", prometheus='payments_total{result="ok"}', of="payments_total", at_least=90)
NEW, OLD = ("127.0.0.1", 1), ("127.0.0.1", 2)


def text(ok: float, failed: float) -> str:
    return f'payments_total{{result="ok",by="card"}} {ok}\npayments_total{{result="failed",by="card"}} {failed}\n'


def looked(declared: metrics.Metric, *looks: tuple[float, str, str]) -> seen.Seen:
    """What an entry has seen of a metric, in looks of a time each, where new and old answer with these texts."""
    entry = seen.Seen()
    for at, new, old in looks:
        look = {"at": at, "tally": access.told(access.Tally()), "waiting": None}
        look["metrics"] = {declared["name"]: told(declared, new, old)}
        entry.take(look, new="green", declared=[declared])
    return entry


def told(declared: metrics.Metric, new: str, old: str) -> Any:
    """What a host tells of a metric, where new and old answer with these texts."""
    answers = {NEW: Answer(200, (), new, 0.01), OLD: Answer(200, (), old, 0.01)}
    return metrics.read([declared], [[NEW], [OLD]], lambda process, _, __: answers[process])[declared["name"]]


@given(st.lists(st.tuples(st.floats(1, 40), st.integers(0, 1000), st.booleans()), min_size=1, max_size=40))
def test_a_rate_is_all_that_was_counted_over_the_time_of_its_span_whatever_restarts_there_were(
    looks: list[tuple[float, int, bool]],
) -> None:
    counter, at, is_at = counters.Counter(FAILED), 0.0, 0
    counter.take({"a": [is_at, 0]}, at=at)
    began, counted, spans = at, 0, 0
    for after, risen, restarted in looks:
        at += after
        # One that began anew is seen to have where it is at less than it was.
        is_at, counted = (risen, counted + risen) if restarted and risen < is_at else (is_at + risen, counted + risen)
        over = counter.take({"a": [is_at, 0]}, at=at)
        assert over == (at - began >= counters.SPAN_S)
        if over:
            assert counter.told.good == (counted / (at - began) <= 0.5)
            began, counted, spans = at, 0, spans + 1
    assert counter.told.good is not None or not spans


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30))
def test_a_share_is_told_of_no_fewer_than_ten_and_each_that_was_counted_is_in_one_span(
    looks: list[tuple[int, int]],
) -> None:
    counter, ok, every, waiting = counters.Counter(PAID), 5, 9, (0, 0)
    counter.take({"a": [ok, every]}, at=0)
    for number, (well, ill) in enumerate(looks, 1):
        ok, every = ok + well, every + well + ill
        waiting = (waiting[0] + well, waiting[1] + well + ill)
        over = counter.take({"a": [ok, every]}, at=20.0 * number)
        assert over == (waiting[1] >= counters.FEWEST)
        if over:
            assert counter.told.good == (100 * waiting[0] / waiting[1] >= 90)
            waiting = (0, 0)


def test_all_processes_are_one_release_and_one_that_comes_later_counts_from_then_on() -> None:
    counter = counters.Counter(FAILED)
    counter.take({"a": [100, 0]}, at=0)
    counter.take({"a": [103, 0], "b": [70, 0]}, at=10)
    assert counter.take({"a": [104, 0], "b": [76, 0]}, at=20)
    assert counter.told == Reading(True, "0.5 a second")


def test_a_counter_says_nothing_before_it_was_read_twice_and_then_once_for_each_span() -> None:
    looks = ((0, 7), (5, 7), (16, 60), (20, 60), (31, 60))
    old = "mails_failed_total 3"
    entry = looked(FAILED, *((at, f"mails_failed_total {failed}", old) for at, failed in looks))
    assert [(each.at, list(each.good), list(each.said)) for each in entry.signals] == [
        (16, [False, True], ["3.312 a second", "0 a second"]),
        (31, [True, True], ["0 a second", "0 a second"]),
    ]
    assert {each.name for each in entry.signals} == {"metric 'failed' (at most 0.5 a second)"}


def test_a_release_that_does_not_know_its_own_counter_is_bad_each_time_and_one_that_never_had_it_says_nothing() -> None:
    entry = looked(PAID, (0, "", ""), (5, "", ""))
    assert [list(each.good) for each in entry.signals] == [[False, None]] * 2
    assert entry.signals[0].said[0] == '/metrics has no payments_total{result="ok"}'


def test_four_bad_spans_in_a_row_are_what_sends_a_release_back_and_three_are_not() -> None:
    looks = [(16.0 * number, f"mails_failed_total {100 * number}", "mails_failed_total 0") for number in range(5)]
    for many, bad in ((4, False), (5, True)):
        entry = looked(FAILED, *looks[:many])
        (signal,) = seen.signals([entry], now=entry.now, asking=())
        assert signal.bad(signal.new) == bad
        assert not signal.bad(signal.old)


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (text(90, 10), [90, 100]),
        ('payments_total{result="failed"} 4\n', [0, 4]),
        ("# TYPE payments_total counter\n", [0, 0]),
        ("# TYPE payments counter\n", [0, 0]),
        (text(1, 0) + 'payments_total{result="ok",by="bank"} 2\n', [3, 3]),
    ],
)
def test_series_of_several_labels_are_added_up_and_what_never_happened_is_at_nothing(
    answer: str, counts: list[float]
) -> None:
    assert told(PAID, answer, answer)["counts"] == [{"127.0.0.1:1": counts}, {"127.0.0.1:2": counts}]


def test_a_name_that_another_begins_with_is_another_counter() -> None:
    assert told(PAID, "# TYPE payments_totals counter\npayments_totals 3\n", "")["counts"] == [None, None]


def test_a_counter_in_json_is_told_by_its_path() -> None:
    mails = metric(name="mails", json="mails.failed", of="mails.sent", at_most=5)
    assert told(mails, '{"mails": {"failed": 1, "sent": 30}}', '{"mails": {"failed": null, "sent": 0}}')["counts"] == [
        {"127.0.0.1:1": [1, 30]},
        {},
    ]
