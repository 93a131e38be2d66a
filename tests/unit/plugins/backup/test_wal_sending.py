"""What PostgreSQL's archiver calls: how a file is packed, what is let go, and who may put it where."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, wal, wal_sending, wal_way
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from hypothesis import given
from hypothesis import strategies as st

NAME = wal.name(1, 5)
PUBLIC = "ssh-ed25519 AAAAC3Nz ferryman-wal"


@given(st.binary(max_size=4096))
def test_a_file_travels_with_its_checksum_and_comes_out_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("wal") / NAME
    path.write_bytes(content)
    with tarfile.open(fileobj=io.BytesIO(wal_sending.packed(str(path)))) as tar:
        held = {member.name: stream.read() for member in tar if (stream := tar.extractfile(member))}
    assert list(held) == [NAME, "SHA256SUMS"]
    assert held[NAME] == content
    assert held["SHA256SUMS"].decode() == f"{hashlib.sha256(content).hexdigest()} *{NAME}\n"


@pytest.mark.parametrize(
    ("text", "bytes_"), [("64kB", 2**16), ("20MB", 20 * 2**20), ("8GB", 2**33), ("1TB", 2**40), ("5", 5 * 2**20)]
)
def test_a_bound_is_read_as_postgresql_reads_it(text: str, bytes_: int) -> None:
    assert wal_sending.size(text) == bytes_


@given(st.integers(0, 2**40), st.integers(0, 1000))
def test_files_that_wait_hold_back_no_more_than_the_bound_and_no_more_than_is_left_free(free: int, bound: int) -> None:
    assert wal_sending.most(f"{bound}MB", free) == min(bound * 2**20, free)
    assert wal_sending.most("", free) == free


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory in which three files wait, and settings that allow for two."""
    monkeypatch.setattr(wal_sending, "SETTINGS", str(tmp_path))
    (tmp_path / "pg_wal/archive_status").mkdir(parents=True)
    for segment in (5, 6, 7):
        (tmp_path / "pg_wal/archive_status" / f"{wal.name(1, segment)}.ready").touch()
    (tmp_path / "pg_wal" / NAME).write_bytes(b"x")
    (tmp_path / "demo.wal.json").write_text(json.dumps({"keep": "32MB"}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_past_the_bound_the_oldest_is_let_go_and_the_log_says_so(
    server: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wal_sending.is_let_go("demo", f"pg_wal/{NAME}")
    assert (
        f"pg_wal/{NAME} is let go: 3 files of WAL wait to be archived, more than may (32MB)" in capsys.readouterr().err
    )
    (server / "pg_wal/archive_status" / f"{NAME}.ready").unlink()
    assert not wal_sending.is_let_go("demo", f"pg_wal/{NAME}")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("settings", [None, "{", "{}", '{"keep": "much"}'])
def test_without_settings_that_can_be_read_no_file_counts_as_sent(
    server: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: str
) -> None:
    path = server / "demo.wal.json"
    path.unlink()
    if settings is not None:
        path.write_text(settings)
    monkeypatch.setattr("sys.argv", ["backup-wal", "demo", f"pg_wal/{NAME}"])
    assert wal_sending.main() == 1
    assert capsys.readouterr().err


def test_a_key_may_put_files_into_one_archive_and_is_taken_back_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / ".ssh/authorized_keys"
    monkeypatch.setattr(wal_way, "HOME", str(tmp_path))
    monkeypatch.setattr(wal_way, "KEYS", str(keys))
    place = Placing(pretend=False)
    for host in ("db1", "db2"):
        wal_way.let_in(place, {"name": "demo", "host": host, "public_key": PUBLIC})
    one, other = keys.read_text().splitlines()
    assert one == f'command="{archive.PROGRAM} put-wal --name demo",restrict ssh-ed25519 AAAAC3Nz ferryman:demo:db1:wal'
    for _ in range(2):
        wal_way.take_back(place, {"name": "demo", "host": "db1"})
        assert keys.read_text() == f"{other}\n"


def test_where_it_only_pretends_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_way, "HOME", str(tmp_path))
    monkeypatch.setattr(wal_way, "KEYS", str(tmp_path / ".ssh/authorized_keys"))
    place = Placing(pretend=True)
    wal_way.let_in(place, {"name": "demo", "host": "db1", "public_key": PUBLIC})
    assert place.paths
    assert not list(tmp_path.iterdir())
