"""A question to a process, or through an entry, ends in its time, however its answer trickles in."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import probe, shift

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
Serve = Callable[..., int]


@pytest.fixture
def secret(tmp_path: Path) -> ssl.SSLContext:
    """What an entry serves with."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*words, "-subj", "/CN=shop.example", "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Begin a server that answers one question with some bytes at once and others one by one; return its port."""
    with ExitStack() as held:

        def begin(at_once: bytes, one_by_one: bytes, pause_s: float, context: ssl.SSLContext | None = None) -> int:
            server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            gone = threading.Event()

            def answer() -> None:
                with ExitStack() as theirs, suppress(OSError):
                    raw = theirs.enter_context(server.accept()[0])
                    client = theirs.enter_context(context.wrap_socket(raw, server_side=True)) if context else raw
                    client.recv(4096)
                    client.sendall(at_once)
                    for byte in one_by_one:
                        if gone.wait(pause_s):
                            return
                        client.sendall(bytes([byte]))

            thread = threading.Thread(target=answer)
            thread.start()
            held.callback(thread.join)
            held.callback(gone.set)
            return int(server.getsockname()[1])

        yield begin


SLOW = pytest.mark.parametrize(
    ("at_once", "one_by_one"),
    [(b"", HEAD + b"x" * 100), (HEAD[:17] + b"X-Slow: ", b"x" * 100), (HEAD, b"x" * 100)],
    ids=["all", "a header", "the body"],
)


@SLOW
def test_an_answer_that_trickles_in_is_given_up_when_the_time_for_all_of_it_is_over(
    serve: Serve, at_once: bytes, one_by_one: bytes
) -> None:
    port = serve(at_once, one_by_one, 0.1)  # ten seconds, and no pause as long as the limit
    began = time.monotonic()
    good, said = probe.ask("127.0.0.1", port, "/ready", status=200, timeout_s=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert (good, said) == (False, f"/ready on port {port}: timed out")


def test_a_server_that_says_nothing_is_given_up_in_the_same_time(serve: Serve) -> None:
    port = serve(b"", b"x", 10)
    began = time.monotonic()
    assert probe.ask("127.0.0.1", port, "/ready", status=200, timeout_s=0.3)[0] is False
    assert 0.3 <= time.monotonic() - began < 5


def test_a_slow_answer_is_taken_that_is_whole_in_its_time(serve: Serve) -> None:
    port = serve(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\n", b"down", 0.02)
    answer = f"/ready on port {port} answered 503 down"
    assert probe.ask("127.0.0.1", port, "/ready", status=503, timeout_s=30) == (True, answer)


def test_nobody_there_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    good, said = probe.ask("127.0.0.1", port, "/ready", status=200, timeout_s=3)
    assert (good, "refused" in said) == (False, True)


@SLOW
def test_an_entry_whose_answer_trickles_in_is_given_up_in_the_same_time(
    serve: Serve, secret: ssl.SSLContext, at_once: bytes, one_by_one: bytes
) -> None:
    port = serve(at_once, one_by_one, 0.1, secret)
    began = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        shift.get({"domain": "shop.example", "port": port}, "/", timeout_s=0.5)
    assert 0.5 <= time.monotonic() - began < 5


def test_what_an_entry_says_is_read_to_its_end_or_as_far_as_is_wanted(serve: Serve, secret: ssl.SSLContext) -> None:
    for most in (100, 7):
        port = serve(HEAD + b"x" * 90, b"y" * 10, 0.01, secret)
        answer = shift.get({"domain": "shop.example", "port": port}, "/", most=most)
        assert answer == (200, {"content-length": "100"}, ("x" * 90 + "y" * 10)[:most])
