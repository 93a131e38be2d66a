"""Counters of an application, from what its processes are at, again and again, to whether their ratio is good."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, metrics, ratios, seen
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer
from hypothesis import given
from hypothesis import strategies as st
from tests.support.steps import metric

if TYPE_CHECKING:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Signal

PAID = metric(name="paid", prometheus='payments_total{result="ok"}', of="payments_total", at_least=90)
BOUNCED = metric(name="bounced", prometheus="bounced_total", of="mails_total", at_most=5)
NAME = "metric 'paid' (at least 90 %)"
NEW, OLD = ("127.0.0.1", 1), ("127.0.0.1", 2)


def text(ok: float, failed: float) -> str:
    return f'payments_total{{result="ok",by="card"}} {ok}\npayments_total{{result="failed",by="card"}} {failed}\n'


def told(declared: metrics.Metric, new: str, old: str) -> Any:
    """What a host tells of a metric, where new and old answer with these texts."""
    answers = {NEW: Answer(200, (), new, 0.01), OLD: Answer(200, (), old, 0.01)}
    return metrics.read([declared], [[NEW], [OLD]], lambda process, _, __: answers[process])[declared["name"]]


def looked(declared: metrics.Metric, *looks: tuple[float, str, str]) -> seen.Seen:
    """What an entry has seen of a metric, in looks of a time each, where new and old answer with these texts."""
    entry = seen.Seen()
    for at, new, old in looks:
        look = {"at": at, "tally": access.told(access.Tally()), "waiting": None}
        look["metrics"] = {declared["name"]: told(declared, new, old)}
        entry.take(look, new="green", declared=[declared])
    return entry


def judged(declared: metrics.Metric, *entries: seen.Seen) -> Signal:
    """The signal of a ratio's counts, behind that of whether they are told at all."""
    *_, signal = seen.signals(entries, now=max(each.now for each in entries), declared=[declared])
    return signal


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), min_size=1, max_size=30))
def test_each_event_is_counted_once_whatever_restarts_there_were_in_between(
    looks: list[tuple[int, int, bool]],
) -> None:
    ratio, at = ratios.Ratio(), [{"ok": 500}, {"ok": 500, "failed": 20}]
    ratio.take([{"a": at}, {}], at=0)
    counted = whole = 0
    for number, (ok, failed, restarted) in enumerate(looks, 1):
        was = [{"ok": 0}, {"ok": 0, "failed": 0}] if restarted else at
        at = [{"ok": was[0]["ok"] + ok}, {"ok": was[1]["ok"] + ok, "failed": was[1].get("failed", 0) + failed}]
        seen_before = ratio.before[0]["a"]
        hidden = restarted and all(
            at[part].get(name, 0) >= value for part in (0, 1) for name, value in seen_before[part].items()
        )
        ratio.take([{"a": at}, {}], at=number)
        if hidden:  # it has counted more since than before: no reading tells that from one that went on
            return
        counted, whole = counted + ok, whole + ok + failed
        assert ratio.within(0) == ((counted, whole), (0, 0))


def test_a_reset_is_one_of_a_process_and_not_of_one_of_its_counters() -> None:
    ratio = ratios.Ratio()
    ratio.take([{"a": [{"": 3}, {"": 1000}], "b": [{"": 9}, {"": 9}]}, {}], at=0)
    ratio.take([{"a": [{"": 3}, {"": 60}]}, {}], at=5)
    assert ratio.within(0) == ((3, 60), (0, 0)), "all that the new process has counted"
    ratio.take([{"a": [{}, {"": 60}]}, {}], at=10)
    assert ratio.within(5) == ((0, 60), (0, 0)), "a label that is gone was reset, too"


def test_a_label_that_comes_later_began_at_nothing_and_a_process_that_does_is_at_where_it_is() -> None:
    ratio = ratios.Ratio()
    ratio.take([{"a": [{"ok": 10}, {"ok": 10}]}, {}], at=0)
    ratio.take([{"a": [{"ok": 10}, {"ok": 10, "failed": 4}], "b": [{"ok": 70}, {"ok": 700}]}, {}], at=5)
    assert ratio.within(0) == ((0, 4), (0, 0))


@pytest.mark.parametrize(
    ("counts", "bad"), [((0, 2), False), ((0, 3), True), ((8, 12), False), ((60, 100), True), ((90, 100), False)]
)
def test_a_ratio_is_bad_once_that_is_no_chance_however_few_there_were(counts: tuple[int, int], bad: bool) -> None:
    ok, every = counts
    entry = looked(PAID, (0, text(5, 5), text(0, 0)), (9, text(5 + ok, 5 + every - ok), text(99, 1)))
    signal = judged(PAID, entry)
    assert (signal.name, signal.new, signal.old) == (NAME, (ok, every), (99, 100))
    assert signal.bad(signal.new) == bad
    assert not signal.bad(signal.old)
    assert signal.said == (f"{metrics.figure(PAID, round(100 * ok / every, 1))}", "99 %")


def test_what_must_not_rise_is_good_where_it_was_not_counted() -> None:
    looks = [
        (at, f"bounced_total {40 * at}\nmails_total {100 * at}\n", "bounced_total 0\nmails_total 0") for at in (1, 2)
    ]
    signal = judged(BOUNCED, looked(BOUNCED, *looks))
    assert (signal.new, signal.least_percent, signal.said[0]) == ((60, 100), 95, "40 %")
    assert signal.bad(signal.new)


def test_what_was_five_minutes_ago_is_over() -> None:
    looks = [(0, text(0, 0)), (10, text(0, 90)), (200, text(80, 90)), (400, text(170, 92))]
    signal = judged(PAID, looked(PAID, *((at, new, new) for at, new in looks)))
    assert signal.new == signal.old == (170, 172)


def test_of_several_entries_that_read_the_same_processes_one_counts() -> None:
    first = looked(PAID, (0, text(0, 0), text(0, 0)), (9, text(30, 0), text(9, 0)))
    later = looked(PAID, (5, text(20, 0), text(5, 0)), (8, text(30, 0), text(9, 0)))
    assert judged(PAID, first, later).new == (30, 30)


def test_a_release_that_does_not_know_its_own_counter_is_bad_and_one_that_never_had_it_says_nothing() -> None:
    entry = looked(PAID, *((at, "", "") for at in range(4)))
    unknown, counted = seen.signals([entry], now=3, declared=[PAID])
    assert (unknown.name, unknown.new, unknown.old) == (NAME, (0, 4), (0, 0))
    assert unknown.bad(unknown.new)
    assert unknown.said[0] == '/metrics has no payments_total{result="ok"}'
    assert (counted.new, counted.old, counted.said) == ((0, 0), (0, 0), ("", ""))


def test_of_a_ratio_that_is_to_be_asked_about_somebody_is() -> None:
    asks = metric(name="paid", prometheus="ok_total", of="every_total", at_least=90, then="ask")
    both = "ok_total 1\nevery_total 1\n"
    assert not judged(asks, looked(asks, (0, both, both))).back


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (text(90, 10), (90, 100)),
        ('payments_total{result="failed"} 4\n', (0, 4)),
        ("# TYPE payments_total counter\n", (0, 0)),
        ("# TYPE payments counter\n", (0, 0)),
        (text(1, 0) + 'payments_total{result="ok",by="bank"} 2\n', (3, 3)),
    ],
)
def test_series_of_all_other_labels_count_and_what_never_happened_is_at_nothing(
    answer: str, counts: tuple[int, int]
) -> None:
    (at,) = told(PAID, answer, answer)["counts"][0].values()
    assert (sum(at[0].values()), sum(at[1].values())) == counts


@pytest.mark.parametrize(
    "answer",
    [
        "# TYPE payments_totals counter\npayments_totals 3\n",
        'payments_total{state="ok"} 3\n',
        "# TYPE payments gauge\n",
    ],
)
def test_another_name_and_a_misspelt_label_are_noticed(answer: str) -> None:
    assert told(PAID, answer, answer)["good"] == [False, None]


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity"])
def test_a_counter_that_has_nothing_to_tell_counts_for_nothing_and_is_no_reset(value: str) -> None:
    mails = metric(name="mails", json="mails.failed", of="mails.sent", at_most=5)
    answers = [
        f'{{"mails": {{"failed": {failed}, "sent": {sent}}}}}' for failed, sent in ((1, 50), (value, 60), (2, 70))
    ]
    assert told(mails, answers[1], answers[1])["counts"] == [{}, {}]
    entry = looked(mails, *((at, new, new) for at, new in enumerate(answers)))
    assert judged(mails, entry).new == (19, 20)
    assert math.isclose(judged(mails, entry).least_percent, 95)
