"""Which server an archive is of, and with which of its WAL a stream goes on."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, following, timelines, wal
from tests.unit.plugins.backup.test_retention import record


def test_the_server_that_is_archived_is_known_by_barmans_word_else_by_the_newest_backup(tmp_path: Path) -> None:
    listed = [record(2, source={"system": "1"}), record(1, source={"system": "2"}), record(0.5, "failed")]
    identity, home = tmp_path / "identity.json", str(tmp_path)
    assert following.known_system(home, []) == ""
    assert following.known_system(home, listed) == "2"
    for damaged in ("", '{"systemid"', '{"version": "15"}'):
        identity.write_text(damaged)
        assert following.known_system(home, listed) == "2"
    identity.write_text('{"systemid": "3", "version": "15"}')
    assert following.known_system(home, listed) == "3"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's place in the archive: WAL of timeline 1 was streamed, two files whole and a part."""
    monkeypatch.setattr(archive, "USER", "root")
    for name in ("streaming", "wals"):
        (tmp_path / name).mkdir()
    for segment in (1, 2):
        (tmp_path / "streaming" / wal.name(1, segment)).write_bytes(bytes(16))
    (tmp_path / "streaming" / f"{wal.name(1, 3)}.partial").write_bytes(b"the last that was acknowledged")
    return tmp_path


def put_right(home: Path, held_from: str) -> str:
    """Put a stream right whose source left timeline 1 in its fourth file, and has written two more since."""

    def archive_wal() -> None:
        for each in (home / "streaming").glob("0000*[0-9A-F]"):
            each.rename(home / "wals" / each.name)

    source = following.Source("7", timelines.Way(2, {1: 3 * wal.SEGMENT + 40}), 5 * wal.SEGMENT + 9)
    return following.put_right(str(home), source, held_from, str(home / "aside"), archive_wal)


def test_a_stream_goes_on_by_itself_where_the_source_still_has_the_file_in_which_it_left_a_timeline(home: Path) -> None:
    before = sorted(home.rglob("*"))
    assert put_right(home, f"0/{3 * wal.SEGMENT:X}") == ""
    assert sorted(home.rglob("*")) == before


def skip(home: Path, held_from: str) -> str:
    """Have a stream begin whose source is on the timeline that was streamed, and holds WAL from a place on."""
    return following.skip(str(home), following.Source("7", timelines.Way(1, {}), 9 * wal.SEGMENT + 9), held_from)


@pytest.mark.parametrize("held_from", ["", "0/0", f"0/{2 * wal.SEGMENT:X}", f"0/{3 * wal.SEGMENT + 40:X}"])
def test_a_stream_goes_on_by_itself_where_its_source_holds_what_comes_next(home: Path, held_from: str) -> None:
    before = sorted(home.rglob("*"))
    assert skip(home, held_from) == ""
    assert sorted(home.rglob("*")) == before


def test_a_stream_whose_source_has_given_up_what_comes_next_begins_with_the_first_that_is_held(home: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "streaming").iterdir()}
    assert f"holds no WAL before {wal.name(1, 6)}" in skip(home, f"0/{6 * wal.SEGMENT + 40:X}")
    mark = home / "streaming" / f"{wal.name(1, 6)}.partial"
    assert {path: path.read_bytes() for path in (home / "streaming").iterdir()} == {**before, mark: b""}
    assert skip(home, f"0/{6 * wal.SEGMENT + 40:X}") == "", "that is done once"


def test_a_stream_that_begins_anywhere_is_left_to_begin_where_its_slot_does(tmp_path: Path) -> None:
    assert skip(tmp_path, f"0/{6 * wal.SEGMENT:X}") == ""


def test_a_stream_whose_source_has_dropped_that_file_begins_with_the_first_that_is_held_and_nothing_is_lost(
    home: Path,
) -> None:
    said = put_right(home, f"0/{5 * wal.SEGMENT:X}")
    assert said.startswith("the source is on timeline 2, and has dropped WAL with which that began")
    assert not list((home / "streaming").iterdir()), "a receiver without any file begins where its slot does"
    (kept,) = (home / "aside").iterdir()
    assert kept.read_bytes() == b"the last that was acknowledged"
    assert put_right(home, f"0/{5 * wal.SEGMENT:X}") == "", "that is done once"
