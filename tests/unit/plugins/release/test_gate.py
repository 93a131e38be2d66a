"""When a new process is healthy: never by one answer, never late.

Requirements: HEALTH-2.
"""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.gate import CRASHES, Answer, Verdict, judge
from hypothesis import given
from hypothesis import strategies as st

GATE: dict[str, Any] = {"consecutive": 3, "soak_s": 2.0, "timeout_s": 10.0}


def answers(pattern: str, *, every_s: float = 0.5, crashes: int = 0) -> list[Answer]:
    """Answers from a pattern of `+` and `-`; `x` is a crash."""
    found = []
    for number, letter in enumerate(pattern):
        crashes += letter == "x"
        found.append(Answer(number * every_s, letter == "+", crashes, "said"))
    return found


def first(given: list[Answer]) -> tuple[Verdict, float]:
    """The first verdict that is one, as a waiting loop sees it, and when it came."""
    for number in range(1, len(given) + 1):
        verdict = judge(given[:number], **GATE)
        if verdict.result != "waiting":
            return verdict, given[number - 1].at
    return Verdict("waiting"), 0


@pytest.mark.parametrize(
    ("pattern", "result", "reason"),
    [
        ("+" * 10, "passed", "ready after 1.0 s"),
        ("++", "waiting", ""),
        ("----+++" + "+" * 10, "passed", "ready after 3.0 s"),
        ("+-+-+-+" + "+" * 10, "passed", ""),
        ("-" * 30, "failed", "not ready after 10 s"),
        ("++-" * 10, "failed", "not ready after 10 s"),
        ("xxx", "failed", f"ended {CRASHES} times before it was ready"),
        ("x+x+x", "failed", "before it was ready"),
        ("++++-++++++", "passed", ""),
        ("+++--", "failed", "fell ill 1.0 s later"),
        ("+++x", "failed", "ended 0.5 s later"),
        ("+++x+++++", "failed", "ended 0.5 s later"),
        ("x+++++++++", "passed", ""),
        ("+++" + "-+" * 30, "failed", "fluttered"),
    ],
)
def test_the_verdict_over_a_life(pattern: str, result: str, reason: str) -> None:
    verdict, _ = first(answers(pattern))
    assert verdict.result == result
    assert reason in verdict.reason


def test_a_crash_loop_is_not_waited_out() -> None:
    _, at = first(answers("-x-x-x" + "-" * 100))
    assert at < GATE["timeout_s"] / 2


def test_no_answer_is_no_verdict() -> None:
    assert judge([], **GATE).result == "waiting"


lives = st.lists(st.sampled_from("++++-x"), min_size=1, max_size=80).map("".join)


@given(lives)
def test_a_verdict_never_turns(pattern: str) -> None:
    given_ = answers(pattern)
    verdicts = [judge(given_[:number], **GATE).result for number in range(1, len(given_) + 1)]
    decided = [verdict for verdict in verdicts if verdict != "waiting"]
    assert len(set(decided)) <= 1
    assert verdicts == ["waiting"] * (len(verdicts) - len(decided)) + decided


@given(st.lists(st.booleans(), min_size=60, max_size=60))
def test_a_flutter_never_fails(flips: list[bool]) -> None:
    """One bad answer between good ones, however often, as long as good ones come `consecutive` times at last."""
    pattern = "+++" + "".join("-+++" if flip else "+" for flip in flips)
    assert first(answers(pattern, every_s=0.1))[0].result == "passed"


@given(lives)
def test_what_passes_was_good_at_both_ends_of_the_soak(pattern: str) -> None:
    verdict, at = first(answers(pattern))
    if verdict.result != "passed":
        return
    end = int(at / 0.5) + 1
    assert pattern[end - 3 : end] == "+++"
    ready = pattern.index("+++") + 2
    assert (end - 1 - ready) * 0.5 >= GATE["soak_s"]
    assert "--" not in pattern[ready:end]
    assert "x" not in pattern[ready + 1 : end]


@pytest.mark.soak
def test_soak_gate(soak: Any) -> None:
    """However a process behaves, there is a verdict in bounded time."""
    chance = soak.random()
    count = soak.times(sample=500, full=50_000)
    bound = GATE["timeout_s"] + GATE["soak_s"] + GATE["timeout_s"] + 1
    results = {"passed": 0, "failed": 0}
    for _ in range(count):
        weights = [chance.random() * 10, chance.random() * 4, chance.random()]
        at, crashes, given_ = 0.0, 0, list[Answer]()
        while at <= bound:
            letter = chance.choices("+-x", weights)[0]
            crashes += letter == "x"
            given_.append(Answer(at, letter == "+", crashes))
            at += chance.choice([0.1, 0.5, 1.0])
        verdict, decided_at = first(given_)
        assert verdict.result != "waiting"
        assert decided_at <= bound
        results[verdict.result] += 1
    soak.record(processes=count, **results, undecided=0)
