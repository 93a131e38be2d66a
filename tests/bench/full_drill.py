"""`./invoke bench full_drill`: how long a full drill takes, step by step, with much in the database and in files.

    python -m tests.bench.full_drill [--database-mb 1024] [--media-mb 1024] [--record]

The hosts are a sandbox's, all on this machine: sites, archive and the new host share its cores and its disk. What is
in database and files compresses badly, or not at all. Nothing is asserted.
"""

import argparse
import os
import tempfile
from pathlib import Path

from tests.bench import _record
from tests.e2e.test_backups import MEDIA
from tests.support import site as sites

ROWS = 50_000  # of a thousand bytes each, in one statement
FILL = """insert into much select n, (select string_agg(md5((n * 32 + k)::text), '') from generate_series(1, 31) k)
from generate_series({begin}, {end}) n"""


def main() -> None:
    """Lay out a site, fill it, back it up, make a drill, and print how long each step took."""
    from tests.e2e.test_full_drill import World

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-mb", type=int, default=1024)
    parser.add_argument("--media-mb", type=int, default=1024)
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-full-drill.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferryman-bench-") as directory:
        world = World(Path(directory) / "project")
        try:
            world.begin(Path(directory) / "keys.txt")
            world.sql("create table much (n bigint primary key, text text)")
            for begin in range(0, given.database_mb * 1000, ROWS):
                world.sql(FILL.format(begin=begin, end=begin + ROWS - 1))
            files = f"for n in $(seq {given.media_mb}); do head -c 1M /dev/urandom > {MEDIA}/pictures/$n; done"
            world.on(sites.HOST, files)
            world.back_up(1200)
            told = world.sql("select pg_database_size('tiny')")
            record = world.drill()
        finally:
            world.down()
    print(f"database {int(told) / 2**20:.0f} MB, media {given.media_mb} MB, {os.cpu_count()} cores")
    for step, seconds in record["parts_s"].items():
        print(f"{step:24} {seconds:7.1f} s")
    print(f"{'all of it':24} {record['rto_s']:7.1f} s (wanted: 600 s)")
    what = f"a full drill, database {given.database_mb:,} MB and media {given.media_mb:,} MB"
    if given.record:
        steps = {step: round(seconds, 1) for step, seconds in record["parts_s"].items()}
        _record.write("bench-full-drill", [(what, f"{record['rto_s']:.0f} s", "at most 600 s")], parts_s=steps)


if __name__ == "__main__":
    main()
