"""What a whole run takes of roles and journeys: the same for one commit, and over many all."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman import paths, proving, sampling
from ferryman.errors import Stop

MINUTES = st.dictionaries(st.text(min_size=1), st.floats(0.1, 20), min_size=1)


@given(MINUTES, st.floats(0, 30), st.randoms(use_true_random=False))
def test_no_run_takes_more_minutes_than_its_budget_but_by_one_journey_that_is_longer(
    minutes: dict[str, float], budget: float, random: Random
) -> None:
    order = sorted(minutes)
    random.shuffle(order)
    taken = sampling.fill(minutes, order, budget)
    left = budget - sum(minutes[name] for name in taken)
    assert order[0] in taken
    assert left > -1e-6 or minutes[order[0]] > budget
    assert all(minutes[name] > left - 1e-6 for name in order if name not in taken), "there were minutes for more"


def test_whatever_comes_first_in_chances_order_is_taken_so_that_the_longest_has_its_turn() -> None:
    assert sampling.fill({"long": 99, "short": 1}, ["long", "short"], 10) == {"long"}
    assert sampling.fill({"long": 99, "short": 1}, ["short", "long"], 10) == {"short"}


def test_what_the_whole_run_leaves_out_is_chosen_by_its_commit_and_over_commits_nothing_is_left_out() -> None:
    root = paths.CHECKOUT
    minutes = sampling.journeys(root)
    assert {"kinto", "node-red", "contract tests on the newest driver"} <= minutes.keys(), "marks of parameters count"
    assert proving.left_out(root, "a commit") == proving.left_out(root, "a commit")
    over = [sampling.left_of(minutes, f"commit {number}", [])["journeys"] for number in range(1000)]
    assert not set.intersection(*map(set, over)), "never taken"
    assert set.union(*map(set, over)) == minutes.keys(), "always taken: then it is no journey"


def test_every_role_is_taken_on_one_of_its_debians_and_over_commits_on_each() -> None:
    every = [step.name for step in proving.scenarios(paths.CHECKOUT)]
    taken = [set(every) - set(proving.left_out(paths.CHECKOUT, f"commit {number}")["roles"]) for number in range(30)]
    roles = sorted({name.partition(" on Debian ")[0] for name in every})
    assert all(sorted(name.partition(" on Debian ")[0] for name in names) == roles for names in taken)
    assert set.union(*taken) == set(every)
    assert len(roles) < len(every)


def test_a_seed_chooses_anew_for_the_same_commit_and_the_same_one_chooses_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FERRYMAN_SEED", raising=False)
    assert sampling.turn("a commit") == "a commit"
    chosen = []
    for seed in ("1", "2", "1"):
        monkeypatch.setenv("FERRYMAN_SEED", seed)
        chosen.append(proving.left_out(paths.CHECKOUT, "a commit"))
    assert chosen[0] == chosen[2] != chosen[1]


def test_a_mark_without_minutes_and_minutes_without_a_mark_are_named(tmp_path: Path) -> None:
    tests = tmp_path / "tests" / "faults"
    tests.mkdir(parents=True)
    (tests / "test_one.py").write_text('@pytest.mark.at_times(journey="a long way")\n')
    (tmp_path / sampling.MINUTES).write_text("a road: 3\n")
    with pytest.raises(Stop, match=r"tests/journeys.yml: no minutes for a long way; no test of a road"):
        sampling.journeys(tmp_path)
