"""A client of Valkey and Redis that needs Python alone: what is asked goes by a socket, and no password by an argument.

Source: the protocol's specification (RESP2), https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Optional, Union

Place = Union[str, tuple[str, int]]
"""A socket's path, or an address and a port."""
TIMEOUT_S = 30.0


class Trouble(Exception):
    """What ends the work, as one sentence for people."""


class Refusal(Trouble):
    """What the server said no to, in its own words."""


class Client:
    """One connection; closed at the end of a `with`."""

    def __init__(self, place: Place, timeout_s: float = TIMEOUT_S) -> None:
        self.said = place if isinstance(place, str) else f"{place[0]} port {place[1]}"
        try:
            if isinstance(place, str):
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.settimeout(timeout_s)
                self.socket.connect(place)
            else:
                self.socket = socket.create_connection(place, timeout_s)
        except OSError as error:
            raise Trouble(f"nobody answers at {self.said} ({error.strerror or error}): look at `journalctl`") from None
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Client:  # noqa: PYI034 -- Python 3.9 has no typing.Self
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def ask(self, *words: str) -> Any:
        """Return the answer to a command: text, a number, None, or a list of such; Refusal where it is an error."""
        parts = [word.encode("utf-8", "surrogateescape") for word in words]
        told = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self.socket.sendall(b"*%d\r\n%s" % (len(parts), told))
            return self._answer()
        except OSError as error:
            raise Trouble(
                f"{self.said} does not answer to {words[0]} ({error.strerror or error}): look at `journalctl`"
            ) from None

    def log_in(self, user: str, password: str) -> Client:
        """Log in; Refusal where user and password are not known."""
        self.ask("AUTH", user, password)
        return self

    def info(self, section: str) -> dict[str, str]:
        """Return what the server says of itself in a section of INFO."""
        lines = str(self.ask("INFO", section)).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))

    def config(self, names: list[str]) -> dict[str, str]:
        """Return settings as they are in force, by name."""
        listed = self.ask("CONFIG", "GET", *names)
        return dict(zip(listed[::2], listed[1::2]))

    def _answer(self) -> Any:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Trouble(f"{self.said} closed the connection: look at `journalctl`")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "surrogateescape")
        if kind == b"-":
            raise Refusal(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._text(int(rest))
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        return rest

    def _text(self, size: int) -> Optional[str]:
        if size < 0:
            return None
        text = self.file.read(size + 2)
        if len(text) != size + 2:
            raise Trouble(f"{self.said} closed the connection: look at `journalctl`")
        return text[:-2].decode("utf-8", "surrogateescape")
