"""`./invoke bench start`: what a newcomer waits for, from a clone to an answer, and what the list of commands costs.

    python -m tests.bench.start [--rounds 9] [--record]

The clone has no `.venv` yet, and no image of a host is there; system packages are. It waits as long as `local` waits by
default. The list is measured beside the import of Invoke, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import _record
from tests.support import newcomer

from ferryman import paths
from ferryman.sandbox import image
from ferryman.sandbox.probing import probe

ROOT = paths.CHECKOUT


def seconds(*words: str | Path) -> float:
    """Run a command and return how long it took."""
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def first_deploy() -> float:
    """Return the seconds from a fresh clone's first command to an answer over HTTPS, images of hosts included."""
    image.remove_all(probe())
    with tempfile.TemporaryDirectory(prefix="ferryman-bench-") as place:
        began = time.monotonic()
        with newcomer.arrived(Path(place) / "ferryman", shared=False, settings={}) as arrived:
            assert arrived.ask("GET", "/").status == 200
            return time.monotonic() - began


def main() -> None:
    """Measure, print, and record where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-start.json")
    words = parser.parse_args()
    listed, imported = [], []
    for _ in range(words.rounds):
        imported.append(seconds(sys.executable, "-c", "import invoke"))
        listed.append(seconds(ROOT / "invoke", "--list"))
    rows = [
        (
            "`./invoke --list` : import of Invoke",
            f"{statistics.median(listed) / statistics.median(imported):.2f}x",
            "at most 3x",
        ),
        (
            "first deploy, from a clone to an answer over HTTPS, images made anew, system packages there",
            f"{first_deploy():.0f} s",
            "at most 360 s",
        ),
    ]
    for what, is_now, wanted in rows:
        print(f"{what:<90}  {is_now:>8}   {wanted}")
    if words.record:
        _record.write("bench-start", rows, seconds={"list": listed, "import": imported})


if __name__ == "__main__":
    main()
