"""`./invoke bench backup_files`: what a backup of many small files costs beside borg alone.

    python -m tests.bench.backup_files [--files 100000] [--changed 1] [--rounds 5] [--record]

The same files go into two repositories, by `borg create` as somebody would type it and by us; before each round the
same part of them is changed. The two take turns, so that what else the machine does is in both. Both repositories are
on this disk: over SSH the same bytes are sent by either. Nothing is asserted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.bench import _record

from ferryman import paths

sys.path.insert(0, str(paths.CHECKOUT / ".ansible" / "collections"))
SIZE = 10_000


class Bare:
    """borg as somebody would type it, with a repository of its own."""

    def __init__(self, place: Path, roots: list[Path]) -> None:
        self.roots = roots
        base, self.repository = place / "bare-base", place / "bare"
        self.settings = {**os.environ, "BORG_BASE_DIR": str(base), "BORG_PASSPHRASE": "of nobody but us"}
        self.borg("init", "--encryption", "repokey-blake2", str(self.repository))

    def borg(self, *words: str) -> None:
        subprocess.run(["borg", *words], env=self.settings, check=True, capture_output=True)

    def take(self, name: str) -> None:
        self.borg("create", "--compression", "zstd,3", f"{self.repository}::{name}", *map(str, self.roots))


def change(files: list[Path], random: Random, count: int) -> None:
    """Write some files anew, with as many other bytes."""
    for path in random.sample(files, count):
        path.write_bytes(random.randbytes(random.randrange(1, 2 * SIZE)))


def timed(act: object, *words: str) -> float:
    began = time.monotonic()
    act(*words)  # type: ignore[operator]  # it is one of the two below
    return time.monotonic() - began


def main() -> None:
    """Lay out the files, take both once, then change and take in turns; print medians."""
    from tests.support.filesets import FileSet

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--changed", type=float, default=1.0, help="percent")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-backup-files.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferryman-bench-") as directory:
        ours, random = FileSet(Path(directory) / "set"), Random(1)
        files = [ours.roots[number % 2] / f"d{number % 500}" / f"f{number}" for number in range(given.files)]
        for path in files:
            path.parent.mkdir(exist_ok=True)
        change(files, random, len(files))
        bare = Bare(Path(directory), ours.roots)
        time.sleep(3)  # what has just changed is read twice
        first = (timed(bare.take, "first"), timed(ours.take))
        times: list[tuple[float, float]] = []
        for number in range(given.rounds):
            change(files, random, round(len(files) * given.changed / 100))
            time.sleep(3)
            turns = [timed(bare.take, f"round-{number}"), timed(ours.take)]
            times.append((turns[0], turns[1]))
    alone, us = (statistics.median(each) for each in zip(*times, strict=True))
    print(f"{given.files} files of {SIZE} bytes, {given.changed:g} % changed, medians of {given.rounds} rounds")
    print(f"first: borg {first[0]:.1f} s, ours {first[1]:.1f} s ({first[1] / first[0]:.2f}x)")
    what = f"backup of {given.files:,} small files, {given.changed:g} % changed : bare borg"
    rows = [(what, f"{us / alone:.2f}x", "at most 1.3x")]
    print(f"then:  borg {alone:.1f} s, ours {us:.1f} s ({us / alone:.2f}x; wanted: 1.3x)")
    if given.record:
        seconds = [{"borg": round(turn[0], 2), "ours": round(turn[1], 2)} for turn in times]
        _record.write("bench-backup-files", rows, rounds=given.rounds, seconds=seconds)


if __name__ == "__main__":
    main()
