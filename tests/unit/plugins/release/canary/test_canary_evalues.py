"""What speaks against a release: by what is no worse it is hardly ever said, however often and whenever one looks."""

import math
from random import Random

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import evalues
from hypothesis import given, settings
from hypothesis import strategies as st

COUNTS = st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(0, 400), st.integers(0, 400)), max_size=6)


@given(st.floats(0.01, 0.99), st.floats(0, 1), COUNTS)
def test_one_more_event_gains_nothing_on_average_where_new_is_not_worse(
    share: float, better: float, before: list[tuple[float, int, int]]
) -> None:
    """The property that Ville's inequality needs, exactly: the e-value is a supermartingale, wherever it stands."""
    chance = share * better
    now, new, old = (evalues.log_e([*before, (share, *more)]) for more in ((0, 0), (1, 0), (0, 1)))
    assert chance * math.exp(new - now) + (1 - chance) * math.exp(old - now) <= 1 + 1e-9


@given(COUNTS, st.randoms(), st.sampled_from([evalues.WORSE, evalues.OTHER]))
def test_neither_order_nor_pieces_matter(
    counts: list[tuple[float, int, int]], chance: Random, odds: tuple[tuple[float, float], ...]
) -> None:
    pieces = [(share, part, 0) for share, new, _ in counts for part in (new // 2, new - new // 2)]
    pieces += [(share, 0, old) for share, _, old in counts]
    chance.shuffle(pieces)
    assert math.isclose(evalues.log_e(pieces, odds), evalues.log_e(counts, odds), rel_tol=1e-9, abs_tol=1e-9)


@given(COUNTS, st.floats(0.01, 0.99))
def test_a_failure_of_new_never_speaks_for_it_and_one_of_old_never_against_new(
    counts: list[tuple[float, int, int]], share: float
) -> None:
    now = evalues.log_e(counts)
    assert evalues.log_e([*counts, (share, 1, 0)]) >= now - 1e-9
    assert evalues.log_e([*counts, (share, 0, 1)]) <= now + 1e-9
    assert evalues.odds([*counts, (share, 1, 0)]) >= evalues.odds(counts) - 1e-9


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9]))
def test_of_releases_that_are_alike_hardly_one_is_ever_suspected_with_a_look_after_each_event(
    seed: int, share: float
) -> None:
    chance, alarms, runs, alpha = Random(seed), 0, 300, 0.01
    for _ in range(runs):
        new = old = 0
        for _ in range(150):
            drawn = chance.random() < share
            new, old = new + drawn, old + (not drawn)
            if drawn and evalues.log_e([(share, new, old)]) >= -math.log(alpha):
                alarms += 1
                break
    assert alarms <= runs * alpha + 4 * math.sqrt(runs * alpha), "four standard deviations above what is promised"


def test_with_one_arm_alone_nothing_is_compared() -> None:
    assert evalues.log_e([(1.0, 500, 0), (0.0, 0, 500)]) == 0
    assert evalues.odds([(1.0, 500, 0)]) == 0


def test_odds_are_those_of_the_arms_shares() -> None:
    assert math.isclose(evalues.odds([(0.1, 10, 30)]), 3.0)
    assert math.isinf(evalues.odds([(0.1, 4, 0)]))


def test_a_small_sample_is_never_surely_below() -> None:
    assert not evalues.surely_below(0, 3, 0.5, chance=0.001)
    assert evalues.surely_below(70, 100, 0.9, chance=0.001)
    assert not evalues.surely_below(88, 100, 0.9, chance=0.001)
