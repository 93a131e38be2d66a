"""A baseline: who has it, what is compared with it, and that it judges what is young by what is as young."""

from random import Random

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import shift, stages, verdict
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, gathering, telling
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import (
    Arm,
    Clients,
    Draw,
    Evidence,
    Minute,
)
from hypothesis import given
from hypothesis import strategies as st
from tests.support import canary_runs
from tests.support.access_log import line
from tests.support.canary_runs import Scenario

AT = 1_764_190_020.0
SHARES, BEGAN = [0.1, 0.3, 0.5], [AT, AT + 100, AT + 200]
shares = st.integers(1, 99)
slots = st.sampled_from(["blue", "green"])


def new_buckets(slot: str, percent: int) -> set[int]:
    green = {*range(stages.share_of(slot, percent))}
    return green if slot == "green" else {*range(shift.BUCKETS)} - green


@given(slots, shares)
def test_a_baseline_has_as_many_clients_as_the_release_or_all_that_are_left(slot: str, percent: int) -> None:
    there = {*stages.baseline_of(slot, percent)}
    assert not there & new_buckets(slot, percent)
    assert len(there) == min(percent, shift.BUCKETS - percent)


@given(slots, st.integers(1, 50), st.integers(1, 50))
def test_while_shares_grow_to_a_half_nobody_leaves_the_baseline(slot: str, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert {*stages.baseline_of(slot, less)} <= {*stages.baseline_of(slot, more)}


@given(slots, shares)
def test_what_is_read_back_tells_both_sides_of_each_edge(slot: str, percent: int) -> None:
    there = stages.baseline_of(slot, percent)
    seen = stages.expected(slot, percent, baseline=there)
    assert {there[0], there[-1]} <= {*seen}
    for bucket, where in seen.items():
        assert where.endswith("_baseline") == (bucket in there)
        assert (where == slot) == (bucket in new_buckets(slot, percent))


def test_a_baseline_is_refused_without_stages() -> None:
    assert not stages.baseline_refusal([{"share": 10}])
    assert "release_stages is empty" in stages.baseline_refusal([])


def test_shares_at_which_no_baseline_can_have_as_many_are_told() -> None:
    assert stages.beyond_baseline([{"share": 10}, {"share": 50}, {"share": 51}, {"share": 75}]) == [51, 75]


def played(seed: int, *, mirrored: bool = False) -> list[Draw]:
    """What is drawn of a history in which each client fails now and then, whatever it has."""
    chance, lines = Random(seed), list[bytes]()
    for number in range(400):
        bucket = chance.randrange(100)
        seconds = number * 0.7
        share = round(SHARES[sum(seconds >= begin - AT for begin in BEGAN) - 1] * 100)
        arms = ("green", "baseline") if not mirrored else ("baseline", "green")
        arm = arms[0] if bucket < share else arms[1] if bucket >= 100 - share else "blue"
        status = chance.choice([200, 500])
        lines.append(line(AT + seconds, arm=arm, status=status, address=f"192.0.2.{bucket}"))
    reader = access.Reader(b"salt", BEGAN, 5.0, apart="blue")
    reader.count(b"".join(lines))
    return gathering.draws(reader.tally, new="green", shares=SHARES, began=BEGAN, baseline=True)


@given(st.integers(0, 2**32))
def test_new_and_baseline_are_mirror_images_so_that_each_event_is_a_coin(seed: int) -> None:
    plain, mirrored = played(seed), played(seed, mirrored=True)
    assert [draw.share for draw in plain] == [0.5] * len(SHARES)
    assert [draw.failing for draw in plain] == [draw.failing[::-1] for draw in mirrored]
    assert [draw.seen for draw in plain] == [draw.seen[::-1] for draw in mirrored]


def test_what_the_rest_got_is_no_event_and_takes_none_away_but_counts_in_minutes() -> None:
    told = [(10, "blue"), (20, "blue"), (120, "green"), (130, "green")]
    reader = access.Reader(b"salt", BEGAN, 5.0, apart="blue")
    reader.count(b"".join(line(AT + at, arm=arm, status=500, address="192.0.2.1") for at, arm in told))
    draws = gathering.draws(reader.tally, new="green", shares=SHARES, began=BEGAN, baseline=True)
    assert [draw.failing for draw in draws] == [(0, 0), (1, 0), (0, 0)]
    assert [draw.seen for draw in draws] == [(0, 0), (1, 0), (0, 0)]
    minutes = gathering.minutes(reader.tally, new="green", since=AT, now=AT + 130, baseline=True)
    assert sum(each.rest.failed for each in minutes) == 2
    assert sum(each.new.failed for each in minutes) == 2
    assert not sum(each.old.requests for each in minutes)


def test_beyond_a_half_nothing_is_compared_by_clients() -> None:
    reader = access.Reader(b"salt", [AT], 5.0, apart="blue")
    reader.count(b"".join(line(AT + 1, arm="green", status=500, address=f"192.0.2.{each}") for each in range(50)))
    (draw,) = gathering.draws(reader.tally, new="green", shares=[0.6], began=[AT], baseline=True)
    assert draw.failing == (50, 0)
    minutes = [Minute(AT, Arm(50), Arm(50))]
    came, _ = gathering.clients(reader.tally, new="green", stage=0, baseline=True)
    assert came == Clients((50, 0), (50, 0))
    told = Evidence(
        now=AT + 60, since=AT, until=AT + 300, share=0.6, draws=[draw], minutes=minutes, in_stage=came, baseline=True
    )
    found = verdict.judge(told)
    assert (found.word, found.rule) == ("hold", "time")


@pytest.mark.parametrize(("rest", "rule"), [(Arm(600, 200), "shared"), (Arm(600, 0), "some_errors")])
def test_where_the_rest_fails_as_much_it_is_neither_releases_fault(rest: Arm, rule: str) -> None:
    new = Arm(60, 20, frozenset("abcdefgh"))
    minutes = [Minute(60.0 * number, new, Arm(60, 0), rest) for number in range(6)]
    told = Evidence(now=360, since=0, until=300, share=0.1, minutes=minutes, baseline=True)
    found = verdict.judge(told)
    assert (found.word, found.rule, found.ask) == ("hold", rule, True)
    record = telling.record(found, told)
    assert record["baseline"]
    assert record["arms"]["rest"]["failed"] == rest.failed * 6
    assert "0.0 % of its baseline's" in record["sentence"]


def back(scenario: Scenario, runs: int) -> float:
    """Percent of the runs in which it was sent back."""
    return float(canary_runs.count(scenario, 20261122, runs)["ways"]["verdict"]["back_percent"])


def test_what_is_slow_or_fails_when_young_is_sent_back_without_a_baseline_and_not_with_one() -> None:
    for without, beside in zip(canary_runs.YOUNG[::2], canary_runs.YOUNG[1::2], strict=True):
        assert back(without, 12) >= 50, without.name
        assert not back(beside, 12), beside.name


def test_beside_a_baseline_the_healthy_go_on_and_the_bad_go_back() -> None:
    for scenario in canary_runs.BESIDE_BASELINE:
        assert back(scenario, 8) == (0 if scenario.name.startswith("healthy") else 100), scenario.name
