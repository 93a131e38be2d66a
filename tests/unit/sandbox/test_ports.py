"""Ports that are given out are free, high, and in a row."""

import socket

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
