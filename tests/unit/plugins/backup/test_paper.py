"""The paper copy of the keys: a backup comes back with nothing but it and what of the repository is left."""

import shutil
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect, job, paper
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from tests.support import typing_in
from tests.support.filesets import KIND, FileSet

NOW = of.moment("2026-11-26T03:00:00Z")
SECRET = "of nobody but us"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSet:
    made = FileSet(tmp_path / "set")
    (made.roots[0] / "one").write_text("one\n")
    record = made.take()
    collect.collect(made.works, of.moment(record["began_at"]))
    monkeypatch.setitem(job.ENGINES, KIND, lambda own: made.works)
    return made


def test_a_backup_is_restored_with_nothing_but_the_paper_and_what_is_left_of_the_repository(
    files: FileSet, tmp_path: Path
) -> None:
    text = paper.text(files.archive.name, paper.keys(files.archive), SECRET, None, None, NOW)
    assert "The database's backups are not encrypted" in text
    assert f"BACKUPS OF {files.archive.name}\nwritten by Ferryman at 2026-11-26T03:00:00Z" in text
    (backup,) = (record["id"] for record in files.archive.records())
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    here.mkdir()
    shutil.copytree(files.repository, elsewhere)
    (elsewhere / "config").unlink()  # the key with it
    shutil.rmtree(files.place)
    back = typing_in.restored(text, KIND, elsewhere, backup, here)
    assert (back / str(files.roots[0] / "one").lstrip("/")).read_text() == "one\n"


def test_a_key_that_somebody_put_in_its_place_is_on_no_paper(files: FileSet) -> None:
    before = paper.keys(files.archive)
    config = files.repository / "config"
    config.write_text(config.read_text().replace("key = hqlh", "key = hqlx"))
    assert paper.keys(files.archive) == before
