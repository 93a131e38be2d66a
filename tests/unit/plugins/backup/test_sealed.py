"""An archive that is encrypted: what is refused while it is not open, and what its paper says."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, paper, sealed
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

NOW = of.moment("2026-11-26T03:00:00Z")
OPENING = paper.Opening("/srv/backups/prod/database.sealed", "of nobody but us", "ab" * 32, "01234567-89abcdef")


def own(path: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> archive.Archive:
    """An archive in a directory of the test."""
    monkeypatch.setattr(archive, "SETTINGS", str(path))
    told = {"format": of.FORMAT, "path": str(path), "sets": ["database"], **settings}
    (path / "prod.json").write_text(of.written(told))
    return archive.Archive("prod")


def test_an_archive_that_is_to_be_encrypted_is_shut_until_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk itself is away, and nothing tells of it but the settings; a plain directory is not it."""
    shut = own(tmp_path, monkeypatch, sealed=True)
    (tmp_path / "prod" / "database").mkdir(parents=True)
    with pytest.raises(Trouble, match=f"^{tmp_path}/prod/database.sealed is encrypted and not open: `systemctl"):
        sealed.require_open(shut)
    assert shut.scratch == f"{tmp_path}/prod/database/scratch"


def test_one_in_clear_is_never_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = own(tmp_path, monkeypatch)
    assert (sealed.shut(clear), clear.scratch) == ("", f"{tmp_path}/prod/scratch")
    assert paper.opening(clear) is None


def test_the_paper_of_a_database_alone_tells_of_no_files() -> None:
    text = paper.text("prod", [], "", OPENING, None, NOW)
    for word in ("SET database, directory /srv/backups/prod/database.sealed\n", ">of nobody but us<", "01234567-89ab"):
        assert word in text
    assert "borg" not in text
    assert "not encrypted" not in text
