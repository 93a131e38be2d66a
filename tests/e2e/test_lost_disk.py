"""The database's host is killed and its disk lost: on hosts of its own, whose history nobody has restored by hand.

Requirements: BAK-3.
"""

import shlex
import statistics
import subprocess
import time
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import pytest
from tests.conftest import Soak
from tests.e2e import test_backups
from tests.e2e.test_backups import Pair
from tests.support import site as sites
from tests.support.driving import READY_S

pair = test_backups.pair
pytestmark = pytest.mark.at_times(journey="a disk that is lost")
RPO_S = 60
KILL = "systemctl kill --signal=KILL 'postgresql@*-main.service'"
FORGET = "rm -f /dev/shm/PostgreSQL.*"
"""What a killed server leaves in memory goes with its power; its data directory, by which the next one would find and
remove it, is gone."""
INSERT = "insert into number values ($i) returning n, extract(epoch from clock_timestamp());"


class Drill(NamedTuple):
    """One loss: how many rows were acknowledged, and lost; over how many seconds before the last one those were
    acknowledged; seconds until all is served again; the number with which to go on."""

    acknowledged: int
    lost: int
    lost_s: float
    took_s: float
    goes_on: int


def writes(pair: Pair, begin: int) -> subprocess.Popen[str]:
    """Begin to write numbers for ever, one commit each; it prints each that was acknowledged, and when (epoch)."""
    lines = f'i={begin}; while :; do echo "{INSERT}"; i=$((i + 1)); done'
    script = f"cd /; {lines} 2>/dev/null | stdbuf -oL runuser -u postgres -- psql -XAtq -d tiny"
    argv = ["ssh", "-F", str(pair.sandbox.directory / "ssh_config"), "-o", "BatchMode=yes", sites.HOST]
    return subprocess.Popen([*argv, f"sudo bash -c {shlex.quote(script)}"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)  # fmt: skip


def drill(pair: Pair, chance: Random, begin: int) -> Drill:
    """Kill the server under constant writes, lose its disk, and restore into its place."""
    data = pair.sql("show data_directory")
    with writes(pair, begin) as writer:
        time.sleep(chance.uniform(0.5, 5))
        pair.on(sites.HOST, f"{KILL}; rm -rf {data}; {FORGET}")
        printed = writer.communicate(timeout=60)[0]
    lines = (line.split("|") for line in printed[: printed.rfind("\n") + 1].split())
    acknowledged = {int(number): float(at) for number, at in lines}
    began = time.monotonic()
    told = pair.command(*test_backups.PLACED)
    took = time.monotonic() - began
    assert told["placed"]["aside"] == ""
    there = {int(line) for line in pair.sql("select n from number").split()}
    assert len(acknowledged) > 10
    assert len(there) <= max(acknowledged) + 2, "one more may be there, whose word was cut off"
    lost = [at for number, at in acknowledged.items() if number not in there]
    lost_s = max(acknowledged.values()) - min(lost) if lost else 0.0
    return Drill(len(acknowledged), len(lost), lost_s, took, max(there) + 1)


def drills(pair: Pair, soak: Soak) -> list[Drill]:
    """Lose the disk again and again."""
    chance, found, begin = soak.random(), list[Drill](), 0
    pair.sql("drop table if exists number; create table number (n bigint primary key)")
    for _ in soak.turns(range(soak.times(sample=1, full=100))):
        found.append(drill(pair, chance, begin))
        begin = found[-1].goes_on
    took = [each.took_s for each in found]
    soak.record(drills=len(found), acknowledged=sum(each.acknowledged for each in found),
                lost=sum(each.lost for each in found), restored_s_median=round(statistics.median(took), 1),
                restored_s_most=round(max(took), 1))  # fmt: skip
    return found


@pytest.mark.soak
def test_soak_drills(pair: Pair, soak: Soak) -> None:
    """The primary is killed under constant writes, and its disk lost: all that was acknowledged comes back."""
    assert [each for each in drills(pair, soak) if each.lost] == []


@pytest.fixture
def unwaited(pair: Pair) -> Iterator[Pair]:
    """The pair where commits do not wait for the archive."""
    with pair.site.settings(backup_synchronous=False):
        pair.command("provision", seconds=READY_S)
        assert pair.sql("show synchronous_standby_names") == ""
        yield pair
    pair.command("provision", seconds=READY_S)


@pytest.mark.soak
def test_soak_unwaited(unwaited: Pair, soak: Soak) -> None:
    """Where no commit waits for the archive, what a lost disk takes along was acknowledged in its last 60 s."""
    found = drills(unwaited, soak)
    soak.record(lost_s_most=round(max(each.lost_s for each in found), 3))
    assert [each for each in found if each.lost_s > RPO_S] == []
