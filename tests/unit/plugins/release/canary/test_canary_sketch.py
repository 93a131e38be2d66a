"""Quantiles out of bins: as near as stated, and the same in whatever pieces they were counted."""

import json
import math
from random import Random

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import sketch
from hypothesis import given
from hypothesis import strategies as st

SECONDS = st.lists(st.floats(sketch.LEAST_S, sketch.MOST_S), min_size=1, max_size=200)


def counted(values: list[float]) -> sketch.Sketch:
    """A sketch of values."""
    found = sketch.Sketch()
    for value in values:
        found.add(value)
    return found


@given(SECONDS, st.floats(0, 1))
def test_a_quantile_is_within_the_stated_error_of_the_true_one(values: list[float], share: float) -> None:
    true = sorted(values)[math.floor(share * (len(values) - 1))]
    told = counted(values).quantile(share)
    assert told is not None
    assert abs(told - true) <= sketch.ACCURACY * true * 1.0001


@given(st.lists(SECONDS, max_size=5), st.randoms())
def test_pieces_in_any_order_make_the_sketch_of_the_whole(pieces: list[list[float]], chance: Random) -> None:
    whole = counted([value for piece in pieces for value in piece])
    shuffled = [counted(piece) for piece in pieces]
    chance.shuffle(shuffled)
    assert sketch.merged(shuffled).bins == whole.bins


@given(SECONDS)
def test_a_sketch_comes_back_from_json_and_stays_small(values: list[float]) -> None:
    found = counted(values)
    assert sketch.read(json.loads(json.dumps(found.told()))) == found
    assert set(found.bins) <= set(range(sketch.bin_of(sketch.MOST_S) + 1)), "bins are bounded, so memory is"


@given(SECONDS, st.floats(0.002, 500))
def test_what_is_over_a_bound_is_counted_but_for_its_own_bin(values: list[float], bound: float) -> None:
    surely, perhaps = (sum(value > bound * k for value in values) for k in (1 + 2.1 * sketch.ACCURACY, 1))
    assert surely <= counted(values).over(bound) <= perhaps


def test_nothing_counted_is_no_quantile() -> None:
    assert sketch.Sketch().quantile(0.95) is None
