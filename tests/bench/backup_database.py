"""`./invoke bench backup_database`: how long a lost database is away, beside the engine by hand; what a backup costs.

    python -m tests.bench.backup_database [--scale 70] [--rounds 3] [--record]

Two hosts as the tests of backups have them: a database, and an archive that each commit waits for. A scale of 70 is a
database of 1 GB (pgbench's). In each round the database's host loses its disk twice: once all comes back by
`backup.restore --into place`, once by the guide's lines for doing it by hand, typed without a pause. Each time a client
asks until what it writes is acknowledged. Then a backup is taken, by the unit that takes it each night, while clients
ask an application that writes into the database: the 95th percentile of their requests during the base backup is
compared with that just before. All that with `backup_database_rate: 0`, as fast as the host gives; at last backups are
taken beside clients as many times as they are by default.
All hosts share this machine, so what the archive does is in it, too. Nothing is asserted.
"""

import argparse
import http.client
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ferryman import paths

sys.path.insert(0, str(paths.CHECKOUT / ".ansible" / "collections"))

from tests.bench import _record
from tests.e2e.test_backups import ARCHIVE, PAGE, PASSWORD, Pair, port_of
from tests.support import site as sites
from tests.support.by_hand import Hands

from ferryman.sandbox import hosts

LONG_S = 900
SECRETS = {"PGPASSWORD": PASSWORD}
ALONE_S = 25  # clients alone, before a backup begins
CLIENTS = 4
THINK_S = 0.2
SEEN = """until test -e /tmp/seen-enough; do
  echo "$(date +%s.%N) $(runuser -u postgres -- psql -XAtq -c 'select count(*) from pg_stat_progress_basebackup')"
  sleep 0.2
done; rm /tmp/seen-enough"""
WRITE = "insert into asked values (now())"
ANSWERED = f"cd /; until runuser -u postgres -- psql -Xqw -d tiny -c '{WRITE}' >/dev/null 2>&1; do sleep 0.2; done"


def begun(pair: Pair, script: str) -> subprocess.Popen[str]:
    """Begin a script on the database's host as root."""
    return subprocess.Popen(pair.site.reached(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


# A database that is lost


def away(pair: Pair, act: Callable[[], object]) -> float:
    """Lose the database and bring it back by `act`; return after how many seconds a client's write was acknowledged."""
    data = pair.sql("show data_directory")
    pair.on(sites.HOST, f"systemctl kill --signal=KILL 'postgresql@*-main'; rm -rf {data}")
    began = time.monotonic()
    with begun(pair, ANSWERED) as client, ThreadPoolExecutor() as pool:
        back = pool.submit(act)
        back.add_done_callback(lambda done: client.kill() if done.exception() else None)
        client.wait()
        seconds = time.monotonic() - began
        back.result()
    return seconds


def by_hand(hands: Hands) -> None:
    """Type the guide's lines, for the last that was streamed."""
    hands.restore(seconds=LONG_S)
    hands.serve(lost=True, seconds=LONG_S)
    hands.follow()


# What a backup costs


@contextmanager
def clients(pair: Pair) -> Iterator[list[tuple[float, float]]]:
    """Have clients write by the application; give when each request began (seconds since 1970), and its seconds."""
    took: list[tuple[float, float]] = []
    over = threading.Event()

    def ask() -> None:
        connection = pair.site.connect(30)
        while not over.wait(THINK_S):
            if not connection.sock:  # the entry has closed it, as it says it would
                connection = pair.site.connect(30)
            began = time.time()
            connection.request("POST", "/rows", body=b"")
            reply = connection.getresponse()
            reply.read()
            if reply.status != http.client.CREATED:
                raise RuntimeError(f"the application answered {reply.status}")
            took.append((began, time.time() - began))

    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            yield took
        finally:
            over.set()
    for one in asking:
        one.result()


def p95(pair: Pair) -> tuple[float, float]:
    """Take a backup beside clients; return the 95th percentile (ms) of their requests alone, and in the base backup."""
    with begun(pair, SEEN) as watch, clients(pair) as took:
        time.sleep(ALONE_S)
        began = time.time()
        pair.on(ARCHIVE, f"systemctl start ferryman-backup-{sites.ENV}-run-database", seconds=LONG_S)
        pair.on(sites.HOST, "touch /tmp/seen-enough")
        told = watch.communicate()[0].splitlines()
    seen = [float(at) for at, count in (line.split() for line in told) if count == "1"]
    alone = [seconds for at, seconds in took if at < began]
    beside = [seconds for at, seconds in took if seen[0] <= at <= seen[-1]]
    base = seen[-1] - seen[0]
    before, during = (statistics.quantiles(each, n=20)[-1] * 1000 for each in (alone, beside))
    print(f"  {len(alone)} requests before, p95 {before:.0f} ms; {len(beside)} in {base:.1f} s of a base backup, "
          f"{during:.0f} ms", flush=True)  # fmt: skip
    return before, during


def ratio(took: list[tuple[float, float]]) -> float:
    """Return the median of how many times as long requests took in a base backup."""
    return statistics.median(beside / alone for alone, beside in took)


# All of it


def lay_out(pair: Pair, scale: int) -> int:
    """Have hosts, a release whose requests write, and a database of that size with its backup; return its bytes."""
    hosts.up(pair.sandbox, print)
    pair.command("backup.setup", "--paper", str(pair.site.root / "keys.txt"), seconds=LONG_S)
    with pair.site.inventory(secrets=SECRETS):
        answer = pair.site.deploy(pair.site.repository.commit(pair.asking()))
    if answer.said.get("status") != "live":
        raise RuntimeError(str(answer))
    pair.sql("create table asked (at timestamptz)")
    pair.on(sites.HOST, f"cd / && runuser -u postgres -- pgbench -i -q -s {scale} tiny", seconds=LONG_S)
    pair.command("backup.run", "--set", "database", seconds=LONG_S)
    return int(pair.sql("select pg_database_size('tiny')"))


def main() -> None:
    """Lay the hosts out with a database, lose it in turns, take backups beside clients; print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=70)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-backup-database.json")
    given = parser.parse_args()
    ours, bare = list[float](), list[float]()
    requests, gentle = list[tuple[float, float]](), list[tuple[float, float]]()
    restore = ("backup.restore", "--into", "place", "--yes")
    with tempfile.TemporaryDirectory(prefix="ferryman-bench-") as directory:
        pair = Pair(Path(directory) / "project")
        try:
            with pair.site.settings(backup_database_rate=0):
                size = lay_out(pair, given.scale)
                for number in range(given.rounds):
                    ours.append(away(pair, lambda: pair.command(*restore, seconds=LONG_S)))
                    hands = Hands(PAGE, pair, ARCHIVE, port_of(pair))
                    with hands.way():
                        bare.append(away(pair, partial(by_hand, hands)))
                    pair.command("backup.run", "--set", "database", seconds=LONG_S)  # of the history that began by hand
                    print(f"  round {number + 1}: ours {ours[-1]:.1f} s, by hand {bare[-1]:.1f} s", flush=True)
                    requests.append(p95(pair))
            with pair.site.inventory(secrets=SECRETS):
                pair.command("provision", seconds=LONG_S)
                for _ in range(given.rounds):
                    gentle.append(p95(pair))
        finally:
            sites.down(pair.site)
    us, hand = statistics.median(ours), statistics.median(bare)
    rows = [
        (f"a database of {size / 1e6:,.0f} MB is lost: until a write is acknowledged", f"{us:.1f} s", "at most 60 s"),
        ("that : the guide by hand", f"{us / hand:.2f}x", "at most 1.5x"),
        ("p95 of an application's requests in a base backup : just before", f"{ratio(gentle):.2f}x", "at most 1.3x"),
        ("that, as fast as the host gives : just before", f"{ratio(requests):.2f}x", ""),
    ]
    for what, is_now, wanted in rows:
        print(f"{what:70} {is_now:>8}   {wanted}")
    if given.record:
        _record.write(
            "bench-backup-database", rows, rounds=given.rounds,
            seconds={"ours": [round(one, 1) for one in ours], "by hand": [round(one, 1) for one in bare]},
            p95_ms={name: [{"alone": round(alone, 1), "in a base backup": round(beside, 1)} for alone, beside in took]
                    for name, took in (("as fast as the host gives", requests), ("by default", gentle))},
        )  # fmt: skip


if __name__ == "__main__":
    main()
