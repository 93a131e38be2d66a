"""What is put in place: only what starts, only where there is room, and nobody keeps a way in.

Requirements: BAK-2.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

HOME = "/srv/backups/demo"
RUN = "20261126T000000Z-abcdef"


def step(database: Any, name: str, **words: Any) -> dict[str, Any]:
    given = json.dumps({"step": name, "run": RUN, **words})
    return dict(database.host.ansible("ferryman.ops.backup_place", given, check=False, become=True))


def restore(archive: Any, **words: Any) -> dict[str, Any]:
    given = json.dumps({"name": "demo", "set": "database", **words})
    return dict(archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True))


@pytest.fixture
def data(database: Any) -> str:
    return str(database.sql("show data_directory", "postgres"))


def test_a_cluster_that_does_not_start_leaves_what_served_before(database: Any, data: str) -> None:
    database.sql("create table if not exists here (n int)")
    there = f"{data}.restored-{RUN}"
    database.host.check_output(f"install -d -o postgres -g postgres -m 700 {there} && cp -p {data}/PG_VERSION {there}/")
    try:
        answer = step(database, "switch")
        assert "it did not start, what served before serves again" in answer["msg"]
        assert "global/pg_control" in answer["msg"], "the server says why"
        assert database.sql("select count(*) from here") == "0"
    finally:
        database.host.check_output(f"rm -rf {there}")


def test_what_never_came_and_what_was_never_put_in_place_is_refused(database: Any) -> None:
    assert "holds no cluster" in step(database, "switch")["msg"]
    assert "no restore was put in place here" in step(database, "back")["msg"]


def test_one_key_is_let_in_where_there_is_room_and_taken_back(database: Any, data: str) -> None:
    keys = "/var/lib/postgresql/.ssh/authorized_keys"
    database.host.check_output(
        f"install -d -o postgres -g postgres -m 700 $(dirname {keys}); echo 'ssh-ed25519 OWN somebody' > {keys}"
    )
    assert "too little; nothing was touched" in step(database, "open", bytes=10**15, public_key="ssh-ed25519 A")["msg"]
    assert not database.host.file(f"{data}.restored-{RUN}").exists
    opened = step(database, "open", bytes=1000, public_key="ssh-ed25519 A")
    assert any(key.startswith("ssh-ed25519 ") for key in opened["host_keys"])
    own, let_in = database.host.file(keys).content_string.splitlines()
    assert own == "ssh-ed25519 OWN somebody"
    assert let_in.startswith('restrict,expiry-time="20')
    step(database, "close")
    assert database.host.file(keys).content_string == "ssh-ed25519 OWN somebody\n"
    assert not database.host.file(f"{data}.restored-{RUN}").exists


def test_what_a_restore_that_was_killed_left_goes_when_the_next_one_is_let_in(database: Any, data: str) -> None:
    killed, keys = f"{data}.restored-20261101T000000Z-012345", "/var/lib/postgresql/.ssh/authorized_keys"
    database.host.check_output(
        f"install -d -o postgres {killed}/base && dd if=/dev/zero of={killed}/base/1 bs=1M count=1 status=none; "
        f"echo 'restrict ssh-ed25519 B ferryman-restore-20261101T000000Z-012345' >> {keys}"
    )
    step(database, "open", bytes=1000, public_key="ssh-ed25519 A")
    assert not database.host.file(killed).exists
    assert "012345" not in database.host.file(keys).content_string
    assert "ssh-ed25519 A" in database.host.file(keys).content_string
    step(database, "close")


CONTENT = "cd {}; find . -path ./barman_wal -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"
SENDING = "pgrep -f '[r]sync --archive.*restored-' || :"


@contextmanager
def let_in(archive: Any, database: Any) -> Iterator[dict[str, Any]]:
    """Begin a restore that the database's host lets in; give where it goes."""
    begun = restore(archive, begin=True)
    run = {"run": begun["run"]}
    opened = step(database, "open", **run, bytes=begun["bytes"], public_key=begun["public_key"])
    try:
        assert opened["takes"] == database.host.exists("rsync")
        database.host.check_output("command -v rsync || apt-get install -y -q rsync")
        port = int(database.host.check_output("sshd -T | sed -n 's/^port //p'"))
        yield {**run, "host": "db", "port": port, "host_keys": opened["host_keys"], "into": opened["into"]}
    finally:
        step(database, "close", **run)
        restore(archive, end=True)


def test_what_comes_to_the_databases_host_is_what_was_found_whole(archive: Any, database: Any) -> None:
    database.sql("drop table if exists wide, gone, later; create table gone as select 1")
    database.sql("create table wide as select n, repeat('a', 500) a from generate_series(1, 20000) n")
    archive.take()
    database.sql("update wide set a = repeat('b', 500) where n % 100 = 0; drop table gone; create table later (n int)")
    with let_in(archive, database) as away:
        told = restore(archive, away=away)["ferryman"]["restore"]
        assert (told["id"], told["result"], told["reason"]) == (away["run"], "passed", "")
        here, there = f"{HOME}/scratch/restore/data", away["into"]
        assert database.host.check_output(CONTENT.format(there)) == archive.sh(CONTENT.format(here))
        assert not database.host.file(f"{there}/barman_wal").exists
        assert not archive.host.file(f"/etc/ferryman/backup/demo/restore-{away['run']}").exists, "its key"
    database.sql("drop table wide; drop table later")


@pytest.mark.at_times(journey="a restore that does not arrive whole")
def test_what_does_not_get_there_or_is_not_whole_here_is_told_and_nothing_goes_on(archive: Any, database: Any) -> None:
    with let_in(archive, database) as away:
        assert f"db did not take {away['into']}" in restore(archive, away={**away, "port": 9})["msg"]
    control = f"{HOME}/database/base/{archive.records()[-1]['engine_id']}/data/global/pg_control"
    with let_in(archive, database) as away:
        archive.sh(f"mv {control} /run/kept")
        try:
            answer = restore(archive, away=away)
        finally:
            archive.sh(f"mv /run/kept {control}")
        assert answer["ferryman"]["restore"]["result"] == "failed"
        assert not archive.sh(SENDING)
