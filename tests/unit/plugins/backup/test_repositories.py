"""The archive's end of a set of files, with a real borg: no passphrase is written that does not open what is there."""

import getpass
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, records, repositories
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

RIGHT, WRONG = "the one that opens what is there", "the one of somebody in a hurry"
MEDIA = "demo/media"


class Host:
    """An archive's host, below a directory; `anew` leaves its disk with the repositories alone."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.disk = root, root / "disk"
        self.settings = root / "settings"
        (root / "base").mkdir(parents=True)
        monkeypatch.setattr(repositories, "USER", getpass.getuser())
        monkeypatch.setattr(repositories, "BASE", str(root / "base"))
        monkeypatch.setattr(repositories, "KEYS", str(root / "base/.ssh/authorized_keys"))
        monkeypatch.setattr(repositories, "SETTINGS", str(self.settings))
        monkeypatch.setattr(repositories, "secrets", lambda name: str(self.settings / f"{name}.files"))
        monkeypatch.setattr(repositories, "files", lambda name: str(self.settings / f"{name}.files.json"))

    def setup(self, passphrase: str, *, sets: tuple[str, ...] = ("media",), giver: str = "app1") -> list[str]:
        wished: dict[str, Any] = {"name": "demo", "path": str(self.disk), "sets": list(sets), "host": giver,
                                  "passphrase": passphrase, "keys": {}}  # fmt: skip
        made = repositories.Repositories(wished, Placing(pretend=False))
        made.require()
        made.run()
        return made.place.paths

    def refused(self, passphrase: str) -> str:
        """Have it refused, with nothing of this host any other than it was; return what is said."""
        before = self.all()
        with pytest.raises(Trouble) as said:
            self.setup(passphrase)
        assert self.all() == before
        return str(said.value)

    def all(self) -> dict[str, tuple[bytes, int]]:
        return {
            str(path): (path.read_bytes() if path.is_file() else b"", path.lstat().st_mode)
            for path in self.root.rglob("*")
        }

    def anew(self) -> None:
        self.settings.rename(self.root.with_name("gone"))
        (self.root / "base").rename(self.root.with_name("base-that-is-gone"))
        (self.root / "base").mkdir()

    def written(self) -> str:
        return (self.settings / "demo.files/passphrase").read_text()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "host", monkeypatch)
    monkeypatch.setattr(Placing, "directory", _directory)
    monkeypatch.setattr(Placing, "file", _file)
    return made


def _directory(self: Placing, path: str, mode: int = 0o755, owner: str = "") -> None:
    """As it is, but that whoever tests need not be root."""
    if not Path(path).is_dir():
        Path(path).mkdir(parents=True)
        self.paths.append(path)


def _file(self: Placing, path: str, text: str, mode: int = 0o644, owner: str = "") -> bool:
    if Path(path).exists() and Path(path).read_text() == text:
        return False
    Path(path).write_text(text)
    self.paths.append(path)
    return True


def test_a_host_made_anew_over_an_old_disk_takes_the_passphrase_that_opens_it_and_no_other(host: Host) -> None:
    host.setup(RIGHT)
    host.anew()
    for _ in range(2):
        said = host.refused(WRONG)
        assert f"backup_passphrase does not open {host.disk}/{MEDIA}, so nothing was written" in said
        assert "paper copy" in said
    host.setup(RIGHT)
    assert host.written() == f"{RIGHT}\n"
    assert host.setup(RIGHT) == []
    assert "does not open" in host.refused(WRONG)


def test_the_right_passphrase_is_taken_where_a_wrong_one_or_none_lies_on_the_host(host: Host) -> None:
    host.setup(RIGHT)
    path = host.settings / "demo.files/passphrase"
    path.write_text(f"{WRONG}\n")
    host.setup(RIGHT)
    assert host.written() == f"{RIGHT}\n"
    path.unlink()
    assert "does not open" in host.refused(WRONG)
    host.setup(RIGHT)


def test_a_passphrase_is_free_until_something_is_there_that_it_has_to_open(host: Host) -> None:
    host.setup(WRONG, sets=())
    host.setup(RIGHT)
    assert "does not open" in host.refused(WRONG)


def test_a_set_that_is_given_no_more_must_still_be_opened(host: Host) -> None:
    host.setup(RIGHT, sets=("media", "config"))
    with pytest.raises(Trouble, match=r"demo/media and .*demo/config, so nothing was written"):
        host.setup(WRONG, sets=("media",))


@pytest.mark.parametrize("away", [True, False])
def test_another_passphrase_is_refused_where_nobody_can_see_whether_it_opens_what_was_made(
    host: Host, away: bool
) -> None:
    host.setup(RIGHT)
    config = host.disk / MEDIA / "config"
    if away:
        config.unlink()
    else:
        config.write_text(config.read_text().replace("key = hqlh", "key = hqlx"))  # a client may do so
    assert "is its disk there?" in host.refused(WRONG)


def test_a_configuration_that_is_no_text_any_more_is_told_and_nothing_is_written(host: Host) -> None:
    host.setup(RIGHT)
    (host.disk / MEDIA / "config").write_bytes(b"\xff\xfe" * 40)
    assert "is its disk there?" in host.refused(WRONG)
    host.anew()
    assert "cannot be opened, so nothing was written" in host.refused(RIGHT)


def test_a_repository_that_is_damaged_is_told_as_that_and_nothing_is_written(host: Host) -> None:
    host.setup(RIGHT)
    host.anew()
    for path in (host.disk / MEDIA / "data").rglob("*"):
        if path.is_file():
            path.unlink()
    assert f"{host.disk}/{MEDIA} cannot be opened, so nothing was written: borg" in host.refused(RIGHT)


def test_a_setup_that_is_killed_anywhere_is_brought_to_its_end_by_the_next(
    host: Host,
) -> None:
    """Whatever of a repository was there: half of one beside its place, or all of it and not what is kept of it."""
    kill = pytest.MonkeyPatch()
    kill.setattr(os, "rename", _killed)
    with pytest.raises(KeyboardInterrupt):
        host.setup(RIGHT)
    kill.undo()
    assert not (host.disk / MEDIA / "config").exists()
    kill.setattr(repositories.Repositories, "own", _killed)
    with pytest.raises(KeyboardInterrupt):
        host.setup(RIGHT)
    kill.undo()
    assert "does not open" in host.refused(WRONG)
    host.setup(RIGHT)
    assert host.setup(RIGHT) == []
    assert [path.name for path in (host.disk / "demo").iterdir()] == ["media"]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_two_hosts_give_different_sets_and_never_the_same(host: Host) -> None:
    host.setup(RIGHT, sets=("media",))
    host.setup(RIGHT, sets=("cache",), giver="cache1")
    told = json.loads((host.settings / "demo.files.json").read_text())
    assert told["hosts"] == {"app1": ["media"], "cache1": ["cache"]}
    assert host.setup(RIGHT, sets=("media",)) == []
    with pytest.raises(Trouble, match=r"takes the files of app1 \(media\), and not of cache1"):
        host.setup(RIGHT, sets=("cache", "media"), giver="cache1")


def test_who_gives_is_known_from_when_there_was_one_host_alone(host: Host) -> None:
    host.setup(RIGHT)
    path = host.settings / "demo.files.json"
    older = {"format": 1, "name": "demo", "host": "app1", "sets": ["media"]}
    path.write_text(records.written(older))
    with pytest.raises(Trouble, match=r"takes the files of app1 \(media\), and not of app2"):
        host.setup(RIGHT, giver="app2")
    host.setup(RIGHT)
    assert archive.givers(json.loads(path.read_text())) == archive.givers(older) == {"app1": ["media"]}
