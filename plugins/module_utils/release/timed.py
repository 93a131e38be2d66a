"""Questions over HTTP that end in time as a whole: a socket's own timeout begins anew with every byte that comes."""

from __future__ import annotations

import io
import socket
import time
from typing import Any


class Timed:
    """A connection as http.client takes one, of which nothing is read after `until` (time.monotonic).

    OSError (TimeoutError) then. Whoever made the connection closes it.
    """

    def __init__(self, connection: socket.socket, *, until: float) -> None:
        self.connection, self.until = connection, until

    def sendall(self, data: bytes) -> None:
        """Send a request."""
        self.connection.settimeout(self.left_s())
        self.connection.sendall(data)

    def makefile(self, *_: Any) -> io.BufferedReader:
        """Return where the answer is read from."""
        return io.BufferedReader(_Answer(self))

    def close(self) -> None:
        """Do nothing: an answer may still be read from it."""

    def left_s(self) -> float:
        """Return how many seconds are left."""
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return left_s


class _Answer(io.RawIOBase):
    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._timed.connection.settimeout(self._timed.left_s())
        return self._timed.connection.recv_into(buffer)
