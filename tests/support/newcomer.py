"""A newcomer: a fresh clone of what is committed, and the commands that the pages name, typed in it.

The clone's sandbox has a name and ports of its own, so that the checkout's own `local` is not disturbed.
"""

import http.client
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from tests.support import site as sites
from tests.support.driving import READY_S, Answer
from tests.support.histories import Repository

from ferryman import paths
from ferryman.sandbox.ports import free_port

DOMAIN = "notes.localhost"
NAME = "e2e-newcomer"
PORTS = {2222: "ssh", 8080: "http", 8443: "https", 2223: "acme"}
"""The ports of inventories/local, and what they are called here."""
# Waiting is what these journeys are not about; how long a release is watched has tests of its own.
SHORT = {"release_soak_s": 1, "release_watch_s": 1, "release_worker_soak_s": 1, "release_drain_s": 0}
IDENTITY = {f"GIT_{who}_{what}": f"ada{'@example.org' if what == 'EMAIL' else ''}" for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")}  # fmt: skip


@dataclass
class Newcomer:
    """A clone, and what was typed in it so far."""

    root: Path
    name: str
    ports: Mapping[int, int]
    heard: list[str] = field(default_factory=list)
    """All that the commands printed."""

    def type(self, line: str, *, code: int = 0, timeout_s: float = READY_S) -> Answer:
        """Type a line of a page, with this clone's ports and sandbox for the page's, and expect its exit code."""
        for theirs, ours in self.ports.items():
            line = re.sub(rf"(?<=[: ]){theirs}\b", str(ours), line)
        line = line.replace("sandbox/ferryman/", f"sandbox/{self.name}/")
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=timeout_s,
        )  # fmt: skip
        answer = Answer(done.returncode, done.stdout, done.stderr)
        self.heard += [done.stdout, done.stderr]
        assert done.returncode == code, f"{line}\n{answer}"
        return answer

    def environment(self) -> dict[str, str]:
        """Return the environment of what is typed: nothing of that of the tests."""
        hidden = ("ANSIBLE_", "PYTHON", "FERRYMAN_", "VIRTUAL_ENV", "PYTEST")
        found = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        found.update(IDENTITY, NO_COLOR="1")
        if (self.root / ".venv").is_symlink():
            found["PYTHONPATH"] = str(self.root / "src")  # the shared environment would lead to the checkout's
        return found

    # The application

    @property
    def repository(self) -> Repository:
        """The example application in the clone, to commit versions of it."""
        return Repository(self.root / "examples" / "notes", "notes")

    def served(self) -> str:
        """Return the release that answers clients now."""
        return str(json.loads(self.ask("GET", "/version").text)["release"])

    def trusting(self) -> ssl.SSLContext:
        """Return what a client needs that trusts the sandbox's authority and no other."""
        return ssl.create_default_context(cafile=str(self.root / ".ferryman" / "sandbox" / self.name / "ca.pem"))

    def ask(
        self, method: str, path: str, body: Any = None, *, cookie: str = "", context: ssl.SSLContext | None = None
    ) -> "Reply":
        """Ask over HTTPS as a browser would; a body is sent as JSON, bytes as they are."""
        headers = {"Cookie": cookie, "Connection": "close"} if cookie else {"Connection": "close"}
        if body is not None and not isinstance(body, bytes):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        raw = socket.create_connection(("127.0.0.1", self.ports[8443]), timeout=10)
        connection = http.client.HTTPConnection(f"{DOMAIN}:{self.ports[8443]}")
        connection.sock = (context or self.trusting()).wrap_socket(raw, server_hostname=DOMAIN)
        return _asked(connection, method, path, body, headers)

    def ask_in_clear(self, path: str) -> "Reply":
        """Ask over HTTP."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[8080], timeout=10)
        return _asked(connection, "GET", path, None, {"Host": f"{DOMAIN}:{self.ports[8080]}"})

    # The host

    def ssh(self, script: str, *, given: str = "") -> str:
        """Run a script as root on the host, with `given` as its input, and return what it printed."""
        argv = ["ssh", "-F", str(self.root / ".ferryman" / "sandbox" / self.name / "ssh_config"), "-o", "BatchMode=yes"]
        argv += ["local1", f"sudo bash -c {shlex.quote(script)}"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, input=given)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


@dataclass(frozen=True)
class Reply:
    """An answer of the application: status, headers in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def _asked(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> "Reply":
    try:
        connection.request(method, path, body=body, headers=headers)
        reply = connection.getresponse()
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


@contextmanager
def arrived(
    directory: Path, *, shared: bool = True, settings: Mapping[str, float] = MappingProxyType(SHORT)
) -> Iterator[Newcomer]:
    """Clone, type the README's first command, and leave nothing behind by its last one; `shared` as `clone` has it."""
    sites.sweep(NAME)
    clone(directory, shared=shared)
    newcomer = Newcomer(directory, f"{NAME}-{os.getpid()}", {port: free_port() for port in PORTS})
    _move(newcomer, settings)
    try:
        newcomer.type("./invoke deploy")
        yield newcomer
    finally:
        newcomer.type("./invoke sandbox.down")
        assert sites.leftovers(newcomer.name) == []


def clone(directory: Path, *, shared: bool = True) -> None:
    """Clone what is committed; with `shared`, the environment that runs the tests serves it where it fits its lock."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", paths.CHECKOUT, directory], check=True, timeout=60)
    here, stamp = Path(sys.prefix), Path(sys.prefix) / ".lock-dev"
    if shared and stamp.is_file() and stamp.read_bytes() == (directory / "requirements" / "dev.txt").read_bytes():
        (directory / ".venv").symlink_to(here)
        (directory / ".git" / "info" / "exclude").write_text(".venv\n")


def _move(newcomer: Newcomer, settings: Mapping[str, float]) -> None:
    """Give the clone's `local` another name, other ports, and these settings of a release."""
    local = newcomer.root / "inventories" / "local"
    for name in ("hosts.yml", "group_vars/all/nginx.yml"):
        text = (local / name).read_text()
        for theirs, ours in newcomer.ports.items():
            text = text.replace(str(theirs), str(ours))
        (local / name).write_text(text)
    variables = local / "group_vars" / "all"
    text = (variables / "sandbox.yml").read_text()
    (variables / "sandbox.yml").write_text(re.sub(r"(?m)^sandbox_name: .*$", f"sandbox_name: {newcomer.name}", text))
    if settings:
        with (variables / "release.yml").open("a") as stream:
            stream.write(yaml.safe_dump(dict(settings)))
