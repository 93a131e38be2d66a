"""Applications for which nobody here wrote a description by hand, or that nobody here wrote at all.

Two are as their own documentation has them, with a ferryman.yml beside it; one is described by `init` alone.

Kinto (Python, PostgreSQL, migrations) keeps records; Node-RED (Node) runs flows that are drawn in a browser. Locks are
made by uv and npm as they are set up on this machine: a lock in git would name its registry.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.test_runtimes import commit
from tests.support.newcomer import IDENTITY
from tests.support.prober import Prober
from tests.support.site import ENV, HOST, Site

from ferryman.proving import environment

MOST_EXPOSED = 2.5  # of 10, as `systemd-analyze security` counts
PASSWORD = "correct horse battery"
HASH = "$2b$08$cKMJtNb53RuueToQgcn49em4PQr0epig0tFQ4hDBIvbCJ9rbvckI6"

KINTO: dict[str, Any] = {
    "format": 1,
    "name": "records",
    "runtime": {"kind": "python", "version": "3.11"},
    "processes": {
        "web": {
            "kind": "web",
            "command": "pserve kinto.ini http_host={host} http_port={port}",
            "health": {"path": "/v1/__heartbeat__"},
        }
    },
    # Kinto brings its schema along: it can change when its version does, and that stands in the lock.
    "migrations": {"command": "kinto migrate --ini kinto.ini", "paths": ["uv.lock"], "timeout_s": 60},
    "secret_env": ["KINTO_STORAGE_URL", "KINTO_PERMISSION_URL", "KINTO_CACHE_URL", "KINTO_USERID_HMAC_SECRET"],
}
PROJECT = """\
[project]
name = "records"
version = "1.0.0"
requires-python = ">=3.11"
dependencies = ["kinto[postgresql]==26.5.0"]
"""
INI = """\
[server:main]
use = egg:waitress#main
host = %(http_host)s
port = %(http_port)s

[app:main]
use = egg:kinto
kinto.project_name = TEXT
kinto.storage_backend = kinto.core.storage.postgresql
kinto.permission_backend = kinto.core.permission.postgresql
kinto.cache_backend = kinto.core.cache.postgresql
kinto.includes = kinto.plugins.MODULE
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated
"""

NODE_RED: dict[str, Any] = {
    "format": 1,
    "name": "flows",
    "runtime": {"kind": "node"},
    "processes": {"web": {"kind": "web", "command": "node-red --settings settings.js", "health": {"path": "/"}}},
    "shared": ["data"],
    "secret_env": ["ADMIN_HASH", "CREDENTIAL_SECRET"],
}
PACKAGE = {"name": "flows", "version": "1.0.0", "private": True, "dependencies": {"node-red": "4.1.8"}}
SETTINGS = """\
require('MODULE')
module.exports = {
    uiHost: process.env.HOST,
    uiPort: Number(process.env.PORT),
    userDir: process.env.FERRYMAN_SHARED + '/data',
    flowFile: 'flows.json',
    credentialSecret: process.env.CREDENTIAL_SECRET,
    adminAuth: {type: 'credentials', users: [{username: 'ada', password: process.env.ADMIN_HASH, permissions: '*'}]},
    editorTheme: {page: {title: 'TEXT'}},
}
"""
FLOW = [
    {"id": "tab", "type": "tab", "label": "greeting"},
    {"id": "in", "type": "http in", "z": "tab", "url": "/hello", "method": "get", "wires": [["say"]]},
    {"id": "say", "type": "function", "z": "tab", "func": "msg.payload = 'hello'; return msg;", "wires": [["out"]]},
    {"id": "out", "type": "http response", "z": "tab", "wires": []},
]


# What `init` is to find out by itself: how it starts, where it is asked for its health, what key it wants.
BOARD = {
    "package.json": json.dumps(
        {"name": "board", "version": "1.0.0", "private": True, "scripts": {"start": "node server.js"},
         "dependencies": {"ms": "2.1.3"}}
    ),
    "server.js": """\
const http = require('http')
const ms = require('ms')
const key = process.env.SESSION_SECRET
http.createServer((request, response) => {
  if (request.url === '/health') return response.end('well')
  response.end(`${ms('1m')} ${key}`)
}).listen(process.env.PORT, process.env.HOST)
""",
}  # fmt: skip


@dataclass(frozen=True)
class Foreign:
    """One of them on the shared host: its repository, how a version of it is written, and how a client tells it."""

    site: Site
    file: str
    template: str
    modules: tuple[str, str]
    """What is there to be loaded, and what is not."""
    path: str
    told: Any

    def version(self, text: str, *, good: bool = True) -> None:
        """Commit a version that shows `text`; one that is not good asks for a module that nobody has."""
        written = self.template.replace("TEXT", text).replace("MODULE", self.modules[0 if good else 1])
        commit(self.site.root / self.site.app, {self.file: written})

    def deploy(self, text: str) -> str:
        """Deploy a good version."""
        self.version(text)
        answer = self.site.run("deploy", "--app", self.site.app, timeout_s=300)
        assert answer.code == 0, str(answer)
        return str(answer.said["release"])

    def prober(self) -> Prober:
        """A client that counts answers by the text that the version shows."""
        return Prober(self.site, path=self.path, told=self.told)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask as a client does, and return status and what the JSON or the text says."""
        connection = self.site.connect(timeout_s=10)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(
                method, path, text, {"Content-Type": "application/json", "Connection": "close", **headers}
            )
            reply = connection.getresponse()
            said = reply.read().decode()
        finally:
            connection.close()
        return reply.status, json.loads(said) if said.startswith(("{", "[")) else said

    def exposure(self) -> float:
        """Return how exposed its web process is, from 0 to 10."""
        unit = f"{self.site.app}-web@{self.site.arbiter()['shift']['stable']}-1.service"
        return float(re.findall(r"\d+\.\d", self.site.ssh(f"systemd-analyze security --no-pager {unit} | tail -1"))[0])


@pytest.fixture(scope="module")
def host(hosted: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The shared host with those of them on it that this run takes, and their database."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    variables = hosted.root / "inventories" / ENV
    files = {path: path.read_text() for path in (variables / "hosts.yml", variables / "group_vars/all/apps.yml")}
    tree, apps = (yaml.safe_load(text) for text in files.values())
    if "records" in wanted:
        tree["all"]["children"]["db"]["hosts"] = {HOST: {}}
        url = "postgresql+psycopg2://records:planted@127.0.0.1/records"
        names = ("KINTO_STORAGE_URL", "KINTO_PERMISSION_URL", "KINTO_CACHE_URL")
        apps["apps"]["records"] = {
            "repository": "records",
            "domains": ["records.localhost"],
            "database": {"name": "records", "owner": "records", "password": "planted"},
            "secrets": {**dict.fromkeys(names, url), "KINTO_USERID_HMAC_SECRET": "planted hmac"},
        }
        new(hosted.root / "records", {"ferryman.yml": yaml.safe_dump(KINTO), "pyproject.toml": PROJECT}, "uv lock")
    if "flows" in wanted:
        apps["apps"]["flows"] = {
            "repository": "flows",
            "domains": ["flows.localhost"],
            "secrets": {"ADMIN_HASH": HASH, "CREDENTIAL_SECRET": "planted credential"},
        }
        package = {"ferryman.yml": yaml.safe_dump(NODE_RED), "package.json": json.dumps(PACKAGE)}
        new(hosted.root / "flows", package, "npm install --package-lock-only")
    if "board" in wanted:
        apps["apps"] |= guessed(hosted.root.with_name("board"))
    try:
        for path, told in zip(files, (tree, apps), strict=True):
            path.write_text(yaml.safe_dump(told))
        answer = hosted.run("provision", timeout_s=400)
        assert answer.code == 0, str(answer)
        with hosted.settings(release_start_timeout_s=60):  # others' programs start as they do
            yield hosted
    finally:
        for path, text in files.items():
            path.write_text(text)


def new(repository: Path, files: dict[str, str], locks: str) -> None:
    """Begin a repository, and have its lock written as a user would."""
    shutil.rmtree(repository, ignore_errors=True)  # a host that is kept from run to run keeps them, too
    commit(repository, files)
    done = subprocess.run(
        locks.split(), cwd=repository, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def guessed(repository: Path) -> dict[str, Any]:
    """Begin a repository, have `init` describe it, type what it tells, and return what it says of an inventory."""
    shutil.rmtree(repository, ignore_errors=True)
    commit(repository, BOARD)
    init = [sys.executable, "-m", "ferryman", "init", "--json"]
    told = json.loads(subprocess.run(init, cwd=repository, check=True, capture_output=True, text=True).stdout)
    *typed, deploy = told["next"]
    assert deploy.endswith("deploy")
    for line in [*(each["command"] for each in told["missing"]), *typed]:
        subprocess.run(["bash", "-ec", line], cwd=repository, env=environment() | IDENTITY, check=True, timeout=120)
    apps: dict[str, Any] = yaml.safe_load((repository / "inventories/local/group_vars/all/apps.yml").read_text())[
        "apps"
    ]
    apps["board"].update(repository=str(repository), secrets=dict.fromkeys(apps["board"]["secrets"], "planted"))
    return apps


def title(body: bytes) -> str:
    """Return the title of a page."""
    found = re.search(rb"<title>(.*?)</title>", body)
    return found[1].decode() if found else ""


@pytest.fixture(scope="module")
def records(host: Site) -> Foreign:
    """Kinto."""
    told = lambda body: json.loads(body)["project_name"]  # noqa: E731  # shorter than a function
    return Foreign(replace(host, app="records"), "kinto.ini", INI, ("default_bucket", "no_such"), "/v1/", told)


@pytest.fixture(scope="module")
def flows(host: Site) -> Foreign:
    """Node-RED."""
    return Foreign(replace(host, app="flows"), "settings.js", SETTINGS, ("express", "no-such"), "/", title)


@pytest.fixture(scope="module")
def board(host: Site) -> Site:
    """An application of Node's own, described by `init`."""
    return replace(host, app="board")


def good_failing_back(app: Foreign, first: str) -> None:
    """Take what serves `one` through a good deploy, one that fails, and back, with a client that asks all along."""
    with app.prober() as client:
        second = app.deploy("two")
        app.version("three", good=False)
        answer = app.site.run("deploy", "--app", app.site.app, timeout_s=300)
        assert (answer.code, answer.said["status"], answer.said["serves"]) == (2, "failed", second), str(answer)
        assert app.modules[1] in answer.text, f"the application's own words say why:\n{answer}"
        answer = app.site.run("rollback", "--app", app.site.app)
        assert (answer.code, answer.said["release"]) == (0, first), str(answer)
    client.served_only("one", "two")
    status, text = app.site.get(app.path)
    assert (status, app.told(text.encode())) == (200, "one")


@pytest.mark.at_times(journey="kinto")
def test_kinto_keeps_its_records_over_deploys_a_failure_and_the_way_back(records: Foreign) -> None:
    first = records.deploy("one")
    key = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    place = "/v1/buckets/default/collections/notes/records/first"
    status, said = records.ask("PUT", place, {"data": {"text": "kept"}}, **key)
    assert status in (200, 201), said  # it may be there, on a host that is kept from run to run
    good_failing_back(records, first)
    status, said = records.ask("GET", place, **key)
    assert (status, said["data"]["text"]) == (200, "kept")
    assert records.exposure() <= MOST_EXPOSED


def greeted(flows: Foreign, within_s: float = 10) -> tuple[int, Any]:
    """Ask the flow; Node-RED starts its flows a moment after it says that it has them."""
    deadline = time.monotonic() + within_s
    while (said := flows.ask("GET", "/hello"))[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    return said


@pytest.mark.at_times(journey="node-red")
def test_node_red_runs_its_flows_over_deploys_a_failure_and_the_way_back(flows: Foreign) -> None:
    first = flows.deploy("one")
    who = {"client_id": "node-red-admin", "grant_type": "password", "scope": "*", "username": "ada"}
    assert flows.ask("POST", "/auth/token", {**who, "password": "wrong"})[0] == 403
    status, said = flows.ask("POST", "/auth/token", {**who, "password": PASSWORD})
    assert status == 200, said
    status, told = flows.ask("POST", "/flows", FLOW, Authorization=f"Bearer {said['access_token']}")
    assert status == 204, told
    assert greeted(flows) == (200, "hello")
    good_failing_back(flows, first)
    assert greeted(flows) == (200, "hello")
    assert flows.exposure() <= MOST_EXPOSED


@pytest.mark.at_times(journey="an application for node as init guesses it")
def test_an_application_for_node_is_deployed_as_init_has_guessed_it(board: Site) -> None:
    answer = board.run("deploy", "--app", board.app, timeout_s=300)
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    assert board.get("/") == (200, "60000 planted")
    described = yaml.safe_load((board.root.with_name("board") / "ferryman.yml").read_text())
    assert described["processes"]["web"]["health"] == {"path": "/health"}, "what the gate asked"
