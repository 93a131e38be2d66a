"""A source that has begun another history: the stream follows, nothing acknowledged is missing, and all is told.

Requirements: BAK-1.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

HOME = "/srv/backups/demo"
WAL = "ferryman-backup-demo-wal.service"
CLUSTER = "'postgresql@'$(ls /etc/postgresql)'-main'"
# As after a restore by hand, or a promotion: PostgreSQL ends recovery at once, and begins a history of its own.
PROMOTED = """touch {data}/recovery.signal && chown postgres: {data}/recovery.signal
echo "restore_command = 'false'" >> {data}/postgresql.auto.conf
"""


@pytest.fixture(scope="module", autouse=True)
def _quiet(archive: Any, database: Any) -> Iterator[None]:
    """What runs by itself would take a backup, or archive, in the middle of what is looked at; a table to write to."""
    database.sql("drop table if exists way; create table way (text text)")
    with archive.quiet("archive", "collect", "run-database"):
        yield


def line(database: Any) -> int:
    return int(database.sql("select pg_walfile_name(pg_current_wal_lsn())")[:8], 16)


def told(archive: Any) -> list[tuple[str, str]]:
    """Return what status says of histories."""
    return [(one["said"], one["do"]) for one in archive.state()["wrong"] if "timeline" in one["said"]]


def restored(archive: Any, **words: Any) -> dict[str, Any]:
    given = json.dumps({"name": "demo", "set": "database", "to": "latest", **words})
    return dict(archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True))


@pytest.mark.at_times(journey="an archive whose source has another history")
def test_a_source_that_was_set_back_by_hand_is_followed_into_its_own_history(archive: Any, database: Any) -> None:
    """It goes back some files of WAL before what was streamed, which would keep a receiver from starting."""
    data, before = database.sql("show data_directory"), line(database)
    backup = archive.take()
    database.sql("insert into way values ('kept')")
    database.host.check_output(f"systemctl stop {CLUSTER}; cp -a {data} {data}.kept; systemctl start {CLUSTER}")
    for _ in range(2):
        database.sql("insert into way values ('left'); select pg_switch_wal()", seconds=60)
    archive.sh(f"systemctl stop {WAL}")
    database.host.check_output(
        f"systemctl stop {CLUSTER}; rm -rf {data}; mv {data}.kept {data}; rm -rf {data}/pg_replslot/*"
    )
    database.host.check_output(f"{PROMOTED.format(data=data)} systemctl start {CLUSTER}")
    archive.sh(f"systemctl start {WAL}")
    database.sql("insert into way values ('since')", seconds=60)  # it is acknowledged: the stream is there again
    assert line(database) > before
    aside = archive.sh(f"ls $(ls -d {HOME}/database/streamed-* | tail -1)").split()
    assert [name[:8] for name in aside if name.endswith(".partial")] == [f"{before:08X}"]
    ((said, do),) = told(archive)
    assert said.endswith("what was written since is restored from an older backup alone")
    assert do == "backup.run --set database"
    found = restored(archive)
    assert found["ferryman"]["restore"]["backup"] == backup["id"], found
    assert f"it goes on to {line(database)}" in found["ferryman"]["restore"]["note"]
    asked = f"cd / && {found['ferryman']['restore']['look'].removeprefix('sudo ')} -XAt -d notes"
    assert archive.sh(f"{asked} -c 'select distinct text from way order by 1'").split() == ["kept", "since"]
    restored(archive, end=True)
    drill = archive.act("drill", "--set", "database")
    assert drill.rc == 0, drill.stdout
    assert "acknowledged passed" in drill.stdout


@pytest.mark.at_times(journey="an archive whose source has another history")
def test_what_no_backup_leads_to_is_told_and_refused_until_one_is_taken(archive: Any, database: Any) -> None:
    """A file of WAL between the last backup and now is gone: what comes before it is not called the last."""
    name = database.sql("select pg_walfile_name(pg_current_wal_lsn())")
    database.sql("select pg_switch_wal()")
    database.sql("insert into way values ('after')", seconds=60)
    path = f"{HOME}/database/wals/{name[:16]}/{name}"
    database.archives(name)  # else it would come once more
    archive.sh(f"until /usr/local/lib/ferryman/backup archive --name demo && test -e {path}; do sleep 1; done")
    archive.sh(f"mv {path} /run/gone")
    try:
        ((said, _),) = told(archive)
        gone = f"1 files of WAL are missing between it and what was streamed last, the first is {name}"
        assert f"cannot be restored ({gone})" in said
        refused = restored(archive)
        assert f"the first is {name}. `backup.run --set database` begins anew" in refused["msg"]
        assert "no backup leads to the last that was streamed" in archive.act("drill", "--set", "database").stdout
        archive.take()
        assert told(archive) == []
    finally:
        archive.sh(f"mv /run/gone {path}")


def test_another_server_is_not_archived_in_the_place_of_this_one(archive: Any, database: Any) -> None:
    own, before = f"{HOME}/database/identity.json", archive.sh(f"ls {HOME}/database/streaming")
    archive.sh(
        f"systemctl stop {WAL}; cp -a {own} /run/identity; sed -i 's/[0-9]\\{{19\\}}/7000000000000000000/' {own}"
    )
    try:
        done = archive.act("stream")
        assert done.rc == 1
        assert "another database server (system identifier" in done.stderr
        assert "than the one that is archived here (7000000000000000000); nothing was touched" in done.stderr
        assert archive.sh(f"ls {HOME}/database/streaming") == before
    finally:
        archive.sh(f"mv /run/identity {own}; systemctl start {WAL}")
    database.sql("insert into way values ('again')", seconds=60)
