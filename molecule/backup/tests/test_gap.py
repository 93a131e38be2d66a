"""A stream that was cut off: what it did not get comes beside it, else that is told until the next backup.

Requirements: BAK-1.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

HOME = "/srv/backups/demo"
WAL = "ferryman-backup-demo-wal.service"
AT_TIMES = pytest.mark.at_times(journey="a stream that is cut off")
KEYS = "/var/lib/barman/.ssh/authorized_keys"
NOW = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


@pytest.fixture(scope="module", autouse=True)
def _quiet(archive: Any, database: Any) -> Iterator[None]:
    """What runs by itself would take a backup, or archive, in the middle of what is looked at."""
    with archive.quiet("archive", "collect", "run-database"):
        database.sql("drop table if exists cut; create table cut (text text)")
        yield


@contextmanager
def setting(database: Any, name: str, value: str) -> Iterator[None]:
    """Say something over what is provisioned, as the guide does, and take it back."""
    database.sql(f"alter system set {name} = '{value}'")
    database.sql("select pg_reload_conf()")
    try:
        yield
    finally:
        database.sql(f"alter system reset {name}")
        database.sql("select pg_reload_conf()")


def ended(database: Any, text: str) -> str:
    """Write a row, and end the file of WAL in which it is; return that file."""
    name = database.sql(f"insert into cut values ('{text}'); select pg_walfile_name(pg_current_wal_insert_lsn())")
    database.sql("select pg_switch_wal()")
    return str(name)


@contextmanager
def cut_off(archive: Any, database: Any) -> Iterator[None]:
    """What is written here is given up by the source before the stream is there again: that held back too much."""
    with setting(database, "synchronous_standby_names", ""):
        archive.sh(f"systemctl stop {WAL}")
        try:
            yield
            given_up(database, ended(database, "the last of it"))
        finally:
            archive.sh(f"systemctl start {WAL}")
    database.sql("insert into cut values ('afterwards')", seconds=60)  # it is acknowledged: the stream is there again


def given_up(database: Any, name: str) -> None:
    """Have the source drop its WAL up to a file."""
    database.archives(name)
    with setting(database, "max_slot_wal_keep_size", "16MB"):
        database.until("select setting = '16' from pg_settings where name = 'max_slot_wal_keep_size'")
        database.sql("checkpoint")
    assert database.sql("select wal_status from pg_replication_slots") == "lost"
    older = f"select count(*) from pg_ls_waldir() where name <= '{name}' and name ~ '^{name[:8]}.{{16}}$'"
    assert database.sql(older) == "0"


def missing(archive: Any) -> list[tuple[str, str]]:
    return [(one["severity"], one["do"]) for one in archive.state()["wrong"] if "WAL is missing" in one["said"]]


def test_the_server_sends_its_files_and_says_so(archive: Any, database: Any) -> None:
    database.archives(ended(database, "sent"))
    beside = archive.state()["stream"]["beside"]
    assert (beside["on"], beside["failing"], beside["waiting"], beside["refused"]) == (True, False, 0, [])
    assert 'ferryman_backup_wal_archive_running{archive="demo"} 1' in archive.sh(
        "cat /var/lib/ferryman/metrics/backup-demo.prom"
    )


def test_the_key_of_the_database_may_do_nothing_else_there(archive: Any, database: Any) -> None:
    told = json.loads(database.host.check_output("cat /etc/ferryman/backup/demo.wal.json"))
    own = "/etc/ferryman/backup/demo.wal"
    ssh = f"ssh -i {own}/key -o UserKnownHostsFile={own}/known_hosts -o BatchMode=yes -p {told['port']}"
    there = f"{told['user']}@{told['address']}"
    secret = "/etc/ferryman/backup/demo/database.pass"
    for words in (f"{there} id", f"{there} cat {secret}", f"-W 127.0.0.1:{told['port']} {there}"):
        done = database.host.run(f"runuser -u postgres -- {ssh} {words} </dev/null || exit 1")
        assert (done.rc, [each for each in ("uid=", "archive", "SSH-") if each in done.stdout]) == (1, []), done.stdout
    (line,) = archive.sh(f"cat {KEYS}").splitlines()
    assert line.startswith('command="/usr/local/lib/ferryman/backup put-wal --name demo",restrict ssh-ed25519 ')
    assert database.host.file(f"{own}/key").mode == 0o600
    assert database.host.file(f"{own}/key").user == "postgres"


@AT_TIMES
def test_what_a_stream_that_was_away_too_long_did_not_get_is_restored_to_a_moment_in_it(
    archive: Any, database: Any
) -> None:
    archive.take()
    with cut_off(archive, database):
        ended(database, "kept")
        moment = database.sql(NOW)
        ended(database, "lost")
    assert missing(archive) == []
    given = json.dumps({"name": "demo", "set": "database", "to": moment})
    found = archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True)
    assert "ferryman" in found, found
    asked = f"cd / && {found['ferryman']['restore']['look'].removeprefix('sudo ')} -XAt -d notes"
    there = archive.sh(f"{asked} -c 'select text from cut'").split()
    assert ("kept" in there, "lost" in there) == (True, False)
    given = json.dumps({"name": "demo", "set": "database", "end": True})
    archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True)
    assert archive.act("drill", "--set", "database").rc == 0


@AT_TIMES
def test_without_the_second_way_the_stream_goes_on_and_what_is_missing_is_told_until_the_next_backup(
    archive: Any, database: Any
) -> None:
    """By the guide's line, with which each file counts as sent."""
    with setting(database, "archive_command", "/bin/true"):
        with cut_off(archive, database):
            ended(database, "gone")
        assert missing(archive) == [("P1", "backup.run --set database")]
        wrong = [one["said"] for one in archive.state()["wrong"] if one["severity"] == "P2"]
        assert "the source sends no files of WAL beside the stream, as backup_wal_archive says that it does" in wrong
        before = archive.records()[-1]["id"]
        archive.take()
        assert missing(archive) == []
    done = archive.act("check", "--backup", before)
    assert (done.rc, done.stdout.split()[:2]) == (1, [before, "point"])
    assert "after its point 1 files of WAL are missing" in done.stdout
    given = json.dumps({"name": "demo", "set": "database", "to": before})
    found = archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True)
    assert found["ferryman"]["restore"]["result"] == "passed", found
    given = json.dumps({"name": "demo", "set": "database", "end": True})
    archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True)


@AT_TIMES
def test_files_that_nobody_takes_keep_no_database_from_serving_and_come_later_or_are_let_go(
    archive: Any, database: Any
) -> None:
    archive.sh(f"mv {KEYS} {KEYS}.away")
    settings = "/etc/ferryman/backup/demo.wal.json"
    try:
        first = ended(database, "waits")
        database.until(f"select last_failed_wal >= '{first}' from pg_stat_archiver")
        database.sql("insert into cut values ('the next file has begun')")
        beside = archive.state()["stream"]["beside"]
        assert (beside["failing"], beside["waiting"] > 0) == (True, True)
        database.host.check_output(f'cp -p {settings} /run/kept; sed -i \'s/"1GB"/"20MB"/\' {settings}')
        ended(database, "lets go")
        database.archives(first)  # more than 20 MB wait: the oldest is let go
    finally:
        archive.sh(f"mv {KEYS}.away {KEYS}")
        database.host.check_output(f"if test -e /run/kept; then mv /run/kept {settings}; fi")
    database.archives(ended(database, "comes"))
    beside = archive.state()["stream"]["beside"]
    assert (beside["failing"], beside["waiting"]) == (False, 0)
    assert missing(archive) == []
