"""What a whole run of the tests takes: each role on one of its Debians, and some minutes of the long journeys."""

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ferryman.errors import Stop

BUDGET_MIN = 4  # of journeys in each whole run, which all else makes long enough
ON_DEBIAN = " on Debian "  # between the name of a role and the version that its tests are for
MINUTES = "tests/journeys.yml"  # how long each journey takes
WITH_HOSTS = ("tests/e2e/*.py", "tests/faults/*.py", "molecule/*/tests/*.py")
MARKED = re.compile(r'\.at_times\(journey="(.+?)"\)')


def turn(of: str) -> str:
    """Return what chooses for a commit: it, and FERRYMAN_SEED where that is set, so that it can have another turn."""
    return f"{of} {os.environ.get('FERRYMAN_SEED', '')}".strip()


def left_out(root: Path, seed: str, scenarios: Iterable[str]) -> dict[str, list[str]]:
    """Return what the whole run leaves out: of each role (`roles`) all `scenarios` but one, and of the `journeys` that
    are marked `at_times` those for which its minutes do not suffice.

    One seed always leaves out the same; over many, all have their turn.
    """
    return left_of(journeys(root), seed, scenarios)


def left_of(minutes: Mapping[str, float], seed: str, scenarios: Iterable[str]) -> dict[str, list[str]]:
    """Return what a seed leaves out of all `scenarios` and of journeys that take so many `minutes` each."""

    def by_chance(names: Collection[str]) -> list[str]:
        return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())

    roles: dict[str, list[str]] = {}
    for name in scenarios:
        roles.setdefault(name.partition(ON_DEBIAN)[0], []).append(name)
    taken = fill(minutes, by_chance(minutes), BUDGET_MIN)
    return {
        "roles": sorted(name for each in roles.values() for name in by_chance(each)[1:]),
        "journeys": sorted(minutes.keys() - taken),
    }


def only(left: Iterable[str], *marks: str) -> str:
    """Return pytest's expression for the tests with these marks, without those of journeys that are left out."""
    return " and ".join([*marks, *(f"not at_times(journey={name!r})" for name in left)])


def fill(minutes: Mapping[str, float], order: Iterable[str], budget: float) -> set[str]:
    """Return what is taken of journeys in their order: the first in any case, then each that the budget still has the
    minutes for. So the longest have their turn too, and short ones fill what is left."""
    taken: set[str] = set()
    for name in order:
        if not taken or minutes[name] <= budget:
            taken.add(name)
            budget -= minutes[name]
    return taken


def journeys(root: Path) -> dict[str, float]:
    """Return how many minutes each marked journey takes. A mark without minutes, or minutes without a mark, is a
    `Stop`: what has none would never be taken, or always."""
    import yaml

    marked = {
        name
        for pattern in WITH_HOSTS
        for path in root.glob(pattern)
        for name in MARKED.findall(path.read_text(encoding="utf-8"))
    }
    path = root / MINUTES
    minutes = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    unlike = {"no minutes for": sorted(marked - minutes.keys()), "no test of": sorted(minutes.keys() - marked)}
    wrong = [f"{what} {', '.join(names)}" for what, names in unlike.items() if names]
    if wrong:
        raise Stop(f"{MINUTES}: {'; '.join(wrong)}", hint="it has a line for each journey that tests are marked with")
    return dict(minutes)
