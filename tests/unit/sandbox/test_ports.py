"""Ports that are given out are free, high, and in a row."""

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ferryman.errors import Stop
from ferryman.sandbox import ports


def test_a_block_is_free_and_needs_no_root() -> None:
    first = ports.free_block(4)
    assert first in ports.BLOCKS
    assert first >= 1024
    assert all(ports.is_free(first + number) for number in range(4))


def test_a_port_that_somebody_listens_on_is_not_free_and_its_block_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        monkeypatch.setattr(ports, "BLOCKS", range(port - 1, port, 1))
        with pytest.raises(Stop, match="ports in a row"):
            ports.free_block(4)


GIVE = """
import sys
from ferryman.sandbox import ports
ports.FREE_PORTS = range(int(sys.argv[1]), int(sys.argv[1]) + 3)
print(ports.free_port(), flush=True)
sys.stdin.read()
"""


def test_no_two_processes_are_given_one_port_and_that_of_a_dead_one_is_given_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    first = ports.free_block(3)
    three = [
        subprocess.Popen(
            [sys.executable, "-c", GIVE, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    given = [int(each.stdout.readline()) for each in three if each.stdout]
    assert sorted(given) == [first, first + 1, first + 2]
    for each in three:
        each.communicate()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ports, "FREE_PORTS", range(first, first + 3))
    assert sorted(ports.free_port() for _ in range(3)) == sorted(given)
    with pytest.raises(Stop, match="no port"):
        ports.free_port()
