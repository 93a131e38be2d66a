"""`./invoke bench evidence`: what it costs to count an entry's access log, a million lines by default.

python -m tests.bench.evidence [--lines 1000000]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from random import Random
from typing import TYPE_CHECKING

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
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    words = parser.parse_args()
    reader, spent, began = access.Reader(b"bench", [1_764_190_000.0], 5.0), 0.0, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for block in blocks(words.lines):
        began = time.process_time_ns()
        reader.count(block)
        spent += (time.process_time_ns() - began) / 1e9
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{'seconds of processor':<40}{spent:>8.2f}   at most 3 (a million lines)")
    print(f"{'memory beyond the start, MB':<40}{(after - before) / 1024:>8.1f}   at most 50")
    print(f"{'one second at 2,000 lines, % of a core':<40}{spent / words.lines * 2000 * 100:>8.2f}   at most 2")
    assert reader.tally.lines == words.lines


if __name__ == "__main__":
    main()
