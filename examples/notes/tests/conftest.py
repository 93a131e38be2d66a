"""A real PostgreSQL and a real server: the tests talk HTTP to what is deployed, as a browser would.

The database is the one that TEST_DATABASE_URL names (an empty one), or a throwaway cluster made with the binaries of
Debian's `postgresql` package.
"""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent.parent
STOPPED = (0, -15)  # uvicorn ends, once all is done, by the signal that it was sent
KEY = "a session key for tests alone"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binaries() -> Path:
    """Return the directory of the newest server programs."""
    found = [file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb")
    assert on_path, "no PostgreSQL server here: install it (apt-get install postgresql), or set TEST_DATABASE_URL"
    return Path(on_path).parent


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    # The server refuses to run as root; Debian's package brings its account.
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    become = ["runuser", "-u", "postgres", "--"] if account else []
    folder = Path(tempfile.mkdtemp(prefix="notes-db-"))
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    port, programs = free_port(), binaries()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"

    def run(*words: str) -> None:
        subprocess.run([*become, *words], check=True, cwd="/", stdout=subprocess.DEVNULL)

    try:
        run(str(programs / "initdb"), "-D", f"{folder}/data", "-U", "notes", "-A", "trust", "-E", "UTF8", "--no-sync")
        run(str(programs / "pg_ctl"), "-D", f"{folder}/data", "-o", options, "-w", "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql+psycopg://notes@127.0.0.1:{port}/postgres"
        finally:
            run(str(programs / "pg_ctl"), "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def environment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a process, with a schema of its own in the database."""
    credentials = tmp_path_factory.mktemp("credentials")
    (credentials / "SESSION_KEY").write_text(KEY)
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE),
        "DATABASE_URL": database_url,
        "CREDENTIALS_DIRECTORY": str(credentials),
        "FERRYMAN_RELEASE": "20260101T000000Z-1a2b3c4",
        "FERRYMAN_SHARED": str(tmp_path_factory.mktemp("shared")),
        "NOTES_MAX_UPLOAD": "2000000",
    }


def alembic(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "alembic", *words]
    done = subprocess.run(command, cwd=HERE, env=environment, text=True, check=True, stdout=subprocess.PIPE)
    return done.stdout


@pytest.fixture(scope="session")
def schema(environment: dict[str, str]) -> dict[str, str]:
    alembic(environment, "upgrade", "head")
    return environment


@dataclass
class Answer:
    status: int
    head: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A browser of sorts: keeps the cookie."""

    url: str
    cookie: str = ""
    head: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, data: Any = None, **head: str) -> Answer:
        body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        kind = {} if isinstance(data, bytes) or data is None else {"Content-Type": "application/json"}
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        names = {name.replace("_", "-"): value for name, value in head.items()}
        heads = {**kind, **cookie, **self.head, **names}
        request = urllib.request.Request(f"{self.url}{path}", body, heads, method=method)  # noqa: S310 -- always the server started here
        try:
            with urllib.request.urlopen(request, timeout=10) as found:  # noqa: S310 -- as above
                answer = Answer(found.status, found.headers, found.read())
        except urllib.error.HTTPError as error:
            answer = Answer(error.code, error.headers, error.read())
        if "Set-Cookie" in answer.head:
            self.cookie = answer.head["Set-Cookie"].split(";")[0]
        return answer


@dataclass
class Server:
    url: str
    process: subprocess.Popen[str]
    log: Path
    started_s: float

    def client(self) -> Client:
        return Client(self.url)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def line_of(self, request: str) -> dict[str, Any]:
        """Return the line of a request, which is written once its answer has gone out."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.lines():
                if line.get("request_id") == request:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no line of {request} in {self.log.read_text()}")


def start(environment: dict[str, str], log: Path, path: str = "/health/ready") -> Server:
    """Start the web process as ferryman.yml does, and wait until it answers."""
    port = free_port()
    words = f"-m uvicorn notes.main:app --host 127.0.0.1 --port {port} --timeout-keep-alive 65 "
    words += "--timeout-graceful-shutdown 25 --no-server-header --no-access-log"
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, *words.split()], cwd=HERE, env=environment, text=True,
                                   stdout=output, stderr=subprocess.STDOUT)  # fmt: skip
    server = Server(f"http://127.0.0.1:{port}", process, log, 0)
    while time.monotonic() < began + 20 and process.poll() is None:
        try:
            server.client()("GET", path)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
            continue
        server.started_s = time.monotonic() - began
        return server
    process.kill()
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def server(schema: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(schema, tmp_path_factory.mktemp("log") / "web.log")
    yield running
    running.process.terminate()
    assert running.process.wait(10) in STOPPED


@pytest.fixture
def client(server: Server) -> Client:
    return server.client()


@pytest.fixture
def user(server: Server) -> Client:
    """Return a client that is logged in as somebody new."""
    known = server.client()
    answer = known("POST", "/api/register", {"name": f"user-{os.urandom(6).hex()}", "password": "correct horse"})
    assert answer.status == 201
    return known
