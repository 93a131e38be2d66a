"""Who waits for an answer: against real connections and the kernel's own words, where `ss` is at hand."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import flight

LIMIT_S = 0.3


@contextmanager
def served() -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that takes connections and answers what begins with "a" at once, and nothing else ever."""
    taken: list[socket.socket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                taken.append(connection)
                threading.Thread(target=answer, args=[connection], daemon=True).start()

        def answer(connection: socket.socket) -> None:
            while got := connection.recv(100):
                if got.startswith(b"a"):
                    connection.sendall(b"answer")

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1], taken
        finally:
            for connection in taken:
                connection.close()


def test_connections_on_which_nothing_comes_back_hang_and_those_kept_open_do_not() -> None:
    with served() as (port, _):
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for client, words in zip(clients, (b"a", b"b", b"b", b""), strict=True):
            client.sendall(words)
        assert clients[0].recv(100) == b"answer"
        time.sleep(LIMIT_S + 0.2)
        told = subprocess.run(flight.COMMAND, capture_output=True, text=True, check=True).stdout
        for client in clients:
            client.close()
    assert flight.waiting(told, {("127.0.0.1", port)}, since_s=LIMIT_S) == 2
    assert flight.waiting(told, {("127.0.0.1", port)}, since_s=60) == 0
    assert flight.waiting(told, {("127.0.0.2", port)}, since_s=LIMIT_S) == 0


def test_a_second_request_that_is_not_answered_hangs_although_the_first_was() -> None:
    with served() as (port, _), closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(b"a")
        assert client.recv(100) == b"answer"
        time.sleep(0.05)
        client.sendall(b"b")
        time.sleep(LIMIT_S + 0.2)
        told = subprocess.run(flight.COMMAND, capture_output=True, text=True, check=True).stdout
    assert flight.waiting(told, {("127.0.0.1", port)}, since_s=LIMIT_S) == 1


def test_addresses_are_read_as_the_program_writes_them() -> None:
    told = (
        "0      0              [::ffff:127.0.0.1]:4711      [::ffff:192.0.2.7]:20010\n"
        "\t cubic wscale:7,7 rto:201 bytes_sent:90 lastsnd:6000 lastrcv:6004 lastack:6000 pacing_rate 1Mbps\n"
        "0      0              [2001:db8::1]:4712      [2001:db8::7]:20010\n"
        "\t cubic wscale:7,7 rto:201 bytes_sent:90 bytes_received:12 lastsnd:6000 lastrcv:5996 lastack:6000\n"
        "0      0              10.0.0.1%eth0:22      10.0.0.2:50122\n"
        "\t cubic bytes_sent:90 lastsnd:6000 lastrcv:7000\n"
    )
    every = {("192.0.2.7", 20010), ("2001:db8::7", 20010)}
    assert flight.waiting(told, every, since_s=5) == 1
