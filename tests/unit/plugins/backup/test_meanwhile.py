"""What changes while a backup is taken: its manifest is what the archive holds, whenever it changed."""

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import source, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from tests.support.filesets import KIND, FileSet

STRANGE = os.fsdecode(b"caf\xe9 \xff")
AS_SAID = "caf? ?"  # as borg says it, and another file


def replaced(path: Path) -> None:
    """Put another file of the same length in the place of one, as an editor saves."""
    beside = path.with_name("beside")
    beside.write_text("r" * 1000)
    beside.rename(path)


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def nested(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o750)


def listened(path: Path) -> None:
    """Put a socket in the place of a file, of which borg says nothing."""
    path.unlink(missing_ok=True)
    os.mknod(path, stat.S_IFSOCK | 0o600)


CHANGES: dict[str, Callable[[Path], Any]] = {
    "stays": lambda _: None,
    "written over": lambda path: path.write_text("w" * 1000),
    "grown": lambda path: path.write_text("g" * 5000),
    "replaced": replaced,
    "touched": os.utime,
    "another mode": lambda path: path.chmod(0o600),
    "removed": Path.unlink,
    "a link now": linked,
    "a directory now": nested,
}


@pytest.fixture
def files(tmp_path: Path) -> FileSet:
    """Files of every kind, which a first backup has, and which borg and we remember."""
    made = FileSet(tmp_path / "set")
    for root in made.roots:
        for name in (*CHANGES, STRANGE, AS_SAID):
            (root / name).write_text("as it was " * 100)
        (root / "one").write_text("1" * 1000)
        (root / "its other name").hardlink_to(root / "one")
        (root / "below").mkdir()
        (root / "link").symlink_to("one")
    time.sleep(2.1)  # what has just changed is nothing that anybody remembers
    assert made.take()["result"] == "taken"
    return made


def change(root: Path) -> None:
    """Change everything in a directory, each in its way."""
    for name, act in CHANGES.items():
        act(root / name)
    (root / "one").write_text("2" * 1000)
    (root / "below").chmod(0o700)
    (root / "link").unlink()
    (root / "link").symlink_to("its other name")
    (root / "new").write_text("n" * 1000)


def change_strange(root: Path) -> None:
    """Change the one whose name borg says in other letters."""
    (root / STRANGE).write_text("s" * 1000)


def change_silently(root: Path) -> None:
    """Let files become what borg says nothing of."""
    listened(root / "stays")
    (root / "below").rmdir()
    listened(root / "below")


@pytest.mark.parametrize("moment", ["before borg reads", "once borg has read"])
@pytest.mark.parametrize("change", [change, change_strange, change_silently])
def test_a_manifest_is_what_its_archive_holds_whatever_changes_meanwhile(
    files: FileSet, monkeypatch: pytest.MonkeyPatch, moment: str, change: Callable[[Path], None]
) -> None:
    create = borg.Borg.create

    def disturbed(works: borg.Borg, name: str, paths: list[str]) -> dict[str, Any]:
        if moment == "before borg reads":
            change(files.roots[0])
        told = create(works, name, paths)
        if moment == "once borg has read":
            change(files.roots[0])
        return told

    monkeypatch.setattr(borg.Borg, "create", disturbed)
    record = files.take()
    assert record["result"] == "taken", record["reason"]
    monkeypatch.undo()
    again = files.take()
    for each in (record, again):
        works = files.source.engine(KIND)
        _, manifest = works.told(each["id"])
        held = works.contents(each["id"])
        assert tree.totals(files.source.roots(KIND), held.items()) == json.loads(manifest)["files"]


def test_what_nothing_happened_to_is_not_looked_at_once_more(files: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = list[str]()
    stamp = source._stamp

    def noted(path: str) -> tuple[int, int, int] | None:
        looked.append(path)
        return stamp(path)

    monkeypatch.setattr(source, "_stamp", noted)
    (files.roots[0] / "stays").write_text("s" * 1000)
    assert files.take()["result"] == "taken"
    names = {Path(path).name for path in looked}
    assert "stays" in names
    assert names.isdisjoint({"grown", "replaced", "removed"})
