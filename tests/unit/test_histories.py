"""Promises of tests/support/histories.py: without them the tests of deploys would test something else."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.support import histories

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.histories import Repository


@contextmanager
def served(repository: Repository, shared: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "FERRYMAN_RELEASE": "r1", "FERRYMAN_SHARED": str(shared)}
    process = subprocess.Popen([sys.executable, "tiny.py", "web", str(port)], cwd=repository.path, env=environment,
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def ask(
    url: str | urllib.request.Request, data: bytes | None = None, patience_s: float = 5
) -> tuple[int, dict[str, object]]:
    until = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(url, data, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_equal_histories_have_equal_commits(tmp_path: Path) -> None:
    versions = [histories.good("v1"), histories.crashes(), histories.migrates("v2")]
    first = histories.tiny(tmp_path / "a", *versions)
    second = histories.tiny(tmp_path / "b", *versions)
    assert first.commits == second.commits
    assert len(set(first.commits)) == 3
    assert first.git("status", "--porcelain") == ""


def test_tiny_answers_version_and_digest_and_leaves_when_asked(tmp_path: Path) -> None:
    repository = histories.tiny(tmp_path / "tiny", histories.good("hello"))
    body = os.urandom(3_000_000)
    with served(repository, tmp_path / "shared") as (url, process):
        assert ask(f"{url}/version") == (
            200,
            {"release": "r1", "text": "hello", "slot": None, "host": socket.gethostname()},
        )
        assert ask(f"{url}/health/ready")[0] == 200
        assert ask(f"{url}/upload", body)[1]["sha256"] == hashlib.sha256(body).hexdigest()
        assert ask(f"{url}/media/x.bin", body)[0] == 201
        process.terminate()
        assert process.wait(5) == 0
    assert (tmp_path / "shared/media/x.bin").read_bytes() == body


@pytest.mark.parametrize(
    ("version", "promise"),
    [(histories.never_ready(), 503), (histories.fails_later(0), 500), (histories.slow(0.3), 200)],
    ids=["never-ready", "errors", "slow"],
)
def test_a_bad_version_misbehaves_as_named(tmp_path: Path, version: histories.Version, promise: int) -> None:
    with served(histories.tiny(tmp_path / "tiny", version), tmp_path / "shared") as (url, _):
        assert ask(f"{url}/health/ready")[0] == promise


def test_a_version_may_be_ill_since_its_first_client_and_answers_its_own_host_well_until_then(tmp_path: Path) -> None:
    version = histories.fails_later(0, since="client")
    with served(histories.tiny(tmp_path / "tiny", version), tmp_path / "shared") as (url, _):
        assert [ask(f"{url}/health/ready")[0] for _ in range(3)] == [200, 200, 200]
        of_a_client = urllib.request.Request(f"{url}/version", headers={"X-Real-IP": "192.0.2.1"})
        assert ask(of_a_client)[0] == 200
        assert ask(f"{url}/health/ready")[0] == 500


@pytest.mark.parametrize(
    ("version", "code"), [(histories.crashes(), 1), (histories.dies(0.5), 70)], ids=["crash", "dies"]
)
def test_a_version_that_ends_says_why(tmp_path: Path, version: histories.Version, code: int) -> None:
    with served(histories.tiny(tmp_path / "tiny", version), tmp_path / "shared") as (_, process):
        assert process.wait(10) == code
        assert process.stdout is not None
        assert "fatal: tiny" in process.stdout.read()


def test_tinys_migrations_run_in_order_and_a_failed_one_stops(tmp_path: Path) -> None:
    repository = histories.tiny(tmp_path / "tiny", histories.migrates("v1"), histories.migrates("v2"))
    environment = {**os.environ, "FERRYMAN_SHARED": str(tmp_path / "shared")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tiny.py", *words]
        return subprocess.run(command, cwd=repository.path, env=environment, text=True, capture_output=True)

    assert run("migrate").returncode == 0
    assert run("revision").stdout == "0002\n"
    repository.commit(histories.migration_fails())
    assert run("migrate").returncode == 1
    assert run("revision").stdout == "0002\n"
    repository.commit(histories.migrates("v3"))
    assert run("migrate").returncode == 0
    assert run("revision").stdout == "0003\n"
    run("downgrade", "0001")
    assert run("revision").stdout == "0001\n"


def test_bulk_has_its_size_and_changes_one_percent(tmp_path: Path) -> None:
    repository = histories.bulk(tmp_path / "bulk")
    files = [file for file in repository.path.rglob("*") if file.is_file() and ".git" not in file.parts]
    assert len(files) == histories.BULK_FILES
    assert 20_000_000 < sum(file.stat().st_size for file in files) < 26_000_000
    repository.commit(histories.changes("v2"))
    assert len(repository.git("diff", "--name-only", "HEAD~1").splitlines()) == 21  # and behaviour.json


def test_a_description_grows_with_a_version(tmp_path: Path) -> None:
    worker = {"kind": "worker", "command": "python tiny.py worker"}
    repository = histories.tiny(tmp_path / "tiny", histories.good("v1", processes={"worker": worker}), name="other")
    description = yaml.safe_load((repository.path / "ferryman.yml").read_text())
    assert description["name"] == "other"
    assert set(description["processes"]) == {"web", "worker"}


def test_notes_carries_its_faults_outside_and_loses_them_again(tmp_path: Path) -> None:
    repository = histories.history(tmp_path / "notes", histories.good("v1"), histories.never_ready())
    program = repository.path / "notes/main.py"
    assert "spoil(app, {'never_ready': True})" in program.read_text()
    compile(program.read_text(), program, "exec")
    assert (repository.path / "notes/fault.py").exists()
    repository.commit(histories.good("Second crossing"))
    assert "Second crossing" in (repository.path / "notes/static/index.html").read_text()
    assert repository.git("diff", "--name-only", "HEAD~2").split() == ["notes/static/index.html"]


def test_notes_grows_migrations_and_forgets_a_failed_one(tmp_path: Path) -> None:
    repository = histories.history(tmp_path / "notes", histories.migrates("v1"), histories.migration_fails())
    folder = repository.path / "migrations/versions"
    numbered = sorted(file.name for file in folder.iterdir())
    assert numbered[2:] == ["0003_extra.py", "0004_fails.py"]
    repository.commit(histories.migrates("v2", sleep_s=2))
    assert sorted(file.name for file in folder.iterdir())[2:] == ["0003_extra.py", "0004_extra.py"]
    assert "pg_sleep(2)" in (folder / "0004_extra.py").read_text()


def test_notes_changes_at_least_one_file(tmp_path: Path) -> None:
    repository = histories.history(tmp_path / "notes", histories.good("v1"), histories.changes("v1"))
    assert len(repository.git("diff", "--name-only", "HEAD~1").split()) == 1
