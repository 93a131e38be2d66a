"""The database's host is killed and its disk lost: on hosts of its own, whose history nobody has restored by hand."""

import shlex
import statistics
import subprocess
import time

import pytest
from tests.conftest import Soak
from tests.e2e import test_backups
from tests.e2e.test_backups import Pair
from tests.support import site as sites

pair = test_backups.pair


def writes(pair: Pair, begin: int) -> subprocess.Popen[str]:
    """Begin to write numbers for ever, one commit each; it prints each that was acknowledged."""
    lines = f'i={begin}; while :; do echo "insert into number values ($i) returning n;"; i=$((i + 1)); done'
    script = f"cd /; {lines} 2>/dev/null | stdbuf -oL runuser -u postgres -- psql -XAtq -d tiny"
    argv = ["ssh", "-F", str(pair.sandbox.directory / "ssh_config"), "-o", "BatchMode=yes", sites.HOST]
    return subprocess.Popen([*argv, f"sudo bash -c {shlex.quote(script)}"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)  # fmt: skip


@pytest.mark.soak
@pytest.mark.at_times(journey="a disk that is lost")
def test_soak_drills(pair: Pair, soak: Soak) -> None:
    """The primary is killed under constant writes, and its disk lost: all that was acknowledged comes back."""
    chance, times, rows = soak.random(), soak.times(sample=1, full=100), 0
    pair.sql("create table number (n bigint primary key)")
    data = pair.sql("show data_directory")
    lost, took = 0, []
    for _ in range(times):
        with writes(pair, rows) as writer:
            time.sleep(chance.uniform(0.5, 5))
            pair.on(sites.HOST, f"systemctl kill --signal=KILL 'postgresql@*-main.service'; rm -rf {data}")
            printed = writer.communicate(timeout=60)[0]
            acknowledged = [int(line) for line in printed[: printed.rfind("\n") + 1].split()]
        began = time.monotonic()
        told = pair.command("backup.restore", "--into", "place", "--yes")
        took.append(time.monotonic() - began)
        assert told["placed"]["aside"] == ""
        there = {int(line) for line in pair.sql("select n from number").split()}
        assert len(acknowledged) > 10
        lost += len(set(acknowledged) - there)
        assert len(there) <= acknowledged[-1] + 2, "one more may be there, whose word was cut off"
        rows = max(there) + 1
    soak.record(drills=times, acknowledged=rows, lost=lost, restored_s_median=round(statistics.median(took), 1),
                restored_s_most=round(max(took), 1))  # fmt: skip
    assert lost == 0
