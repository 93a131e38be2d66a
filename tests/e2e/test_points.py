"""Going back with the database: what is lost is said first, and whatever breaks on the way is undone.

Requirements: REL-8, BAK-3.
"""

import calendar
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.driving import Driver
from tests.support.histories import migrates
from tests.support.newcomer import Newcomer
from tests.support.pages import blocks

from ferryman import paths

GUIDE = [block.lines for block in blocks(paths.CHECKOUT / "docs" / "guides" / "going-back.md", "text")]
BACK = next(line for block in GUIDE for line in block if "--with-database" in line).replace(" --env prod", "")
CONFIRM_S = 5
JOURNAL = "/var/lib/ferryman/sites/notes/journal.jsonl"
DATABASES = (
    "runuser -u postgres -- psql -XAtc \"select datname from pg_database where datname like 'notes%' order by 1\""
)
PSQL = "runuser -u postgres -- psql -Xqd notes -v ON_ERROR_STOP=1"
# Tables of all kinds, and what becomes of them; the application knows nothing of them.
THEN = """
create table odd_log (what text); insert into odd_log values ('a'), ('a'), ('b');
create table odd_parts (id int, kind text, primary key (id, kind)) partition by list (kind);
create table odd_x partition of odd_parts for values in ('x');
create table odd_y partition of odd_parts for values in ('y');
insert into odd_parts values (1, 'x'), (2, 'y');
create table odd_typed (id int primary key, n int); insert into odd_typed values (1, 1);
create table odd_gone (id int primary key); insert into odd_gone values (1);
create table odd_same (id int primary key, "a b" jsonb, at timestamptz default now()); insert into odd_same values (1);
"""
NOW = """
update odd_log set what = 'c' where what = 'b'; insert into odd_log values ('d');
delete from odd_log where ctid = (select min(ctid) from odd_log where what = 'a');
insert into odd_parts values (3, 'x'); delete from odd_parts where id = 2;
alter table odd_typed alter n type bigint;
drop table odd_gone;
create table odd_new (id int primary key); insert into odd_new values (1), (2);
do $$ begin perform lo_from_bytea(0, 'three'); end $$;
"""
TOLD: dict[str, dict[str, Any]] = {
    "odd_log": {"now": 3, "then": 3, "added": 2, "changed": None, "deleted": 2},
    "odd_parts": {"now": 2, "then": 2, "added": 1, "changed": 0, "deleted": 1},
    "odd_typed": {"now": 1, "then": 1, "added": 0, "changed": 0, "deleted": 0, "uncompared": ["n"]},
    "odd_gone": {"now": None, "then": 1, "added": 0, "changed": None, "deleted": 1},
    "odd_new": {"now": 2, "then": None, "added": 2, "changed": None, "deleted": 0},
    "large objects, in parts of 2 kB": {"now": 1, "then": 0, "added": 1, "changed": 0, "deleted": 0},
}
END = "drop table odd_log, odd_parts, odd_typed, odd_gone, odd_same"


@dataclass(frozen=True)
class Writer:
    """Somebody who writes notes."""

    newcomer: Newcomer
    cookie: str

    def notes(self) -> dict[str, str]:
        """What there is: body by title."""
        listed = json.loads(self.newcomer.ask("GET", "/api/notes", cookie=self.cookie).text)
        return {note["title"]: note["body"] for note in listed}

    def write(self, title: str, body: str = "") -> int:
        reply = self.newcomer.ask("POST", "/api/notes", {"title": title, "body": body}, cookie=self.cookie)
        assert reply.status in (200, 201), reply.text
        return int(json.loads(reply.text)["id"])

    def change(self, note: int, title: str, body: str) -> None:
        reply = self.newcomer.ask("PUT", f"/api/notes/{note}", {"title": title, "body": body}, cookie=self.cookie)
        assert reply.status == 200, reply.text

    def delete(self, note: int) -> None:
        assert self.newcomer.ask("DELETE", f"/api/notes/{note}", cookie=self.cookie).status == 204


class Upload(threading.Thread):
    """A note whose second half comes only when the page has been up for a while; `reply` is what its writer is told."""

    LATE_S = 3

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.newcomer, self.cookie = writer.newcomer, writer.cookie
        self.reply, self.ended_at, self.begun = 0, 0.0, threading.Event()

    def run(self) -> None:
        body = json.dumps({"title": "uploaded slowly", "body": "x" * 5000}).encode()
        raw = socket.create_connection(("127.0.0.1", self.newcomer.ports[8443]), timeout=120)
        connection = http.client.HTTPConnection("notes.localhost")
        connection.sock = self.newcomer.trusting().wrap_socket(raw, server_hostname="notes.localhost")
        headers = {"Cookie": self.cookie, "Content-Type": "application/json", "Content-Length": str(len(body))}
        connection.request("POST", "/api/notes", self.slowly(body), headers)
        self.reply = connection.getresponse().status
        connection.close()

    def slowly(self, body: bytes) -> Iterator[bytes]:
        sent = 100
        yield body[:sent]
        self.begun.set()
        while not done(self.newcomer, "quiet"):
            yield body[sent : sent + 1]  # nginx gives up a client that says nothing for a minute
            sent += 1
        time.sleep(self.LATE_S)
        self.ended_at = time.time()
        yield body[sent:]


def done(newcomer: Newcomer, step: str) -> dict[str, Any]:
    """What the journal has of a step of the last run that is done; empty for nothing."""
    lines = [json.loads(line) for line in newcomer.ssh(f"tail -n 30 {JOURNAL}").splitlines()]
    of_run = [line for line in lines if line["run"] == lines[-1]["run"]]
    return next((line for line in of_run if (line["step"], line["result"]) == (step, "done")), {})


@pytest.fixture(scope="module")
def writer(newcomer: Newcomer) -> Writer:
    person = {"name": f"grace{time.time_ns()}", "password": "a long enough one"}
    reply = newcomer.ask("POST", "/api/register", person)
    assert reply.status == 201, reply.text
    return Writer(newcomer, reply.headers["set-cookie"].split(";")[0])


def alone(newcomer: Newcomer, playbook: str, **values: Any) -> Driver:
    """Begin a playbook without the command line, as another driver may."""
    key = newcomer.root / ".ferryman" / "vault" / "local.key"
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(newcomer.root / "inventories" / "local")]
    argv += ["--vault-id", f"local@{key}", f"ferryman.ops.{playbook}", "-e", json.dumps(values)]
    more = {"ANSIBLE_COLLECTIONS_PATH": str(newcomer.root / ".ansible" / "collections"), "ANSIBLE_NOCOLOR": "1"}
    return Driver(argv, newcomer.root, {**newcomer.environment(), **more})


@contextmanager
def drained(newcomer: Newcomer, seconds: int) -> Iterator[None]:
    """Give uploads their time, for a while."""
    path = newcomer.root / "inventories/local/group_vars/all/release.yml"
    before = path.read_text()
    assert "release_drain_s: 0" in before
    path.write_text(before.replace("release_drain_s: 0", f"release_drain_s: {seconds}"))
    try:
        yield
    finally:
        path.write_text(before)


def deploy(newcomer: Newcomer, text: str) -> dict[str, Any]:
    newcomer.repository.commit(migrates(text))
    return newcomer.type("./invoke deploy --json").said


def arbiter(newcomer: Newcomer, command: str) -> dict[str, Any]:
    return next(iter(newcomer.type(f"./invoke {command} --json").said["hosts"].values()))


def of(lost: list[dict[str, Any]], table: str) -> dict[str, Any]:
    return next(each for each in lost if each["table"] == table)


@pytest.mark.at_times(journey="a rollback with the database")
def test_a_rollback_with_the_database_says_what_is_lost_and_leaves_that_aside(
    newcomer: Newcomer, writer: Writer
) -> None:
    kept, goes = writer.write("kept", "as it was"), writer.write("deleted later")
    before, there = newcomer.served(), newcomer.ssh(DATABASES)
    newcomer.ssh(PSQL, given=THEN)
    said = deploy(newcomer, "To be left with its data")
    newcomer.ssh(PSQL, given=NOW)
    writer.write("written since")
    writer.change(kept, "kept", "changed since")
    writer.delete(goes)
    now = writer.notes()

    # Nobody is there to be asked: it is told, and nothing is touched.
    refused = newcomer.type(f"{BACK} --json", code=1).said
    assert "rows now" in refused["error"]
    assert "--yes" in refused["hint"]
    notes = of(refused["lost"], "notes")
    assert (notes["added"], notes["changed"], notes["deleted"]) == (1, 1, 1)
    assert set(notes["going"].values()) == {0}, "the migration's column holds nothing"
    odd = {each["table"]: each for each in refused["lost"] if each["table"] in TOLD or each["table"].startswith("odd")}
    assert {name: {key: odd[name][key] for key in told} for name, told in TOLD.items()} == TOLD
    assert odd.keys() == TOLD.keys(), "a table in which nothing differs is not told"
    assert refused["point"]["path"] == said["restore_point"]
    assert (newcomer.served(), writer.notes()) == (said["release"], now)
    assert newcomer.ssh(DATABASES) == there

    # A dump that is not what was taken.
    newcomer.ssh(f"cp -p {said['restore_point']} /root/point && echo >> {said['restore_point']}")
    assert "was altered" in newcomer.type(f"{BACK} --yes", code=1).err
    newcomer.ssh(f"mv /root/point {said['restore_point']}")

    upload = Upload(writer)
    upload.start()
    assert upload.begun.wait(20)
    with drained(newcomer, 60):
        back = newcomer.type(f"{BACK} --yes --json").said
    upload.join(20)
    assert (back["release"], back["kept"], newcomer.served()) == (before, "notes_ferryman_left", before)
    assert of(back["lost"], "notes") == notes
    assert {where: seen["passed"] for where, seen in back["verified"].items()} == {"slot": 3, "entry": 8}
    # What nginx had before the page could be given to nobody, and its writer was told; only then they were exchanged.
    exchanged = calendar.timegm(time.strptime(done(newcomer, "exchange")["at"], "%Y-%m-%dT%H:%M:%SZ"))
    assert (upload.reply >= 500, exchanged >= int(upload.ended_at), "under_way_s" in back) == (True, True, False)
    assert writer.notes() == {"kept": "as it was", "deleted later": ""}
    assert newcomer.ssh(DATABASES).split() == ["notes", "notes_ferryman_left"]
    admits = "select datallowconn from pg_database where datname = 'notes_ferryman_left'"
    assert newcomer.ssh(f'runuser -u postgres -- psql -XAtc "{admits}"') == "f"
    look = arbiter(newcomer, "status")
    assert (look["maintenance"], look["unfinished"], look["exchange"], look["live"]) == (False, {}, {}, before)
    history = {each["release"]: each for each in arbiter(newcomer, "releases")["history"]}
    line, then = history[before], history[said["release"]]
    assert line["with_database"]["kept"] == back["kept"]
    assert line["with_database"]["lost"] == back["lost"]
    assert line["schema_after"] == then["schema_before"] != then["schema_after"]
    assert "came back with the database" in newcomer.type("./invoke releases").out

    newcomer.ssh(f"{PSQL} -c '{END}'")

    admit, look_into, copy, drop = [line for block in GUIDE if "ferryman_left" in block[0] for line in block]
    newcomer.ssh(admit)
    left = newcomer.ssh(f"{look_into} -XAt", given="select title from notes")
    assert "written since" in left.splitlines()
    newcomer.ssh(f"cd /root && {copy.replace('orders', 'notes')} && grep 'written since' notes.sql && rm notes.sql")
    assert drop == "runuser -u postgres -- dropdb notes_ferryman_left"  # typed at the end of this file


@pytest.mark.at_times(journey="a rollback with the database that is killed")
def test_a_rollback_with_the_database_that_is_killed_after_the_exchange_is_undone_by_the_host(
    newcomer: Newcomer, writer: Writer
) -> None:
    said = deploy(newcomer, "To be left by somebody who dies")
    writer.write("written before the kill")
    now = writer.notes()
    driver = alone(newcomer, "release_rollback", release_with_database=True, release_confirm_s=CONFIRM_S)
    told = f'tail -n 3 {JOURNAL} | grep -q \'"step": *"exchange"\''
    newcomer.ssh(f"for _ in $(seq 500); do {told} && exit; sleep 0.1; done; exit 1")
    driver.kill()
    assert newcomer.ssh(DATABASES).split() == ["notes", "notes_ferryman_left", "notes_ferryman_left_older"]
    status = newcomer.type("./invoke status").out
    assert "takes database notes along" in status
    assert "maintenance.off" not in status, "whoever hides the page lets clients write where it may be given up again"
    until = time.monotonic() + CONFIRM_S + 30
    while newcomer.ask("GET", "/version").status != 200:
        assert time.monotonic() < until, "the maintenance page is still shown"
        time.sleep(0.3)
    assert (newcomer.served(), writer.notes()) == (said["release"], now)
    assert newcomer.ssh(DATABASES).split() == ["notes", "notes_ferryman_left"]
    newcomer.type("./invoke unlock --yes --json")
    look = arbiter(newcomer, "status")
    assert (look["maintenance"], look["unfinished"], look["exchange"]) == (False, {}, {})
    assert look["live"] == look["shift"]["release_stable"] == said["release"]
    history = arbiter(newcomer, "releases")["history"]
    assert not next(each for each in history if each["release"] == said["previous"])["withdrawn"]


@pytest.mark.at_times(journey="rollbacks with the database that go wrong")
def test_an_old_release_that_does_not_start_leaves_the_new_one_on_its_own_data(
    newcomer: Newcomer, writer: Writer
) -> None:
    said = deploy(newcomer, "To be left for one that does not start")
    live, now = said["release"], writer.notes()
    launcher = f"/srv/notes/releases/{said['previous']}/run/web"
    newcomer.ssh(f"mv {launcher} /root/web && printf '#!/bin/sh\\nexit 7\\n' > {launcher} && chmod 755 {launcher}")
    answer = newcomer.type(f"{BACK} --yes", code=2)
    newcomer.ssh(f"mv /root/web {launcher}")
    assert "The database that served before is in its place again" in answer.err
    assert (newcomer.served(), writer.notes()) == (live, now)
    assert newcomer.ssh(DATABASES).split() == ["notes", "notes_ferryman_left"]
    again = newcomer.type("./invoke deploy --json").said
    assert (again["status"], newcomer.served()) == ("unchanged", live)


@pytest.mark.at_times(journey="rollbacks with the database that go wrong")
def test_what_was_left_serves_again_as_the_guide_tells(newcomer: Newcomer, writer: Writer) -> None:
    said = deploy(newcomer, "To be left, and to serve again")
    left, now = said["release"], writer.notes()
    first, named = next(block for block in GUIDE if "--to" in block[-1])
    back = newcomer.type(f"{BACK} --yes --json").said
    assert back["release"] == said["previous"]
    writer.write("written after the rollback")
    ssh = f"ssh -F .ferryman/sandbox/{newcomer.name}/ssh_config -o BatchMode=yes local1"
    for line in next(block for block in GUIDE if "maintenance.on" in block[0]):
        commit = left.rpartition("-")[2]
        newcomer.type(line.replace("prod1.example.org", "HOST").replace("ssh HOST", ssh).replace("prod", "local")
                      .replace("1a2b3c4", commit))  # fmt: skip
    assert newcomer.served().endswith(commit)
    assert writer.notes() == now
    assert newcomer.ssh(DATABASES).split() == ["notes", "notes_ferryman_given_up"]
    newcomer.ssh("cd / && runuser -u postgres -- dropdb notes_ferryman_given_up")

    # Without the database: the schemas differ.
    assert "--accept-schema" in newcomer.type(first.replace("prod", "local"), code=1).err
    release = back["release"]
    answer = newcomer.type(named.replace("prod", "local").replace("20261126T103000Z-1a2b3c4", release), code=1)
    assert "--accept-schema" in answer.err
