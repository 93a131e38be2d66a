"""A file of keys: where the SSH server reads it, and that a change follows nobody's links and leaves it theirs."""

import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import keyfile
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed

NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of an account of its own; what it is given lies where it may go."""
    monkeypatch.setattr(keyfile, "LOCK", tmp_path / "lock")
    place = tmp_path / "home"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    for above in (tmp_path, *tmp_path.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    account: Any = SimpleNamespace(pw_name="ada", pw_uid=NOBODY, pw_gid=NOBODY, pw_dir=str(place))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: account)
    return place


def test_a_line_comes_and_goes_and_whose_the_file_is_and_its_mode_stay(home: Path) -> None:
    keys = home / ".ssh" / "authorized_keys"
    keyfile.change(keys, "ada", lambda lines: [*lines, b"A"])
    found = keys.stat()
    assert (keys.read_bytes(), found.st_uid, found.st_mode & 0o777) == (b"A\n", NOBODY, 0o600)
    assert keys.parent.stat().st_mode & 0o777 == 0o700
    keys.chmod(0o644)
    keyfile.change(keys, "ada", lambda lines: [*lines, b"B"])
    keyfile.change(keys, "ada", lambda lines: [line for line in lines if line != b"A"])
    assert (keys.read_bytes(), keys.stat().st_mode & 0o777, keys.stat().st_uid) == (b"B\n", 0o644, NOBODY)
    assert [*keys.parent.iterdir()] == [keys]


def test_a_link_that_an_account_has_put_in_its_home_leads_to_nothing_that_is_not_its_own(home: Path) -> None:
    victim = home.parent / "victim"
    victim.write_text("root's\n")
    victim.chmod(0o644)
    (home / ".ssh").mkdir()
    os.chown(home / ".ssh", NOBODY, NOBODY)
    (home / ".ssh" / "authorized_keys").symlink_to(victim)
    with pytest.raises(Failed, match=r"cannot write .* as ada") as failed:
        keyfile.change(home / ".ssh" / "authorized_keys", "ada", lambda lines: [*lines, b"A"])
    assert "give that directory to its owner" in failed.value.hint
    assert (victim.read_text(), victim.stat().st_uid) == ("root's\n", os.getuid())


def test_keys_that_are_roots_stay_roots(home: Path) -> None:
    keys = home.parent / "ada"
    keys.write_text("A\n")
    keys.chmod(0o644)
    keyfile.change(keys, "ada", lambda lines: [*lines, b"B"])
    assert (keys.read_text(), keys.stat().st_uid, keys.stat().st_mode & 0o777) == ("A\nB\n", os.getuid(), 0o644)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (".ssh/authorized_keys", "{home}/.ssh/authorized_keys"),
        ("%h/.ssh/keys", "{home}/.ssh/keys"),
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/ada"),
        ("/etc/ssh/100%%/%u", "/etc/ssh/100%/ada"),
        ("/etc/%%h", "/etc/%h"),
    ],
)
def test_keys_are_written_where_the_ssh_server_reads_them(home: Path, told: str, found: str) -> None:
    assert str(keyfile.of("ada", told)) == found.format(home=home)


def test_a_server_that_reads_no_file_of_keys_is_named_with_the_way_out(home: Path) -> None:
    with pytest.raises(Failed, match="reads no file of keys of ada") as failed:
        keyfile.of("ada", "none")
    assert "AuthorizedKeysFile" in failed.value.hint
