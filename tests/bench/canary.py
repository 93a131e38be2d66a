"""`./invoke bench canary`: how the verdict, Flagger's loop and a plain rule treat simulated releases, as a table.

    python -m tests.bench.canary [--runs 40] [--seed 20261122]

A sample; `./invoke soak canary` counts in full, and records it.
"""

from __future__ import annotations

import argparse
import sys

from ferryman import paths

sys.path.insert(0, str(paths.CHECKOUT / ".ansible" / "collections"))

from tests.support import canary_runs

WAYS = {"verdict": "verdict", "flagger_10": "Flagger, 10", "flagger_1": "Flagger, 1", "plain": "10 % for 5 min"}


def main() -> None:
    """Print, of each kind of release, how many each way rolled back, and after what time (median)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=20261122)
    words = parser.parse_args()
    print(f"{'rolled back':<46}" + "".join(f"{name:>18}" for name in WAYS.values()))
    for scenario in canary_runs.ALL:
        found = canary_runs.count(scenario, words.seed, words.runs)["ways"]
        cells = []
        for way in WAYS:
            median = found[way]["median_s"]
            cells.append(f"{found[way]['back_percent']:.0f} %" + (f", {median:.0f} s" if median is not None else ""))
        print(f"{scenario.name:<46}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
