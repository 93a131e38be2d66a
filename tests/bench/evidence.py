"""`./invoke bench evidence`: what it costs to count an entry's access log, a million lines by default.

python -m tests.bench.evidence [--lines 1000000] [--rounds 3] [--record]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from random import Random
from typing import TYPE_CHECKING

from tests.bench import _record
from tests.support.access_log import line

from ferryman import paths

sys.path.insert(0, str(paths.CHECKOUT / ".ansible" / "collections"))

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 4096  # lines
CLIENTS = 20_000


def blocks(count: int) -> Iterator[bytes]:
    """Return a log of 2,000 requests a second, in blocks."""
    chance = Random(1)
    for first in range(0, count, BLOCK):
        yield b"".join(
            line(
                1_764_190_000 + number / 2000,
                arm="green" if chance.random() < 0.1 else "blue",
                status=500 if chance.random() < 0.005 else 200,
                seconds=chance.lognormvariate(-2.5, 0.8),
                address="10.1.{}.{}".format(*divmod(int(CLIENTS * chance.random() ** 2), 250)),
            )
            for number in range(first, min(first + BLOCK, count))
        )


def main() -> None:
    """Measure, print, and record where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-evidence.json")
    words = parser.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = [counted(words.lines) for _ in range(words.rounds)]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = statistics.median(seconds)
    rows = [
        (f"counting {words.lines:,} lines of an entry's access log, processor", f"{spent:.2f} s", "at most 3 s"),
        ("memory that it takes beyond the start", f"{(after - before) / 1024:.1f} MB", "at most 50 MB"),
        ("one second of log at 2,000 requests/s, of a core", f"{spent / words.lines * 200_000:.2f} %", "at most 2 %"),
    ]
    for what, measured, wanted in rows:
        print(f"{what:<70}{measured:>10}   {wanted}")
    if words.record:
        _record.write("bench-evidence", rows, rounds=words.rounds, seconds=[round(each, 2) for each in seconds])


def counted(lines: int) -> float:
    """Count a log of so many lines, and return the seconds of processor that it took."""
    reader, spent = access.Reader(b"bench", [1_764_190_000.0], 5.0), 0.0
    for block in blocks(lines):
        began = time.process_time_ns()
        reader.count(block)
        spent += (time.process_time_ns() - began) / 1e9
    assert reader.tally.lines == lines
    return spent


if __name__ == "__main__":
    main()
