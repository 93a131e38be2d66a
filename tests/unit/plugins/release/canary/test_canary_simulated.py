"""The verdict over whole releases, among clients that stay and differ: it lets good ones be, and finds bad ones."""

import functools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import pytest
from tests.conftest import Soak
from tests.support import canary_runs

FALSE_ALARMS_PERCENT = 0.1
CAUGHT_PERCENT = 98.0
"""Of each kind of bad release, whatever else is wanted of it; what is wanted stands in the record beside it."""
WANTED = {
    "12 % errors, 10 rps": ("median_s", 60, 100),
    "12 % errors, 50 rps": ("median_s", 20, 100),
    "6 % errors, 10 rps": ("median_s", 120, CAUGHT_PERCENT),
    "2 % errors, 10 rps": ("back_percent", 99, 99),
    "p95 three times as long, 10 rps": ("back_percent", 99, 99),
    "hangs, 10 rps": ("most_s", 35, 100),
}


def wanted_of(name: str) -> str:
    """How many healthy releases of a kind may be sent back; of those that only a baseline knows, nothing without it."""
    needs_one = "when young" in name and not name.endswith("a baseline")
    return "" if needs_one else f"at most {FALSE_ALARMS_PERCENT}"


def rows(told: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What is wanted of each kind of release, beside what came."""
    found = []
    for each in told:
        name, ours = each["scenario"], each["ways"]["verdict"]
        back = f"{ours['back_percent']:g}"
        if name.startswith("healthy"):
            found.append({"what": f"{name}: rolled back, %", "measured": back, "target": wanted_of(name)})
            continue
        kind, bound, least = WANTED.get(name, ("back_percent", CAUGHT_PERCENT, CAUGHT_PERCENT))
        found.append({"what": f"{name}: caught, %", "measured": back, "target": f"at least {least:g}"})
        if kind != "back_percent":
            word = {"median_s": "median", "most_s": "the latest"}[kind]
            found.append({"what": f"{name}: {word}, s", "measured": f"{ours[kind]:g}", "target": f"at most {bound}"})
    return found


@contextmanager
def workers(soak: Soak) -> Iterator[canary_runs.Map]:
    """What runs a function many times: as many processes as there are cores, where it is many times."""
    if not soak.full:
        yield map
        return
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        yield functools.partial(pool.map, chunksize=50)


@pytest.mark.soak
def test_soak_canary(soak: Soak) -> None:
    """The simulation calls the real verdict; beside it stand models of what others decide by."""
    told, false, healthy = [], 0.0, 0
    runs = soak.times(sample=12, full=canary_runs.FULL)
    with workers(soak) as over:
        for scenario in soak.turns(canary_runs.ALL):
            found = canary_runs.count(scenario, soak.seed, runs, over)
            told.append(found)
            back = found["ways"]["verdict"]["back_percent"]
            if scenario.bad != canary_runs.GOOD:
                assert back >= (CAUGHT_PERCENT if soak.full else 80), found
            elif wanted_of(scenario.name):
                false, healthy = false + back * runs / 100, healthy + runs
    assert false <= max(healthy * FALSE_ALARMS_PERCENT / 100, 1), told
    soak.record(rows=rows(told), scenarios=told)
