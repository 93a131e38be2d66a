"""The network of a rehearsal: every name is this host, and what comes to a port goes to what was restored."""

import random
import socket
import struct
import threading
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release import relay
from hypothesis import given
from hypothesis import strategies as st

labels = st.lists(st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True), min_size=1, max_size=3)


def question(name: list[str], kind: int) -> bytes:
    """Return a question as resolvers send it (RFC 1035, 4.1)."""
    head = struct.pack("!HHHHHH", 4711, 0x0100, 1, 0, 0, 0)
    words = b"".join(bytes([len(label)]) + label.encode() for label in name)
    return head + words + b"\0" + struct.pack("!HH", kind, 1)


@given(labels)
def test_every_name_is_this_host(name: list[str]) -> None:
    told = relay.named(question(name, 1))
    assert told[:2] == struct.pack("!H", 4711)
    assert struct.unpack("!H", told[6:8]) == (1,)
    assert told.endswith(b"\x7f\0\0\1")


@given(labels)
def test_of_what_is_no_address_of_ipv4_there_is_none(name: list[str]) -> None:
    told = relay.named(question(name, 28))
    assert struct.unpack("!H", told[6:8]) == (0,)
    assert told[12:] == question(name, 28)[12:]


@given(st.binary(max_size=64))
def test_what_is_no_question_breaks_nothing(junk: bytes) -> None:
    relay.named(junk)


def test_what_is_sent_arrives_whole_in_both_directions_until_each_side_ends(tmp_path: Path) -> None:
    sent = random.Random(4).randbytes(3_000_000)  # more than any buffer between the two holds
    (near, here), (there, far) = socket.socketpair(), socket.socketpair()
    for one, other in ((here, there), (there, here)):
        threading.Thread(target=relay.pass_on, args=[one, other], daemon=True).start()

    def echo() -> None:
        with far, far.makefile("rb") as stream:
            far.sendall(stream.read())

    threading.Thread(target=echo, daemon=True).start()
    got = bytearray()
    reader = threading.Thread(target=lambda: got.extend(near.makefile("rb").read()))
    reader.start()
    near.sendall(sent)
    near.shutdown(socket.SHUT_WR)
    reader.join(30)
    near.close()
    assert bytes(got) == sent
