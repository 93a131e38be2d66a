"""Whether a release goes on: each rule with what speaks for it and what does not, and histories by the thousand."""

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import verdict
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import telling
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import (
    LEVELS_S,
    Arm,
    Clients,
    Draw,
    Evidence,
    Minute,
    Pair,
    Signal,
    Waiting,
    again,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.limits import Limits
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import Sketch, bin_of
from hypothesis import given
from hypothesis import strategies as st


def arm(requests: int, failed: int = 0, *, clients: int = 8, p95_s: float = 0.2) -> Arm:
    """A minute of an arm whose requests all take `p95_s`."""
    failing = frozenset(f"c{number}" for number in range(min(failed, clients)))
    return Arm(requests, failed, failing, Sketch({bin_of(p95_s): requests} if requests else {}))


def minutes(count: int, new: Arm, old: Arm) -> list[Minute]:
    """Minutes that are all alike, from 0 on."""
    return [Minute(60.0 * number, new, old) for number in range(count)]


def draw(share: float = 0.1, failing: Pair = (0, 0), *, at: list[float] | None = None, **more: Any) -> Draw:
    """A draw whose failures of new came ten seconds apart, unless it is said when."""
    times = at if at is not None else [10.0 * number for number in range(failing[0])]
    return Draw(share, failing, times, **{"seen": (round(600 * share), 600 - round(600 * share)), **more})


def evidence(*draws: Draw, now: float = 120.0, **more: Any) -> Evidence:
    """A release in its first stage, of five minutes, with quiet minutes."""
    share = draws[-1].share if draws else 0.1
    drawn = draws or (draw(),)
    known = {"minutes": minutes(int(now // 60), arm(60), arm(540)), "since": 0.0, "until": 300.0, "share": share}
    known |= {name: clients(*drawn) for name in ("in_stage", "in_all")}
    return Evidence(now=now, draws=drawn, **{**known, **more})


def clients(*draws: Draw) -> Clients:
    """Who came and who failed, where nobody is in two draws."""
    came, failing = ([sum(getattr(each, name)[at] for each in draws) for at in (0, 1)] for name in ("seen", "failing"))
    return Clients((came[0], came[1]), (failing[0], failing[1]))


def said(given: Evidence, **limits: Any) -> tuple[str, str, bool]:
    """The word, the rule, and whether somebody is asked."""
    found = verdict.judge(given, Limits(**limits))
    return found.word, found.rule, found.ask


SLOW = tuple((12, 8) if level > 0.3 else (55, 500) for level in LEVELS_S)
THIRD = minutes(11, arm(60, 20), arm(540, 170))
DOWN = Signal("login", (0, 6), (6, 6))
PAID = Signal("payments", (70, 100), (480, 500), least_percent=90, least_samples=20)
CASES = {
    "quiet, and its time is not over": (evidence(), ("hold", "time", False)),
    "quiet, and its time is over": (evidence(now=300), ("promote", "time", False)),
    "few clients": (evidence(draw(seen=(4, 30)), now=300), ("no_data", "few", False)),
    "few clients for twice the time": (evidence(draw(seen=(4, 30)), now=600), ("no_data", "few", True)),
    "nobody at all": (evidence(draw(seen=(0, 0)), now=300, minutes=()), ("no_data", "few", False)),
    "clients earlier, but none in this stage": (
        evidence(draw(), now=900, since=600, until=900, minutes=minutes(15, arm(0), arm(0))),
        ("no_data", "few", False),
    ),
    "many clients in all, but few in this stage": (
        evidence(draw(), now=300, in_stage=Clients((4, 30))),
        ("no_data", "few", False),
    ),
    "few that were never seen before, but many in this stage": (
        evidence(draw(seen=(2, 0)), now=300, in_stage=Clients((60, 540))),
        ("promote", "time", False),
    ),
    "three of four clients fail, and are too few": (
        evidence(
            draw(failing=(3, 0), seen=(4, 36)),
            now=300,
            until=300,
            minutes=minutes(5, arm(8, 6, clients=3), arm(540)),
        ),
        ("hold", "most_fail", True),
    ),
    "one of two clients fails": (
        evidence(draw(failing=(1, 0), seen=(2, 36)), now=300, minutes=minutes(5, arm(8, 7, clients=1), arm(540))),
        ("promote", "time", False),
    ),
    "three of four clients fail, as they do with old": (
        evidence(draw(failing=(3, 27), seen=(4, 36)), now=300, minutes=minutes(5, arm(3, 2, clients=3), arm(540, 300))),
        ("promote", "time", False),
    ),
    "new fails": (evidence(draw(failing=(9, 3))), ("rollback", "errors", False)),
    "new fails surely enough among clients": (evidence(draw(0.5, failing=(12, 0))), ("rollback", "errors", False)),
    "new fails as surely beside a baseline": (
        evidence(draw(0.5, failing=(12, 0)), baseline=True),
        ("hold", "time", False),
    ),
    "new fails surely enough beside a baseline": (
        evidence(draw(0.5, failing=(13, 0)), baseline=True),
        ("rollback", "errors", False),
    ),
    "new fails for four clients alone": (evidence(draw(failing=(4, 0))), ("hold", "time", False)),
    "new fails for a moment": (
        evidence(draw(failing=(9, 3), at=[50 + i / 4 for i in range(9)])),
        ("hold", "time", False),
    ),
    "half of what fails with new does so in a moment": (
        evidence(draw(failing=(10, 3), at=[0, 20, 40, 60, 80, *(90 + i / 2 for i in range(5))])),
        ("rollback", "errors", False),
    ),
    "more than half of what fails with new does so in a moment": (
        evidence(draw(failing=(9, 3), at=[0, 20, 40, 60, *(90 + i / 2 for i in range(5))])),
        ("hold", "time", False),
    ),
    "both fail alike": (evidence(draw(failing=(30, 270))), ("hold", "time", False)),
    "surely worse by less than matters": (evidence(draw(0.5, (60_000, 50_000))), ("hold", "time", False)),
    "new fails after it grew": (
        evidence(draw(), draw(0.25), draw(again(0.1, 0.25), (9, 2))),
        ("rollback", "errors", False),
    ),
    "new is slower": (
        evidence(draw(slow=SLOW), minutes=minutes(3, arm(60, p95_s=0.9), arm(540)), now=180),
        ("rollback", "slower", False),
    ),
    "new is slower in one minute alone": (
        evidence(
            draw(slow=SLOW),
            minutes=[*minutes(2, arm(60), arm(540)), Minute(120, arm(60, p95_s=0.9), arm(540))],
            now=180,
        ),
        ("hold", "time", False),
    ),
    "slower, but quick enough": (
        evidence(draw(slow=SLOW), minutes=minutes(3, arm(60, p95_s=0.06), arm(540, p95_s=0.02)), now=180),
        ("hold", "time", False),
    ),
    "the share is not what was set": (evidence(draw(failing=(9, 3), seen=(300, 540))), ("hold", "share", True)),
    "new hangs": (evidence(waiting=Waiting((4, 0), (0, 90), 15)), ("rollback", "hanging", False)),
    "new hangs, and old answered as few": (
        evidence(waiting=Waiting((4, 0), (0, 4), 15)),
        ("rollback", "hanging", False),
    ),
    "new hangs, and old answered too few": (evidence(waiting=Waiting((5, 0), (0, 3), 15)), ("hold", "time", False)),
    "three requests hang": (evidence(waiting=Waiting((3, 0), (0, 90), 15)), ("hold", "time", False)),
    "new is slow to answer, but answers": (evidence(waiting=Waiting((6, 0), (2, 90), 15)), ("hold", "time", False)),
    "clients of both wait for news by design": (
        evidence(waiting=Waiting((30, 8), (0, 40), 15)),
        ("hold", "shared", False),
    ),
    "new answers none and old a few, while most hang": (
        evidence(waiting=Waiting((6, 50), (0, 9), 15)),
        ("hold", "shared", False),
    ),
    "both hang": (evidence(waiting=Waiting((6, 50), (0, 0), 15)), ("hold", "shared", False)),
    "an outage of both": (evidence(draw(failing=(15, 135)), minutes=THIRD, now=300), ("hold", "shared", True)),
    "an outage of both, just begun": (
        evidence(
            draw(failing=(15, 135)),
            minutes=[*minutes(3, arm(60), arm(540)), *[replace(each, since=each.since + 180) for each in THIRD[:2]]],
            now=300,
        ),
        ("hold", "shared", False),
    ),
    "seven in a hundred fail for ten minutes": (
        evidence(draw(0.5, (9, 3)), minutes=minutes(10, arm(300, 21), arm(300, 1)), now=600, until=900),
        ("hold", "some_errors", True),
    ),
    "a fifth fails for five minutes, and somewhat more likely with new": (
        evidence(draw(0.5, (12, 2)), minutes=minutes(5, arm(300, 60), arm(300, 1)), now=300),
        ("rollback", "many_errors", False),
    ),
    "an eighth fails for five minutes, and of old it is too early to say that it is well": (
        evidence(draw(0.5, (12, 2)), minutes=minutes(5, arm(160, 20), arm(30, 1)), now=300),
        ("hold", "unsure", True),
    ),
    "an eighth fails for five minutes, and of old nobody saw a failure": (
        evidence(draw(0.5, (12, 2)), minutes=minutes(5, arm(160, 20), arm(6)), now=300),
        ("rollback", "many_errors", False),
    ),
    "a fifth fails in the watch, and the old slot is well": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30)),
        ("rollback", "many_errors", False),
    ),
    "a fifth fails in the watch, and the old slot is ill, too": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(24, 30)),
        ("hold", "shared", True),
    ),
    "a fifth fails in the watch, and most of it with the old slot as well, which no probe sees": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30), replayed=(30, 18)),
        ("hold", "shared", True),
    ),
    "a fifth fails in the watch, and it may be half of it that does so with the old slot as well": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30), replayed=(30, 12)),
        ("hold", "unsure", True),
    ),
    "a fifth fails in the watch, and the old slot answers most of it well": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30), replayed=(30, 4)),
        ("rollback", "many_errors", False),
    ),
    "a fifth fails in the watch, and of the few that were looked at once more half does so with old": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30), replayed=(8, 4)),
        ("hold", "shared", True),
    ),
    "a fifth fails in the watch, and of the few that were looked at once more some do so with old": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30), replayed=(9, 3)),
        ("hold", "unsure", True),
    ),
    "a fifth fails in the watch, and of the few that were looked at once more hardly any does so with old": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60), arm(0)), now=300, old_probes=(30, 30), replayed=(9, 1)),
        ("rollback", "many_errors", False),
    ),
    "a third fails in the watch as it did with both before": (
        evidence(draw(0.5, (30, 30)), draw(1.0), minutes=THIRD, now=660, since=659, until=1259, old_probes=(8, 8)),
        ("hold", "shared", True),
    ),
    "a fifth fails in one minute of five": (
        evidence(draw(1.0), minutes=[*minutes(4, arm(100), arm(0)), Minute(240, arm(100, 90), arm(0))], now=300),
        ("promote", "time", False),
    ),
    "one client alone fails": (
        evidence(draw(1.0), minutes=minutes(5, arm(300, 60, clients=1), arm(0)), now=300),
        ("promote", "time", False),
    ),
    "seven seconds for everybody": (
        evidence(minutes=minutes(5, arm(60, p95_s=7.0), arm(540, p95_s=7.0)), now=300),
        ("hold", "p95", True),
    ),
    "nobody can log in to new": (evidence(signals=(DOWN,)), ("rollback", "signal", False)),
    "nobody can log in at all": (evidence(signals=(replace(DOWN, old=(0, 6)),)), ("hold", "shared", False)),
    "one probe failed": (evidence(signals=(replace(DOWN, new=(0, 1)),)), ("hold", "time", False)),
    "payments fail with new": (evidence(signals=(PAID,)), ("rollback", "signal", False)),
    "payments fail with new, and one is asked": (
        evidence(signals=(replace(PAID, back=False),)),
        ("hold", "signal", True),
    ),
    "payments fail with both": (evidence(signals=(replace(PAID, old=(400, 500)),)), ("hold", "shared", False)),
    "a payment less": (evidence(signals=(replace(PAID, new=(17, 20)),)), ("hold", "time", False)),
    "somebody says stop": (evidence(operator="abort"), ("rollback", "operator", False)),
    "somebody says go on": (evidence(operator="promote"), ("promote", "operator", False)),
    "somebody says go on with what is bad": (
        evidence(draw(failing=(9, 3)), operator="promote"),
        ("rollback", "errors", False),
    ),
    "somebody says go on where nobody came": (
        evidence(draw(seen=(0, 0)), minutes=(), operator="promote"),
        ("promote", "operator", False),
    ),
    "login is ill for both and new fails besides": (
        evidence(draw(failing=(9, 3)), signals=(replace(DOWN, old=(0, 6)),)),
        ("rollback", "errors", False),
    ),
}


@pytest.mark.parametrize(("given", "wanted"), [pytest.param(*case, id=name) for name, case in CASES.items()])
def test_a_rule(given: Evidence, wanted: tuple[str, str, bool]) -> None:
    assert said(given, **({"least_clients": 2} if wanted[1] != "few" else {})) == wanted


@pytest.mark.parametrize("given", [pytest.param(case[0], id=name) for name, case in CASES.items()])
def test_a_verdict_says_why_in_one_sentence_and_fits_into_a_ledger(given: Evidence) -> None:
    found = verdict.judge(given)
    line = telling.record(found, given)
    assert line == json.loads(json.dumps(line, allow_nan=False), object_hook=dict) or line["figures"]
    sentence = line["sentence"]
    assert sentence.endswith(".")
    assert len(sentence) < 260
    assert not any(word in sentence for word in ("None", "inf", "nan", "{"))


def test_what_the_sentences_say() -> None:
    found = verdict.judge(CASES["new fails"][0])
    assert telling.sentence(found, CASES["new fails"][0]) == (
        "The new release fails more: 9 clients of 60 saw the new release fail, 3 of 540 the old one (27 times as "
        "often); of releases that are as good as the old one, fewer than one in 980,000 looks so."
    )
    given = CASES["an outage of both"][0]
    assert telling.sentence(verdict.judge(given), given) == (
        "Old is as bad as new (33 % of the new one's requests failed, and 31 % of the old one's): something that both "
        "need is ill, and to go back would not help."
    )
    given = CASES["an eighth fails for five minutes, and of old it is too early to say that it is well"][0]
    assert telling.sentence(verdict.judge(given), given) == (
        "In the last 5 min 12 % of the new release's requests failed, and 3.3 % of the old one's: too few to say "
        "whether something that both need is ill."
    )


@pytest.mark.parametrize("name", ["errors_back_percent", "errors_ask_percent", "p95_ask_s"])
def test_a_limit_of_nothing_holds_nobody_up(name: str) -> None:
    off = {"errors_back_percent": 0.0, name: 0.0, **({"errors_ask_percent": 0.0} if "percent" in name else {})}
    given = {"p95_ask_s": CASES["seven seconds for everybody"][0]}.get(
        name, CASES["a fifth fails in the watch, and the old slot is well"][0]
    )
    assert said(given, **off)[0] == "promote"


PAIRS = st.tuples(st.integers(0, 60), st.integers(0, 400))
DRAWS = st.lists(
    st.builds(
        lambda share, failing, slow, seen: draw(share, failing, slow=tuple(slow), seen=seen),
        st.sampled_from([0.1, 0.25, 0.5, 1.0]),
        PAIRS,
        st.lists(PAIRS, min_size=len(LEVELS_S), max_size=len(LEVELS_S)),
        PAIRS,
    ),
    min_size=1,
    max_size=4,
)
ARMS = st.builds(
    lambda requests, share, clients, p95: arm(requests, int(requests * share), clients=clients, p95_s=p95),
    st.integers(0, 600),
    st.sampled_from([0.0, 0.01, 0.07, 0.2, 1.0]),
    st.integers(0, 9),
    st.sampled_from([0.05, 0.3, 1.0, 8.0]),
)
HISTORIES = st.builds(
    lambda draws, arms, early, waiting, signal, operator: evidence(
        *draws,
        now=60.0 * len(arms),
        until=60.0 * len(arms) + early,
        minutes=[Minute(60.0 * at, *both) for at, both in enumerate(arms)],
        waiting=Waiting(waiting[0], waiting[1], 15.0) if waiting else None,
        signals=(Signal("login", *signal),),
        operator=operator,
    ),
    DRAWS,
    st.lists(st.tuples(ARMS, ARMS), max_size=12),
    st.sampled_from([-600.0, -1.0, 60.0]),
    st.none() | st.tuples(PAIRS, PAIRS),
    st.tuples(st.tuples(st.integers(0, 9), st.just(9)), st.tuples(st.integers(0, 9), st.just(9))),
    st.sampled_from(["", "", "", "promote", "abort"]),
)


@given(HISTORIES)
def test_there_is_always_one_of_four_words_with_a_sentence(given: Evidence) -> None:
    found = verdict.judge(given)
    assert found.word in ("promote", "hold", "rollback", "no_data")
    json.dumps(telling.record(found, given), allow_nan=False)
    assert not found.ask or found.word in ("hold", "no_data")


@given(HISTORIES)
def test_more_failures_of_new_never_make_a_rollback_a_promotion(given: Evidence) -> None:
    if verdict.judge(given).word != "rollback" or given.draws[-1].share == 1:
        return
    last = given.draws[-1]
    times = [*last.failed_at, *(1000.0 + 10 * number for number in range(20))]
    worse = replace(last, failing=(last.failing[0] + 20, last.failing[1]), failed_at=times)
    assert verdict.judge(replace(given, draws=[*given.draws[:-1], worse])).word == "rollback"


@given(HISTORIES)
def test_a_promotion_stays_one_with_fewer_failures_of_new(given: Evidence) -> None:
    if verdict.judge(given).word != "promote":
        return
    better = [replace(each, failing=(0, each.failing[1]), failed_at=()) for each in given.draws]
    assert verdict.judge(replace(given, draws=better)).word == "promote"


@given(HISTORIES, st.randoms())
def test_the_order_of_draws_is_nothing_to_it(given: Evidence, chance: Any) -> None:
    draws = list(given.draws)
    chance.shuffle(draws)
    assert verdict.judge(replace(given, draws=draws)).word == verdict.judge(given).word


@given(HISTORIES, st.floats(-1e6, 1e9))
def test_only_differences_of_times_count(given: Evidence, by: float) -> None:
    by = round(by / 60) * 60.0
    moved = replace(
        given,
        now=given.now + by,
        since=given.since + by,
        until=given.until + by,
        minutes=[replace(each, since=each.since + by) for each in given.minutes],
        draws=[replace(each, failed_at=[at + by for at in each.failed_at]) for each in given.draws],
    )
    assert (verdict.judge(moved).word, verdict.judge(moved).rule) == (
        verdict.judge(given).word,
        verdict.judge(given).rule,
    )


@given(HISTORIES)
def test_nothing_of_new_alone_is_blamed_on_it_where_nobody_came_to_it(given: Evidence) -> None:
    empty = replace(
        given,
        draws=[
            replace(each, failing=(0, 0), failed_at=(), slow=((0, 0),) * len(LEVELS_S), seen=(0, 0))
            for each in given.draws
        ],
        minutes=[replace(each, new=Arm()) for each in given.minutes],
        in_stage=Clients(),
        in_all=Clients(),
        waiting=None,
        signals=(),
        operator="",
    )
    expected = {"no_data"} if empty.share < 1 else {"hold", "promote"}  # of the watch time alone is the end
    assert verdict.judge(empty).word in expected
