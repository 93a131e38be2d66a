"""Applications for which nobody here wrote a description by hand, or that nobody here wrote at all.

Two are as their own documentation has them, with a ferryman.yml beside it; one is described by `init` alone.

Kinto (Python, PostgreSQL, migrations) keeps records; Node-RED (Node) runs flows that are drawn in a browser. Locks are
made by uv and npm as they are set up on this machine: a lock in git would name its registry.

Requirements: REL-1, DOC-2.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.driving import READY_S
from tests.support.foreign import Foreign, commit, kinto, kinto_in, new
from tests.support.newcomer import IDENTITY
from tests.support.site import ENV, HOST, Site

from ferryman.proving import environment

MOST_EXPOSED = 2.5  # of 10, as `systemd-analyze security` counts
PASSWORD = "correct horse battery"
HASH = "$2b$08$cKMJtNb53RuueToQgcn49em4PQr0epig0tFQ4hDBIvbCJ9rbvckI6"

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


@pytest.fixture(scope="module")
def host(hosted: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The shared host with those of them on it that this run takes, and their database."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    variables = hosted.root / "inventories" / ENV
    files = {path: path.read_text() for path in (variables / "hosts.yml", variables / "group_vars/all/apps.yml")}
    tree, apps = (yaml.safe_load(text) for text in files.values())
    if "records" in wanted:
        tree["all"]["children"]["db"]["hosts"] = {HOST: {}}
        apps["apps"]["records"] = kinto_in(hosted.root)
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
        answer = hosted.run("provision", timeout_s=READY_S)
        assert answer.code == 0, str(answer)
        with hosted.settings(release_start_timeout_s=60):  # others' programs start as they do
            yield hosted
    finally:
        for path, text in files.items():
            path.write_text(text)


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
    return kinto(replace(host, app="records"))


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
