"""The verdict over whole releases, among clients that stay and differ: it lets good ones be, and finds bad ones."""

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
    "hangs, 10 rps": ("median_s", 35, 100),
}


def rows(told: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What is wanted of each kind of release, beside what came."""
    found = []
    for each in told:
        name, ours = each["scenario"], each["ways"]["verdict"]
        back = f"{ours['back_percent']:g}"
        if name.startswith("healthy"):
            found.append(
                {"what": f"{name}: rolled back, %", "measured": back, "target": f"at most {FALSE_ALARMS_PERCENT}"}
            )
            continue
        kind, bound, least = WANTED.get(name, ("back_percent", CAUGHT_PERCENT, CAUGHT_PERCENT))
        found.append({"what": f"{name}: caught, %", "measured": back, "target": f"at least {least:g}"})
        if kind == "median_s":
            median = f"{ours['median_s']:g}"
            found.append({"what": f"{name}: median, s", "measured": median, "target": f"at most {bound}"})
    return found


@pytest.mark.soak
def test_soak_canary(soak: Soak) -> None:
    """The simulation calls the real verdict; beside it stand models of what others decide by."""
    told, false, healthy = [], 0.0, 0
    for scenario in canary_runs.HEALTHY + canary_runs.FAULTY:
        runs = soak.times(sample=12, full=canary_runs.FULL.get(scenario.name, canary_runs.FULL_FAULTY))
        found = canary_runs.count(scenario, soak.seed, runs)
        told.append(found)
        back = found["ways"]["verdict"]["back_percent"]
        if scenario in canary_runs.HEALTHY:
            false, healthy = false + back * runs / 100, healthy + runs
        else:
            assert back >= (CAUGHT_PERCENT if soak.full else 80), found
    assert false <= max(healthy * FALSE_ALARMS_PERCENT / 100, 1), told
    soak.record(rows=rows(told), scenarios=told)
