"""What runs beside the web process: migrations, worker, cleanup, seed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from conftest import HERE, Client, Server, alembic, start


def module(environment: dict[str, str], name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", name], cwd=HERE, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def finished(process: subprocess.Popen[str]) -> str:
    giving_up = threading.Timer(20, process.kill)
    giving_up.start()
    with process:
        output = process.stdout.read()  # what was read by lines before is not lost, as it would be to communicate()
    giving_up.cancel()
    assert process.returncode == 0, output
    return output


def test_migrations_go_up_and_down_and_say_where_they_are(schema: dict[str, str], tmp_path: Path) -> None:
    environment = {**schema, "DATABASE_URL": f"{schema['DATABASE_URL']}?options=-csearch_path%3Dscratch"}
    url = schema["DATABASE_URL"].replace("+psycopg", "")
    code = f"import psycopg; psycopg.connect({url!r}, autocommit=True).execute('create schema scratch')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert alembic(environment, "current") == ""
    alembic(environment, "upgrade", "0001")
    assert alembic(environment, "current").split()[0] == "0001"
    behind = start(environment, tmp_path / "log", "/health")
    assert behind.client()("GET", "/health/ready").json["reason"] == "the schema is at 0001, this release needs 0002"
    alembic(environment, "upgrade", "head")
    assert behind.client()("GET", "/health/ready").status == 200
    behind.process.terminate()
    behind.process.wait(10)
    alembic(environment, "check")
    alembic(environment, "downgrade", "base")
    assert alembic(environment, "current") == ""


def test_two_workers_look_at_every_upload_once(user: Client, schema: dict[str, str]) -> None:
    names = [user("POST", f"/api/media?name={n}.txt", b"two words\nmore\n" * n).json["id"] for n in range(1, 7)]
    workers = [module(schema, "notes.worker") for _ in range(2)]
    until = time.monotonic() + 15
    while any(media["facts"] is None for media in user("GET", "/api/media").json):
        assert time.monotonic() < until
        time.sleep(0.1)
    for worker in workers:
        assert "worker started" in worker.stdout.readline()  # before that, nobody listens to signals
        worker.send_signal(signal.SIGTERM)
    output = "".join(finished(worker) for worker in workers)
    assert output.count("job taken") >= len(names)
    assert '"attempt": 2' not in output
    facts = {media["id"]: media["facts"] for media in user("GET", "/api/media").json}
    assert facts[names[2]] == {"kind": "text", "lines": 6, "words": 9}


def test_cleanup_removes_what_is_old_and_nobodys(user: Client, schema: dict[str, str]) -> None:
    media = user("POST", "/api/media?name=kept", b"kept").json
    folder = Path(schema["FERRYMAN_SHARED"]) / "media"
    yesterday = time.time() - 2 * 24 * 3600
    for file in [folder / ".old.part", folder / "orphan", *folder.iterdir()]:
        file.touch()
        os.utime(file, (yesterday, yesterday))
    (folder / ".new.part").touch()
    finished(module(schema, "notes.cleanup"))
    assert user("GET", f"/api/media/{media['id']}").body == b"kept"
    assert not (folder / ".old.part").exists()
    assert not (folder / "orphan").exists()
    assert (folder / ".new.part").exists()
    (folder / ".new.part").unlink()


def test_seed_makes_its_data_once(server: Server, schema: dict[str, str]) -> None:
    environment = {**schema, "NOTES_SEED_PASSWORD": "quite a secret"}
    assert '"made": true' in finished(module(environment, "notes.seed"))
    assert '"made": false' in finished(module(environment, "notes.seed"))
    client = server.client()
    assert client("POST", "/api/login", {"name": "demo", "password": "quite a secret"}).status == 200
    assert len(client("GET", "/api/notes").json) == 3
