"""What is proven by restoring it.

Requirements: BAK-4, BAK-5.
"""

import json
from typing import Any

HOME = "/srv/backups/demo"


def drilled(archive: Any, kind: str = "database") -> tuple[int, dict[str, Any]]:
    done = archive.act("drill", "--set", kind)
    newest = archive.sh(f"ls {HOME}/drills/*-{kind}.json | tail -1")
    return done.rc, json.loads(archive.sh(f"cat {newest}"))


def test_a_drill_restores_checks_measures_and_leaves_a_signed_record(archive: Any, database: Any) -> None:
    archive.take()
    database.sql("insert into busy values (77)")  # after the backup: only the stream has it
    code, told = drilled(archive)
    assert (code, told["result"], told["reason"]) == (0, "passed", "")
    looked = [(one["name"], one["result"]) for one in told["checks"]]
    assert looked == [(name, "passed") for name in ("manifest", "acknowledged", "amcheck")]
    assert (told["rpo_s"], told["rpo_said"]) == (0.0, "everything that was acknowledged before it began is there")
    assert 0 < sum(told["parts_s"].values()) <= told["rto_s"]
    path = f"{HOME}/drills/{told['id']}.json"
    archive.sh('echo "demo $(cat /etc/ferryman/backup/demo/drill_ed25519.pub)" > /run/signers')
    verify = f"ssh-keygen -Y verify -f /run/signers -I demo -n ferryman-drill -s {path}.sig"
    assert archive.host.run(f"{verify} < {path}").rc == 0
    assert archive.host.run(f"! (sed s/passed/Passed/ {path} | {verify})").rc == 0
    assert not archive.host.file(f"{HOME}/scratch/drill").exists
    assert archive.host.run("pgrep -u barman postgres").rc == 1
    assert "backup.drill --set database" not in [one["do"] for one in archive.state()["wrong"]]


def test_a_drill_of_another_content_fails_and_is_told(archive: Any) -> None:
    """The manifest is that of a database with one row more: what came back is not what was there."""
    record = archive.records()[-1]
    archive.sh(f"cp -a {HOME}/records /run/records && cp -a {HOME}/manifests /run/manifests")
    archive.python(
        f"import hashlib\nname = '{record['id']}'\npath = f'{HOME}/manifests/{{name}}.json'\n"
        "told = json.load(open(path))\n"
        "told['databases']['notes']['tables']['public.note']['rows'] += 1\ntext = of.written(told)\n"
        "open(path, 'w').write(text)\n"
        f"record = json.load(open(f'{HOME}/records/{{name}}.json'))\n"
        "record['manifest'] = hashlib.sha256(text.encode()).hexdigest()\n"
        f"open(f'{HOME}/records/{{name}}.json', 'w').write(of.written(record))"
    )
    try:
        code, told = drilled(archive)
        assert (code, told["result"]) == (1, "failed")
        assert told["checks"][0]["said"] == "notes: table public.note has other rows: 5000 for 5001"
        assert any(one["said"].startswith("the last drill failed: manifest: notes") for one in archive.state()["wrong"])
    finally:
        archive.sh(f"for d in records manifests; do rm -rf {HOME}/$d; mv /run/$d {HOME}/$d; done")


def test_a_drill_fails_where_what_was_acknowledged_last_is_not_there(archive: Any, database: Any) -> None:
    """Somebody let commits wait no more while the archive was away, as the guide says, and left it at that."""
    archive.sh("systemctl stop ferryman-backup-demo-wal.service")
    try:
        database.sql("alter system set synchronous_standby_names = ''", "postgres")
        database.sql("select pg_reload_conf()", "postgres")
        database.sql("insert into busy values (78)", seconds=60)
        code, told = drilled(archive)
    finally:
        archive.sh("systemctl start ferryman-backup-demo-wal.service")
        database.sql("alter system reset synchronous_standby_names", "postgres")
        database.sql("select pg_reload_conf()", "postgres")
    assert told["reason"] == ""
    failed = [one["said"] for one in told["checks"] if one["result"] != "passed"]
    assert (code, told["result"], failed) == (1, "failed", [told["rpo_said"]])
    assert "though commits are to wait for the archive (backup_synchronous)" in told["rpo_said"]
    assert told["rpo_s"] > 0
    database.sql("insert into busy values (79)", seconds=60)
    code, told = drilled(archive)
    assert (code, told["rpo_s"]) == (0, 0.0)


def test_all_that_was_acknowledged_is_there_after_the_primary_is_killed_with_its_disk(
    archive: Any, database: Any
) -> None:
    """kill -9 under writes, and the disk with it: every number that was acknowledged is in what is restored."""
    database.sql("create table if not exists promise (n int primary key)")
    writing = (
        'n=0; while n=$((n+1)); runuser -u postgres -- psql -Xqc "insert into promise values ($n)" notes; '
        "do echo $n > /run/acknowledged; done"
    )
    database.host.check_output("rm -f /run/acknowledged; systemd-run -q --unit promising bash -c %s", writing)
    database.host.check_output("timeout 30 sh -c 'until test \"$(cat /run/acknowledged)\" -gt 20; do sleep 0.1; done'")
    data = database.sql("show data_directory", "postgres")
    pid = database.host.check_output(f"head -1 {data}/postmaster.pid")
    kill = f"systemctl mask --runtime -q 'postgresql@*'; kill -9 {pid} $(pgrep -P {pid}); mv {data} {data}.lost"
    database.host.check_output("sh -c %s", kill)
    try:
        database.host.check_output("systemctl stop promising || :")
        acknowledged = int(database.host.check_output("cat /run/acknowledged"))
        archive.sh("cat > /run/look.py <<'END'\n" + LOOK + "\nEND")
        there = int(archive.sh("python3 /run/look.py"))
        assert there >= acknowledged
        _, told = drilled(archive)
        assert told["rpo_s"] is None
        assert told["rpo_said"].startswith("nobody knows: the source was away")
    finally:
        back = f"mv {data}.lost {data}; rm -f {data}/postmaster.pid; systemctl unmask --runtime -q 'postgresql@*'"
        database.host.check_output("sh -c %s", back)
        database.host.check_output("sh -c %s", "systemctl start postgresql@$(ls /etc/postgresql)-main")
    database.sql("insert into promise values (-1)", seconds=60)


LOOK = """
import sys
sys.path.insert(0, "/usr/local/lib/ferryman/python")
from contextlib import closing
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, job, postgres, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.scratch import Scratch

own = archive.Archive("demo")
works = job.engine(own, "database")
place = Scratch("/srv/backups/demo/scratch/look", own.settings["database"]["programs"])
try:
    works.restore(records.newest(own.records(), "database"), {"latest": True}, place.make())
    place.start()
    place.wait_for("select not pg_is_in_recovery()")
    with closing(postgres.Session(place.conninfo, "notes")) as session:
        print(session.ask("select max(n) from public.promise"))
finally:
    place.end()
"""
