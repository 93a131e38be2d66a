"""Journal and ledger: what was done to them shows, and what a power cut left is set aside."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import chain
from hypothesis import given
from hypothesis import strategies as st


def written(path: Path, count: int = 3) -> list[chain.Line]:
    return [chain.append(path, {"step": f"step {number}", "at": "now"}) for number in range(1, count + 1)]


def text_of(count: int) -> str:
    told = chain.Chain()
    for number in range(count):
        told.lines.append(chain.following(told, {"step": f"s{number}", "detail": {"ö": [number, None, 1.5]}}))
    return "".join(json.dumps(line) + "\n" for line in told.lines)


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    lines = written(tmp_path / "new" / "journal.jsonl")
    told = chain.read(tmp_path / "new" / "journal.jsonl")
    assert (told.lines, told.torn, told.wrong) == (lines, "", "")
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert told.head == lines[-1]["hash"]
    assert (tmp_path / "new" / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_no_file_is_an_empty_chain(tmp_path: Path) -> None:
    told = chain.read(tmp_path / "none")
    assert (told.lines, told.torn, told.wrong, told.head) == ([], "", "", "")


@given(st.data())
def test_whatever_is_changed_is_said(data: st.DataObject) -> None:
    """A byte, a line's place, a line too few or too many: nothing of it reads as the same history."""
    lines = text_of(4).splitlines(keepends=True)
    act = data.draw(st.sampled_from(["byte", "swap", "drop", "double", "insert"]))
    at = data.draw(st.integers(0, 2))  # before the last line: the end is the next test's
    if act == "byte":
        place = data.draw(st.integers(0, len(lines[at]) - 2))
        letter = data.draw(st.characters(codec="ascii", exclude_characters="\n\r"))
        lines[at] = lines[at][:place] + letter + lines[at][place + 1 :]
    elif act == "swap":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif act == "drop":
        del lines[at]
    elif act == "double":
        lines.insert(at, lines[at])
    else:
        lines.insert(at, json.dumps({"step": "planted"}) + "\n")
    told = chain.parse("".join(lines))
    same = told.lines == chain.parse(text_of(4)).lines
    assert told.wrong or same, "".join(lines)
    assert not told.torn


@given(st.integers(1, 10**6))
def test_a_last_line_that_is_cut_off_is_torn_and_nothing_else(cut: int) -> None:
    text = text_of(3)
    last = text.splitlines(keepends=True)[-1]
    cut %= len(last)
    told = chain.parse(text[: len(text) - cut])
    assert not told.wrong
    if cut <= 1:  # whole, or without its line break alone
        assert (len(told.lines), told.torn) == (3, "")
    else:
        assert (len(told.lines), told.torn) == (2, last[: len(last) - cut])


@given(st.text())
def test_nothing_makes_it_raise(text: str) -> None:
    told = chain.parse(text)
    assert told.lines or told.torn or told.wrong or not text.strip("\n")


@pytest.mark.parametrize("line", ["[1]", "7", "null", "{}", '{"format": "x"}', '{"format": 2}', "[" * 100_000])
def test_a_line_that_is_none_is_said(line: str) -> None:
    told = chain.parse(f"{line}\n{text_of(1)}")
    assert told.wrong.startswith("line 1 ")
    assert all(isinstance(each, dict) for each in told.lines)


def test_the_first_thing_that_is_wrong_is_named() -> None:
    lines = text_of(4).splitlines()
    lines[1] = lines[1].replace("s1", "s9")
    lines[3] = "nonsense"
    assert chain.parse("\n".join([*lines, ""])).wrong == "line 2 does not match its own hash"


def test_a_newer_ferryman_is_named_as_such() -> None:
    line = {**chain.following(chain.Chain(), {}), "format": 2}
    line["hash"] = chain.digest(line)
    assert "newer Ferryman" in chain.parse(json.dumps(line) + "\n").wrong


@pytest.mark.parametrize("lost", [1, 2, 20, 10_000])
def test_after_a_power_cut_the_next_line_follows(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "journal.jsonl"
    written(path)
    data = path.read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(data[: max(len(data) - lost, start)])
    left = chain.read(path)
    chain.append(path, {"step": "after"})
    told = chain.read(path)
    assert (told.wrong, told.torn) == ("", "")
    assert [line["step"] for line in told.lines] == [line["step"] for line in left.lines] + ["after"]
    aside = list(tmp_path.glob("journal.jsonl.torn-*"))
    assert [path.read_text() for path in aside] == ([left.torn] if left.torn else [])


def test_evidence_of_tampering_survives_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]}\nthis was {lines[1][:20]}\n{lines[2]}\n{lines[2][:30]}")
    chain.append(path, {"step": "after"})
    assert path.read_text().startswith(f"{lines[0]}\nthis was {lines[1][:20]}\n{lines[2]}\n")
    assert chain.read(path).wrong == "line 2 is not JSON"


def append_many(path: str, count: int) -> None:
    for number in range(count):
        chain.append(Path(path), {"step": str(number)})


def test_writers_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(str(tmp_path / "j"), 40)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    told = chain.read(tmp_path / "j")
    assert (len(told.lines), told.wrong, told.torn) == (160, "", "")


@pytest.mark.soak
def test_soak_chain(soak: Any, tmp_path: Path) -> None:
    """A chain that is cut at any byte of its last line and appended to, again and again, stays whole."""
    chance, path = soak.random(), tmp_path / "journal.jsonl"
    appends, cuts, torn = soak.times(sample=300, full=20_000), 0, 0
    for number in range(appends):
        chain.append(path, {"step": str(number)})
        told = chain.read(path)
        assert (told.wrong, told.torn, told.lines[-1]["step"]) == ("", "", str(number))
        if len(told.lines) > 20:
            path.unlink()
        elif chance.random() < 0.5:
            data = path.read_bytes()
            start = data[:-1].rfind(b"\n") + 1
            path.write_bytes(data[: chance.randrange(start, len(data))])
            cuts, torn = cuts + 1, torn + bool(chain.read(path).torn)
    soak.record(appends=appends, cuts=cuts, torn=torn, chains_broken=0)
