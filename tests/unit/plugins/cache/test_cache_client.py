"""The client's answers, from a server that says what a test wants it to."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.cache.client import Client, Refusal, Trouble


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket whose server sends the first of a list to whoever asks, and closes."""
    path, says = str(tmp_path / "socket"), list[bytes]()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            with server.accept()[0] as client:
                client.recv(4096)
                client.sendall(says[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path, says
        thread.join(5)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"+OK\r\n", "OK"),
        (b":-7\r\n", -7),
        (b"$-1\r\n", None),
        (b"$0\r\n\r\n", ""),
        (b"$4\r\na\r\nb\r\n", "a\r\nb"),
        (b"*3\r\n$1\r\na\r\n:1\r\n*0\r\n", ["a", 1, []]),
    ],
)
def test_each_kind_of_answer_is_read(place: tuple[str, list[bytes]], said: bytes, answer: Any) -> None:
    place[1].append(said)
    with Client(place[0]) as client:
        assert client.ask("GET", "a") == answer


def test_a_refusal_is_in_the_servers_words(place: tuple[str, list[bytes]]) -> None:
    place[1].append(b"-NOAUTH Authentication required.\r\n")
    with Client(place[0]) as client, pytest.raises(Refusal, match="NOAUTH Authentication required"):
        client.ask("PING")


@pytest.mark.parametrize("said", [b"", b"+OK", b"$9\r\nhalf"])
def test_an_answer_that_breaks_off_is_none(place: tuple[str, list[bytes]], said: bytes) -> None:
    place[1].append(said)
    with Client(place[0]) as client, pytest.raises(Trouble, match="closed the connection"):
        client.ask("PING")


def test_nobody_there_is_said_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"nobody answers at .*/none"):
        Client(str(tmp_path / "none"))


def test_info_is_told_by_name(place: tuple[str, list[bytes]]) -> None:
    text = b"# Persistence\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\n\r\n"
    place[1].append(b"$%d\r\n%s\r\n" % (len(text), text))
    with Client(place[0]) as client:
        assert client.info("persistence") == {"loading": "0", "rdb_last_bgsave_status": "ok"}
