"""A drill of files: what was sent is written to a disk again and compared, or the drill says what is not so."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, collect, drill, drills, job, metrics
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from tests.support.filesets import KIND, FileSet


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> FileSet:
    """A backup of files that are large enough to be hit, which has passed its check."""
    files = FileSet(tmp_path_factory.mktemp("drill"))
    first, second = files.roots
    for number in range(3):
        (first / f"large-{number}").write_bytes(bytes([number]) + os.urandom(600_000))
    (second / "pictures").mkdir(mode=0o750)
    (second / "pictures/one").write_text("one\n")
    (second / "pictures/one").chmod(0o4710)
    (second / "link").symlink_to("pictures/one")
    record = files.take()
    told = collect.collect(files.works, of.moment(record["began_at"]) + 60)
    assert all(map(of.has_passed, told["entered"])), told
    files.keep()
    return files


@pytest.fixture
def files(sent: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileSet]:
    """The same again, with a key for signatures, and an engine that is on this machine."""
    sent.again()
    own = tmp_path / sent.archive.name
    own.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(own / "drill_ed25519")], check=True)
    monkeypatch.setattr(archive, "SETTINGS", str(tmp_path))
    monkeypatch.setattr(metrics, "METRICS", str(tmp_path))
    monkeypatch.setitem(job.ENGINES, KIND, lambda own: sent.works)
    yield sent
    assert not Path(drill.place(sent.archive)).exists(), "a drill tears down whatever comes of it"


def made(files: FileSet) -> dict[str, Any]:
    (record,) = drills.make(files.archive, [], "run").records
    return record


def test_a_drill_of_files_compares_all_measures_and_leaves_a_signed_record(files: FileSet, tmp_path: Path) -> None:
    told = made(files)
    assert (told["result"], told["reason"]) == ("passed", "")
    assert told["sets"] == {KIND: {"backup": files.names()[-1], "to": "latest"}}
    assert [(one["name"], one["result"]) for one in told["checks"]] == [("manifest", "passed")]
    assert told["checks"][0]["said"] == "5 files with 1.8 MB are as they were"
    assert 0 < sum(told["parts_s"].values()) <= told["rto_s"]
    age_s = of.moment(told["began_at"]) - of.moment(files.newest()["began_at"])
    assert age_s <= told["rpo_s"] < age_s + 1
    path = Path(files.archive.path) / "drills" / f"{told['id']}.json"
    signers = tmp_path / "signers"
    signers.write_text(f"us {(tmp_path / files.archive.name / 'drill_ed25519.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "us", "-n", drill.NAMESPACE, "-s", f"{path}.sig"]
    assert subprocess.run(verify, input=path.read_bytes(), check=False, capture_output=True).returncode == 0
    state = (tmp_path / f"backup-{files.archive.name}.prom").read_text()
    assert f'ferryman_backup_drill_passed{{archive="{files.archive.name}",set="{KIND}"}} 1' in state


def test_a_repository_that_was_damaged_fails_the_drill_with_the_file_that_is_lost(files: FileSet) -> None:
    segment = max((files.repository / "data").glob("*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1  # the second of three files that fill it
    segment.write_bytes(data)
    told = made(files)
    assert told["result"] == "failed"
    assert f"borg extract, at {files.roots[0]}/large-1, ended with 2: Data integrity error" in told["reason"]


def test_a_segment_that_is_gone_is_named(files: FileSet) -> None:
    segment = max((files.repository / "data").glob("*/*"), key=lambda path: path.stat().st_size)
    segment.unlink()
    assert str(segment) in made(files)["reason"]


def test_files_that_came_back_otherwise_are_named(files: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = borg.Borg.extract

    def worse(self: borg.Borg, record: Any, into: str, *more: Any, **named: Any) -> None:
        whole(self, record, into, *more, **named)
        place = Path(into + str(files.roots[1]))
        (place / "pictures/one").chmod(0o644)
        (place / "link").unlink()

    monkeypatch.setattr(borg.Borg, "extract", worse)
    told = made(files)
    said = told["checks"][0]["said"]
    assert told["result"] == "failed"
    assert f"directory {files.roots[1]} has other files: 1 for 2" in said
    for name in ("link", "pictures/one"):
        assert f"{files.roots[1]}/{name} is not as it lies in the archive" in said


def test_too_little_room_is_told_before_anything_is_written(files: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files.archive.settings, "keep_free_bytes", 10**18)
    room = files.archive.room()
    monkeypatch.setattr(files.archive, "room", lambda: room._replace(free=1_900_000, total=10**7))
    monkeypatch.setattr(borg.Borg, "extract", lambda *_: pytest.fail("it began to write"))
    assert "too little" in made(files)["reason"]


def test_a_backup_that_would_write_elsewhere_is_not_written(files: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.works, "call", lambda *words: (CROOKED, b"") if words[0] == "list" and "--format" in words
                        else borg.Borg.call(files.works, *words))  # fmt: skip
    monkeypatch.setattr(borg.Borg, "extract", lambda *_: pytest.fail("it began to write"))
    assert "would write outside of its place, look at the host that sent it" in made(files)["reason"]


CROOKED = b"""{"type": "l", "path": "srv/a", "linktarget": "/etc"}
{"type": "-", "path": "srv/a/b", "linktarget": ""}
"""


def test_another_key_in_the_repository_is_put_right_and_told(files: FileSet) -> None:
    config = files.repository / "config"
    config.write_text(config.read_text().replace("key = ", "key = x"))
    assert made(files)["result"] == "passed"
    (noted,) = files.archive.documents("notes")[0]
    assert noted["notes"][0]["said"].startswith("somebody had changed the configuration")


def test_what_a_killed_drill_left_goes_and_what_one_that_is_at_work_needs_stays(files: FileSet) -> None:
    left = Path(drill.place(files.archive)) / "srv"
    left.mkdir(parents=True)
    with files.archive.alone("drill"):
        drill.tidy(files.archive)
        assert left.exists()
        assert "another run is at work on drill" in drills.make(files.archive, [], "run").wrong[0]
    drill.tidy(files.archive)


def test_a_set_that_the_archive_does_not_keep_is_refused_before_any_drill(files: FileSet) -> None:
    with pytest.raises(Trouble, match="keeps no 'config' on this host: take one of media"):
        drills.make(files.archive, [KIND, "config"], "run")
    assert not (Path(files.archive.path) / "drills").exists()


def test_without_a_backup_that_passed_a_drill_says_so(files: FileSet) -> None:
    for record in files.archive.records():
        files.archive.write("records", {**record, "check": None})
    assert made(files)["reason"] == f"no backup of {KIND} has passed a check: take one (`backup.run --set {KIND}`)"
