"""Questions over HTTP that end in time as a whole: a socket's own timeout begins anew with every byte that comes."""

from __future__ import annotations

import io
import socket
import time
from typing import Any


def connected(address: str, port: int, *, until: float) -> socket.socket:
    """Return a connection, whose next operation may take what is left of the time. OSError where there is none."""
    connection = socket.create_connection((address, port), timeout=_left_s(until))
    connection.settimeout(max(until - time.monotonic(), 0.001))  # of 0 it would not block at all
    return connection


def _left_s(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


class Timed:
    """A connection as http.client takes one, of which nothing is read after `until` (time.monotonic).

    OSError (TimeoutError) then. Whoever made the connection closes it.
    """

    def __init__(self, connection: socket.socket, *, until: float) -> None:
        self.connection, self.until = connection, until

    def sendall(self, data: bytes) -> None:
        """Send a request."""
        self.connection.settimeout(_left_s(self.until))
        self.connection.sendall(data)

    def makefile(self, *_: Any) -> io.BufferedReader:
        """Return where the answer is read from."""
        return io.BufferedReader(_Answer(self))

    def close(self) -> None:
        """Do nothing: an answer may still be read from it."""


class _Answer(io.RawIOBase):
    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._timed.connection.settimeout(_left_s(self._timed.until))
        return self._timed.connection.recv_into(buffer)
