"""What is put in place: only what starts, only where there is room, and nobody keeps a way in."""

import json
from typing import Any

import pytest

RUN = "20261126T000000Z-abcdef"


def step(database: Any, name: str, **words: Any) -> dict[str, Any]:
    given = json.dumps({"step": name, "run": RUN, **words})
    return dict(database.host.ansible("ferryman.ops.backup_place", given, check=False, become=True))


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
