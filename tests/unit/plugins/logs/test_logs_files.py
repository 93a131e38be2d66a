"""Log files that are rotated under their reader: nothing is lost, nothing is read twice."""

import gzip
import os
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.logs import files
from hypothesis import given, settings
from hypothesis import strategies as st

ACTS = st.lists(st.sampled_from(["write", "half", "rotate", "read", "pack"]), max_size=40)


class Log:
    """A log and who writes to it: it goes on writing to what it has open until it opens anew."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "shop.access.json"
        self.stream = self.path.open("ab", buffering=0)
        self.written: list[str] = []
        self.half = False

    def write(self, *, half: bool = False) -> None:
        if self.half:
            self.stream.write(b" and its end\n")
            self.written[-1] += " and its end"
            self.half = False
        line = f"line {len(self.written)}"
        self.stream.write(line.encode() + (b"" if half else b"\n"))
        self.written.append(line)
        self.half = half

    def rotate(self) -> None:
        if self.half:
            self.write()
        for number in range(50, 0, -1):
            for end in ("", ".gz"):
                old = Path(f"{self.path}.{number}{end}")
                if old.exists():
                    old.rename(f"{self.path}.{number + 1}{end}")
        self.path.rename(f"{self.path}.1")
        self.stream.close()
        self.stream = self.path.open("ab", buffering=0)

    def pack(self, *, but: int) -> None:
        """Pack what is old enough, as logrotate does a turn late."""
        for number in range(but, 50):
            part = Path(f"{self.path}.{number}")
            if part.exists():
                Path(f"{part}.gz").write_bytes(gzip.compress(part.read_bytes()))
                part.unlink()


def told(tmp: Any, acts: list[str], begin: dict[str, int] | None = None) -> tuple[Log, list[str], dict[str, int]]:
    """Play a history and return the log, what was read, and where the reader stands."""
    log, seen, mark, behind = Log(tmp), list[str](), begin or {}, 0
    for act in acts:
        if act == "read":
            lines, mark = files.forwards(str(log.path), mark)
            seen, behind = seen + lines, 0
        elif act == "rotate":
            log.rotate()
            behind += 1
        elif act == "pack":
            log.pack(but=behind + 2)  # what was read: a reader comes by more often than a day goes by
        else:
            log.write(half=act == "half")
    return log, seen, mark


@settings(max_examples=120, deadline=None)
@given(acts=ACTS)
def test_following_loses_nothing_and_repeats_nothing(tmp_path_factory: Any, acts: list[str]) -> None:
    log, seen, mark = told(tmp_path_factory.mktemp("log"), ["read", "write", "read", *acts])
    if log.half:
        log.write()
    lines, _ = files.forwards(str(log.path), mark)
    assert seen + lines == log.written


@settings(max_examples=60, deadline=None)
@given(acts=ACTS)
def test_reading_backwards_is_reading_forwards_turned_around(tmp_path_factory: Any, acts: list[str]) -> None:
    log, _, _ = told(tmp_path_factory.mktemp("log"), acts)
    assert list(files.backwards(str(log.path)))[::-1] == log.written


@settings(max_examples=60, deadline=None)
@given(before=ACTS, between=st.lists(st.sampled_from(["write", "rotate"]), max_size=8), after=ACTS)
def test_what_was_read_backwards_and_what_follows_are_all_there_is(
    tmp_path_factory: Any, before: list[str], between: list[str], after: list[str]
) -> None:
    log, _, _ = told(tmp_path_factory.mktemp("log"), [*before, "write"])
    if log.half:
        log.write()
    mark = files.mark(str(log.path))
    for act in between:
        getattr(log, act)()
    first = list(files.backwards(str(log.path), until=mark))[::-1]
    for act in after:
        if act in ("write", "rotate"):
            getattr(log, act)()
    assert first + files.forwards(str(log.path), mark)[0] == log.written


def test_a_log_that_was_just_renamed_goes_on_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    (tmp_path / "x.log.1").write_text("old\n")
    mark = files.mark(str(path))
    path.write_text("new\n")
    assert list(files.backwards(str(path), until=mark)) == ["old"]
    assert files.forwards(str(path), mark)[0] == ["new"]


def test_lines_longer_than_a_block_and_a_last_one_without_its_end_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    lines = ["a" * 200_000, "short", "b" * 70_000]
    path.write_text("\n".join(lines))
    assert list(files.backwards(str(path))) == lines[::-1]
    assert files.mark(str(path))["offset"] == 200_000 + 1 + 5 + 1


def test_parts_that_are_too_old_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("new\n")
    (tmp_path / "x.log.1").write_text("old\n")
    os.utime(tmp_path / "x.log.1", (100, 100))
    assert list(files.backwards(str(path), before=200)) == ["new"]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(files.backwards(str(tmp_path / "none.log"))) == []
    assert files.forwards(str(tmp_path / "none.log"), {}) == ([], {})
    assert files.mark(str(tmp_path / "none.log")) == {}
