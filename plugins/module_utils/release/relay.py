"""A network in which every address is this one, every name leads here, and one port answers: that of a database."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ansible_collections.ferryman.ops.plugins.module_utils.release import children
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed

HERE = b"\x7f\x00\x00\x01"
NAMES_PORT = 53
BLOCK = 1 << 16
ADDRESS, INTERNET = 1, 1  # RFC 1035, 3.2.2 and 3.2.4
NAME_S = 60


class Network:
    """The network namespace that this process is in, which holds nothing but its loopback.

    What comes to `port`, at whatever address, or to the socket of a PostgreSQL server in the directory `beside`, goes
    on to the socket `target`.
    """

    def __init__(self, target: Path, port: int, beside: Path) -> None:
        self.target, self.port, self.beside = target, port, beside
        self.listening: list[socket.socket] = []

    def __enter__(self) -> None:
        """Begin to answer; Failed where nobody does at the target."""
        try:
            self._reached().close()
        except OSError as error:
            told = f"the restored database is not reached from here: {error.strerror or error}"
            raise Failed(told, hint="look at the archive's host") from None
        self._have_every_address()
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - of this network
            with suppress(OSError):  # a host without IPv6
                listener = socket.socket(family, socket.SOCK_STREAM)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address, self.port))
                self._serve(listener)
        path = self.beside / f".s.PGSQL.{self.port}"
        beside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        beside.bind(str(path))
        path.chmod(0o666)  # who may come that far is said by who sees the directory
        self._serve(beside)
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind(("0.0.0.0", NAMES_PORT))  # noqa: S104 - of this network
        self.listening.append(names)
        threading.Thread(target=self._name, args=[names], daemon=True).start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for listener in self.listening:
            listener.close()

    @staticmethod
    def _have_every_address() -> None:
        """Have the kernel take every address for one of this host's; ip-route(8), type local."""
        for family, all_of_it in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
            words = ["ip", family, "route", "replace", "local", all_of_it, "dev", "lo"]
            done = children.run(words, heed=lambda: None, timeout=10, env=None)
            if done.returncode and family == "-4":
                said = (done.stderr or done.stdout).strip()
                raise Failed(f"no network apart: {said}", hint="`ip route` must be able to add a local route")

    def _reached(self) -> socket.socket:
        there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            there.connect(str(self.target))
        except OSError:
            there.close()
            raise
        return there

    def _serve(self, listener: socket.socket) -> None:
        listener.listen(128)
        self.listening.append(listener)
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                here = listener.accept()[0]
                try:
                    there = self._reached()
                except OSError:
                    here.close()
                    continue
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=pass_on, args=[one, other], daemon=True).start()

    @staticmethod
    def _name(listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                query, who = listener.recvfrom(BLOCK)
                told = named(query)
                if told:
                    listener.sendto(told, who)


def pass_on(one: socket.socket, other: socket.socket) -> None:
    """Send to `other` what comes from `one`, and its end; what comes back is another's to send."""
    with suppress(OSError):
        while True:
            block = one.recv(BLOCK)
            if not block:
                break
            other.sendall(block)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def named(query: bytes) -> bytes:
    """Return the answer to a question for a name (RFC 1035, 4.1): this host, of IPv4; empty for what is no question."""
    at = 12
    try:
        while query[at]:
            at += query[at] + 1
        kind, of = struct.unpack("!HH", query[at + 1 : at + 5])
    except (IndexError, struct.error):
        return b""
    known = (kind, of) == (ADDRESS, INTERNET)
    head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, int(known), 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", ADDRESS, INTERNET, NAME_S, len(HERE)) + HERE
    return head + query[12 : at + 5] + (record if known else b"")
