"""Reading a log that grows and is renamed meanwhile: every whole line once, whatever happens between two looks."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import reading
from hypothesis import given
from hypothesis import strategies as st

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.text("abc", max_size=5), st.booleans()),
        st.tuples(st.just("read"), st.just(""), st.just(True)),
        st.tuples(st.just("rename"), st.text("xyz", max_size=3), st.booleans()),
    ),
    max_size=30,
)


@given(acts=ACTS)
def test_every_line_is_read_once_and_in_order_over_renames(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, bool]]
) -> None:
    directory = tmp_path_factory.mktemp("log")
    path = directory / "shop.access.json"
    path.write_bytes(b"before\n")
    place, _ = reading.beginning(path)
    written, got = bytearray(), bytearray()
    stream = path.open("ab")
    renamed = 0
    for act, text, whole in acts:
        if act == "write":
            line = text.encode() + b"\n" * whole
            stream.write(line)
            stream.flush()
            written += line
        elif act == "read":
            place = reading.read(path, place, got.extend)
        elif not written or written.endswith(b"\n"):  # nginx writes whole lines
            # The server goes on in the renamed file until it is told; then the new one is there.
            renamed += 1
            path.rename(directory / f"shop.access.json.{renamed}")
            late = text.encode() + b"\n"
            stream.write(late)
            stream.flush()
            written += late
            if whole:
                place = reading.read(path, place, got.extend)
            stream.close()
            stream = path.open("ab")
            place = reading.read(path, place, got.extend)
    stream.write(b"\n")
    stream.close()
    written += b"\n"
    reading.read(path, place, got.extend)
    assert bytes(got) == bytes(written)


def test_what_was_there_before_is_told_up_to_the_place_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "shop.access.json"
    path.write_bytes(b"one\ntwo\nhal")
    place, back = reading.beginning(path)
    with path.open("ab") as stream:
        stream.write(b"f\n")
    before, after = bytearray(), bytearray()
    reading.read(path, back, before.extend, until=place)
    reading.read(path, place, after.extend)
    assert (bytes(before), bytes(after)) == (b"one\ntwo\n", b"half\n")


def test_of_a_long_log_its_end_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "shop.access.json"
    path.write_bytes(b"x" * 99 + b"\n")
    with path.open("ab") as stream:
        for _ in range(2 * reading.BEFORE // 100):
            stream.write(b"y" * 99 + b"\n")
    place, back = reading.beginning(path)
    got = bytearray()
    reading.read(path, back, got.extend, until=place)
    assert reading.BEFORE <= len(got) < reading.BEFORE + 100
    assert len(got) % 100 == 0


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "shop.access.json"
    place, back = reading.beginning(path)
    path.write_bytes(b"first\n")
    got = bytearray()
    reading.read(path, place, got.extend)
    assert (back, bytes(got)) == ([], b"first\n")
