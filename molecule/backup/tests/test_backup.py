"""What role backup promises: what is acknowledged is there, what is damaged is seen, nothing good is ever dropped.

Requirements: BAK-1, BAK-2.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

HOME = "/srv/backups/demo"
WAL = "ferryman-backup-demo-wal.service"
DAY_S = 86400
# Writes without a pause: each line is acknowledged before the next begins.
PSQL = "runuser -u postgres -- psql -Xq notes -c"
WRITING = f'while :; do {PSQL} "insert into busy select max(n) + 1 from busy" || sleep 0.2; done'


@pytest.fixture(scope="module", autouse=True)
def _content(database: Any) -> None:
    database.sql("create table if not exists note (id int primary key, text text, at timestamptz, price money)")
    database.sql(
        "insert into note select i, md5(i::text), now(), i from generate_series(1, 5000) i on conflict do nothing"
    )
    database.sql('create table if not exists busy (n bigint); create table if not exists "odd ""name" (j json)')
    database.sql('insert into busy values (0); insert into "odd ""name" values (\'{"a": 1}\')')


@contextmanager
def writing(database: Any) -> Iterator[None]:
    database.host.check_output("systemd-run -q --unit writing bash -c %s", WRITING)
    try:
        yield
    finally:
        database.host.check_output("systemctl stop writing")


def test_every_commit_waits_until_the_archive_has_it(database: Any) -> None:
    assert database.sql("show synchronous_standby_names") == "ANY 1 (barman_receive_wal)"
    found = database.sql("select application_name, sync_state from pg_stat_replication")
    assert found == "barman_receive_wal|quorum"


def test_what_runs_by_itself_runs(archive: Any) -> None:
    assert archive.host.service(WAL).is_running
    for name in ("archive", "run-database", "drill"):
        timer = f"ferryman-backup-demo-{name}.timer"
        assert archive.host.service(timer).is_enabled
        assert archive.host.service(timer).is_running
    told = archive.sh("systemctl show -P Persistent -P RandomizedDelayUSec ferryman-backup-demo-run-database.timer")
    assert sorted(told.split()) == ["1min", "yes"]


def test_the_password_is_in_one_file_that_its_reader_alone_may_read(archive: Any) -> None:
    secret = "or the 'archiv[e]'"  # a pattern that is not found in the line that sudo logs about this search
    found = archive.host.run("grep -rlI %s /etc /var/log /srv /usr/local /run /tmp /root", secret)
    assert found.stdout.split() == ["/etc/ferryman/backup/demo/database.pass"]
    file = archive.host.file("/etc/ferryman/backup/demo/database.pass")
    assert (file.user, file.mode) == ("barman", 0o600)
    for command in ("ps -eo args", "journalctl --no-pager -o cat"):
        assert archive.host.run(f"{command} | grep -c %s", secret).stdout == "0\n"


def test_a_backup_holds_a_manifest_of_one_moment_and_passes_its_check(archive: Any, database: Any) -> None:
    with writing(database):
        record = archive.take()
    assert (record["result"], record["check"]["result"], record["check"]["findings"]) == ("taken", "passed", [])
    told = archive.manifest(record)
    assert told["exact"], "a busy server is one place of the WAL, too"
    tables = told["databases"]["notes"]["tables"]
    assert tables["public.note"]["rows"] == 5000
    assert set(tables) == {"public.note", "public.busy", 'public."odd ""name"'}
    lines = database.sql("set timezone = 'UTC'; set lc_monetary = 'C'; select md5(t::text) from note t").split()
    halves = [sum(int(line[part], 16) for line in lines) % 2**64 for part in (slice(16), slice(16, 32))]
    assert tables["public.note"]["hash"] == "".join(f"{half:016x}" for half in halves)


def test_a_backup_reads_no_faster_than_it_is_told_and_a_restore_is_not_held_back(archive: Any) -> None:
    watch = "until pgrep -af '[p]g_basebackup.*--max-rate'; do sleep 0.05; done"
    seen = archive.sh(f"{watch} & timeout 200 /usr/local/lib/ferryman/backup run --name demo; kill $! 2>/dev/null || :")
    assert "--max-rate=48828 " in f"{seen} ", "50 MB a second, in KiB"
    barman = "runuser -u barman -- /usr/local/lib/ferryman/barman/*/bin/barman -c /etc/ferryman/backup/demo.conf"
    told = archive.sh(f"{barman} show-servers database | grep bandwidth_limit: | grep -v tablespace")
    assert told.split() == ["bandwidth_limit:", "None"], "which would hold back restores, too"


def test_state_and_metrics_tell_what_is_there(archive: Any) -> None:
    state = archive.state()
    assert state["sets"]["database"]["passed"] == archive.records()[-1]["id"]
    assert (state["stream"]["running"], state["stream"]["sync"], state["stream"]["gap"]) == (True, "quorum", "")
    wrong = [(one["severity"], one["do"]) for one in state["wrong"] if one["set"] in ("", "database")]
    assert wrong == [("P3", "backup.drill --set database")]
    lines = archive.sh("cat /var/lib/ferryman/metrics/backup-demo.prom").splitlines()
    for line in ('restorable{archive="demo",set="database"} 1', 'wal_running{archive="demo"} 1'):
        assert f"ferryman_backup_{line}" in lines


# What is damaged is seen


@contextmanager
def kept(archive: Any, *paths: str) -> Iterator[None]:
    """Whatever is done to files is undone."""
    for number, path in enumerate(paths):
        archive.sh(f"cp -a {path} /run/kept-{number}")
    try:
        yield
    finally:
        for number, path in enumerate(paths):
            archive.sh(f"rm -rf {path}; mv /run/kept-{number} {path}")


def base(record: dict[str, Any]) -> str:
    return f"{HOME}/database/base/{record['engine_id']}/data"


def wal(name: str) -> str:
    return f"{HOME}/database/wals/{name[:16]}/{name}"


FLIP = "python3 -c \"f=open('{0}','r+b');f.seek({1});b=f.read(1);f.seek({1});f.write(bytes([b[0]^1]))\""
# What is damaged (by path, by a command), and what is said of each: all that one check looks at is told at once.
DAMAGE = {
    "bytes of the manifest, of the base, and of the WAL": [
        (lambda r: f"{HOME}/manifests/{r['id']}.json", FLIP.replace("{1}", "500"), "is not as it was written"),
        (lambda r: f"{base(r)}/global/pg_control", FLIP.replace("{1}", "100"), "pg_control"),
        (lambda r: wal(r["engine_facts"]["begin_wal"]), FLIP.replace("{1}", "200"), "pg_waldump"),
    ],
    "a table's file that flipped, was cut, is gone, or is one too many": [
        (lambda r: f"{base(r)}/base/1/1255", FLIP.replace("{1}", "9000"), "base/1/1255"),
        (lambda r: f"{base(r)}/base/1/1259", "truncate -s -8192 {0}", "base/1/1259"),
        (lambda r: f"{base(r)}/base/1/1249", "rm {0}", "base/1/1249"),
        (lambda r: f"{base(r)}/base/4", "touch {0}/99999", "base/4/99999"),
    ],
    "what tells of the base, and WAL that is gone": [
        (lambda r: f"{base(r)}/backup_manifest", FLIP.replace("{1}", "300"), "manifest is "),
        (lambda r: wal(r["point"]["wal"]), "rm {0}", "files of WAL are missing"),
    ],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_check_sees_what_is_damaged(archive: Any, what: str) -> None:
    record = archive.records()[-1]
    paths = [place(record) for place, _, _ in DAMAGE[what]]
    # What came the second way and waits to be archived would take the place of a file that is gone.
    with archive.quiet("archive"), kept(archive, *paths):
        for path, (_, command, _) in zip(paths, DAMAGE[what], strict=True):
            archive.sh(command.replace("{0}", path))
        done = archive.act("check")
        assert done.rc == 1, done.stdout
        assert f"{record['id']} failed" in done.stdout
        assert [said for _, _, said in DAMAGE[what] if said not in done.stdout] == [], done.stdout


def test_what_did_not_pass_is_told_until_it_is_put_right(archive: Any) -> None:
    record = archive.records()[-1]
    assert any(one["severity"] == "P1" and record["id"] in one["said"] for one in archive.state()["wrong"])
    assert archive.act("check").rc == 0
    assert not any(record["id"] in one["said"] for one in archive.state()["wrong"])


def test_a_record_that_was_changed_is_told_and_never_believed(archive: Any) -> None:
    record = archive.records()[-1]
    path = f"{HOME}/records/{record['id']}.json"
    with kept(archive, path):
        archive.sh(f'sed -i \'s/"bytes": [0-9]*/"bytes": 1/\' {path}')
        said = [one["said"] for one in archive.state()["wrong"]]
        assert any("is not as it was written" in line for line in said)
        assert "no backup was ever taken" in said


def test_an_older_archive_put_in_the_place_of_this_one_is_told(archive: Any, database: Any) -> None:
    # What runs by itself would write to the place of an archive that is being moved.
    others = [f"ferryman-backup-demo-{name}.{kind}" for name in ("archive", "collect") for kind in ("timer", "service")]
    archive.sh(f"systemctl stop {WAL} {' '.join(others)}; cp -a {HOME} /srv/older; systemctl start {WAL}")
    try:
        ended = "insert into busy values (1); select pg_walfile_name(pg_switch_wal())"
        last = [database.sql(ended) for _ in range(4)][-1]
        database.archives(last)  # else it would come beside the stream to the older one
        archive.sh(f"timeout 20 sh -c 'until [ $(ls {HOME}/database/streaming | wc -l) -ge 4 ]; do sleep 0.2; done'")
        database.host.check_output("sleep 2")
        archive.sh(f"systemctl stop {WAL}; mv {HOME} /srv/newer; mv /srv/older {HOME}")
        said = [one["said"] for one in archive.state()["wrong"]]
        assert any("an older one was put in its place" in line for line in said), said
    finally:
        archive.sh(f"if test -e /srv/newer; then rm -rf {HOME}; mv /srv/newer {HOME}; fi; rm -rf /srv/older")
        archive.sh(f"systemctl start {WAL} {' '.join(name for name in others if name.endswith('timer'))}")


# Nothing good is dropped


def whole(archive: Any) -> list[str]:
    return [one["id"] for one in archive.records() if one["result"] == "taken"]


def age(archive: Any, record: dict[str, Any], days: float) -> str:
    """Have a record tell that it is so many days old; return its new id."""
    archive.python(
        f"path = '{HOME}/records/{record['id']}.json'\ntold = json.load(open(path))\n"
        f"told['began_at'] = of.said(time.time() - {days * DAY_S})\nopen(path, 'w').write(of.written(told))"
    )
    return str(record["id"])


def test_what_the_rule_lets_go_goes_only_once_a_newer_one_has_passed(archive: Any) -> None:
    *earlier, first = archive.records()
    second = archive.take()
    for record in earlier:
        age(archive, record, 40)
    age(archive, first, 30)
    age(archive, second, 20)
    archive.sh(f"echo x >> {base(second)}/global/pg_control")
    assert archive.act("check", "--backup", second["id"]).rc == 1
    third = archive.take()
    # The damaged one may go, and the one before it not: from there alone every moment of seven days is reached.
    assert whole(archive) == [first["id"], third["id"]]
    age(archive, third, 10)
    fourth = archive.take()
    assert whole(archive) == [third["id"], fourth["id"]]
    assert archive.act("check", "--backup", "all").rc == 0


def test_where_there_is_no_room_nothing_is_written_or_dropped(archive: Any) -> None:
    before = whole(archive)
    archive.sh(f"fallocate -l $(( $(df --output=avail -B1 {HOME} | tail -1) - 60000000 )) /srv/backups/filler")
    try:
        done = archive.act("run")
        assert done.rc == 1
        assert "too little; nothing was overwritten, nothing was pruned" in done.stdout
        assert any("does not fit" in one["said"] for one in archive.state()["wrong"])
    finally:
        archive.sh("rm -f /srv/backups/filler")
    assert whole(archive) == before


def test_a_disk_that_gets_full_in_the_middle_leaves_what_was_there(archive: Any, database: Any) -> None:
    """Room was there when it began; the database serves all the while, as nobody waits for this archive now."""
    before = whole(archive)
    database.sql("alter system set synchronous_standby_names = ''")
    database.sql("select pg_reload_conf()")
    archive.sh("cp /etc/ferryman/backup/demo.json /run/settings")
    try:
        archive.python(
            "told = json.load(open('/run/settings'))\ntold['keep_free_bytes'] = -10**9\n"
            "open('/etc/ferryman/backup/demo.json', 'w').write(of.written(told))"
        )
        archive.sh(f"fallocate -l $(( $(df --output=avail -B1 {HOME} | tail -1) - 9000000 )) /srv/backups/filler")
        done = archive.act("run")
        assert done.rc == 1, done.stdout
        database.sql("insert into busy values (2)")
        assert any("commits do not wait" in one["said"] or "stream" in one["said"] for one in archive.state()["wrong"])
    finally:
        archive.sh("rm -f /srv/backups/filler; mv /run/settings /etc/ferryman/backup/demo.json")
        database.sql("alter system reset synchronous_standby_names")
        database.sql("select pg_reload_conf()")
    assert whole(archive) == before
    archive.sh(f"timeout 60 sh -c 'until systemctl is-active -q {WAL}; do sleep 0.5; done'")
    database.sql("insert into busy values (3)", seconds=60)
    assert archive.act("check", "--backup", "all").rc == 0


def test_a_source_that_is_away_is_named_and_nothing_is_dropped(archive: Any, database: Any) -> None:
    before = whole(archive)
    database.host.check_output("systemctl stop 'postgresql@*'")
    try:
        done = archive.act("run")
        assert done.rc == 1
        assert "the database postgres does not answer" in done.stdout
        assert ("P1", "nobody could say how far the stream of WAL is") in [
            (one["severity"], one["said"]) for one in archive.state()["wrong"]
        ]
    finally:
        database.host.check_output("systemctl start 'postgresql@'$(ls /etc/postgresql)'-main'")
    assert whole(archive) == before
    assert archive.records()[-1]["reason"]
    database.sql("insert into busy values (4)", seconds=60)  # the stream came back by itself
