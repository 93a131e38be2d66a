"""The database's archive is encrypted where it lay in clear: nothing of a row is on the disk, and nothing is lost.

Requirements: BAK-1.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytestmark = pytest.mark.at_times(journey="an archive that is encrypted")
HOME = "/srv/backups/demo"
KEPT, INSIDE = f"{HOME}/database.sealed", f"{HOME}/database"
WAL, OPEN = "ferryman-backup-demo-wal.service", "ferryman-backup-demo-open.service"
PASSPHRASE = "of the archive's disk, and 'odd'"
ROW = "a row that somebody planted"
# The disk as who takes it away has it: without what is shown on it.
DISK = "mkdir -p /mnt/disk && mount --bind /srv/backups /mnt/disk && trap 'umount /mnt/disk' EXIT"


def on_the_disk(archive: Any) -> list[str]:
    """Return the files of the disk in which the row is to be read."""
    return str(archive.sh(f"{DISK}; grep -rlaF '{ROW}' /mnt/disk || test $? = 1")).split()


def restored(archive: Any, **words: Any) -> dict[str, Any]:
    given = json.dumps({"name": "demo", "set": "database", **words})
    return dict(archive.host.ansible("ferryman.ops.backup_restore", given, check=False, become=True))


def checked(archive: Any) -> dict[str, str]:
    """Check every backup of the database; return by its name what was found."""
    lines = archive.act("check", "--backup", "all").stdout.splitlines()
    return {name: found for name, _, found in (line.partition(" ") for line in lines)}


@pytest.fixture(scope="module", autouse=True)
def in_clear(archive: Any, database: Any, play: Any) -> dict[str, str]:
    """An archive with a backup that was taken in clear, and what came since; what checks of it said before it was
    encrypted: of those before a gap, that WAL is missing."""
    database.sql("drop table if exists planted; create table planted (text text)")
    database.sql(f"insert into planted select '{ROW}' from generate_series(1, 100)")
    checked(archive)  # what fails may be pruned by the next backup: that has it done now
    record = archive.take()
    before = checked(archive)
    assert before[record["id"]] == "passed"
    found = on_the_disk(archive)
    assert {path.split("/")[4] for path in found} == {"database"}, found
    assert [one["encrypted"] for one in archive.state()["backups"] if one["set"] == "database"][-1] is False
    archive.sh("mount -o remount,size=3000m /srv/backups; fallocate -l $(df --output=avail -B1 /srv/backups | tail -1) "
               f"{HOME}/ballast")  # fmt: skip
    for passphrase, said in (
        ("too short", "backup_database_passphrase: give it at least 20 characters"),
        (PASSPHRASE, "too little; what lies in clear is copied before it is removed, and nothing was touched"),
    ):
        assert said in " ".join(play("archive.yml", passphrase).stderr.split())
    assert not archive.host.file(KEPT).exists
    archive.sh(f"rm {HOME}/ballast")
    done = play("archive.yml", PASSPHRASE)
    assert done.returncode == 0, done.stdout
    return before


def test_nothing_of_a_row_is_on_the_disk_whatever_is_done(archive: Any, database: Any) -> None:
    """What lay there in clear, what streams, a new backup, a drill of it, and what a restore leaves to be looked at."""
    database.sql(f"insert into planted values ('{ROW}')")
    record = archive.take()
    assert archive.act("drill", "--set", "database").rc == 0
    look = restored(archive, to="latest")["ferryman"]["restore"]["look"].removeprefix("sudo ")
    try:
        assert archive.sh(f"cd / && {look} -XAt -d notes -c 'select count(*) from planted'") == "101"
        assert on_the_disk(archive) == []
        base = f"{INSIDE}/base/{record['engine_id']}"
        assert archive.sh(f"grep -rlaF '{ROW}' {base} {INSIDE}/scratch | wc -l") != "0"
    finally:
        restored(archive, end=True)
    assert not [one for one in archive.state()["backups"] if not one["encrypted"]]


def test_what_was_taken_in_clear_is_still_there_and_as_it_was_written(archive: Any, in_clear: dict[str, str]) -> None:
    after = checked(archive)
    assert {name: after.pop(name, "gone") for name in in_clear} == in_clear
    assert set(after.values()) <= {"passed"}
    assert not archive.host.file(f"{INSIDE}.clear").exists


def test_once_more_changes_nothing_and_another_passphrase_or_none_is_refused(archive: Any, play: Any) -> None:
    written = "sha256sum /etc/ferryman/backup/* 2>/dev/null; ls -l /etc/systemd/system; ls -l " + HOME
    before = archive.sh(written)
    again = play("archive.yml", PASSPHRASE)
    assert re.search(r"host +: ok=\d+ +changed=0 ", again.stdout), again.stdout
    for other, said in (
        ("of somebody who is in a hurry", f"backup_database_passphrase does not open {KEPT}, so nothing was written"),
        ("", f"{KEPT} is encrypted, so it is wanted"),
    ):
        refused = play("archive.yml", other)
        assert refused.returncode == 2, refused.stdout
        assert said in " ".join((refused.stdout + refused.stderr).split())
    assert archive.sh(written) == before
    file = archive.host.file("/etc/ferryman/backup/demo.passphrase")
    assert (file.user, file.mode) == ("root", 0o600)
    assert archive.host.run("ps -eo args | grep -c %s", PASSPHRASE[:15] + "[s]").stdout == "0\n"


def test_while_it_is_not_open_nothing_is_written_beside_it_and_it_is_told(archive: Any, database: Any) -> None:
    archive.sh(f"systemctl stop ferryman-backup-demo-archive.timer {WAL} {OPEN}")
    try:
        done = archive.act("run")
        assert (done.rc, done.stdout) == (1, "")
        assert f"{KEPT} is encrypted and not open: `systemctl restart {OPEN}`" in done.stderr
        assert archive.act("stream").rc == 1
        assert archive.host.run(f"runuser -u barman -- touch {INSIDE}/beside").rc == 1
        assert archive.sh(f"ls -A {INSIDE}") == ""
        (wrong,) = (one for one in archive.state()["wrong"] if "not open" in one["said"])
        assert (wrong["severity"], wrong["do"]) == ("P1", "provision")
    finally:
        archive.sh(f"systemctl start ferryman-backup-demo-archive.timer {WAL}")  # which has it opened
    database.sql("insert into planted values ('since')", seconds=60)


def test_where_what_shows_it_is_killed_both_come_back_and_nothing_acknowledged_is_lost(
    archive: Any, database: Any
) -> None:
    database.sql("insert into planted values ('acknowledged')")
    archive.sh(f"systemctl kill --signal=KILL {OPEN}")
    database.sql("insert into planted values ('afterwards')", seconds=100)
    assert archive.act("drill", "--set", "database").rc == 0


FLIP = "python3 -c \"f=open('{0}','r+b');f.seek({1});b=f.read(1);f.seek({1});f.write(bytes([b[0]^1]))\""


def test_a_byte_that_flipped_below_is_seen_by_a_check(archive: Any) -> None:
    path = f"base/{archive.records()[-1]['engine_id']}/data/base/1/1255"
    archive.sh(f"cp -a {KEPT}/{path} /run/kept; {FLIP.format(f'{KEPT}/{path}', 9000)}")
    try:
        done = archive.act("check")
        assert done.rc == 1, done.stdout
        assert "base/1/1255" in done.stdout
    finally:
        archive.sh(f"cat /run/kept > {KEPT}/{path}")
    assert archive.act("check").rc == 0


@contextmanager
def paper(archive: Any) -> Iterator[str]:
    given = json.dumps({"name": "demo"})
    told = archive.host.ansible("ferryman.ops.backup_paper", given, check=False, become=True)
    try:
        yield archive.sh(f"cat {told['path']}")
    finally:
        archive.sh(f"rm {told['path']}")


def typed(text: str) -> list[str]:
    """Return the blocks that are to be typed to open the database's archive, in their order."""
    how = text[text.index("HOW TO OPEN THE DATABASE'S ARCHIVE") : text.index("PASSPHRASE of every key of files")]
    return ["".join(lines) for lines in re.findall(r"\n\n((?: {4}.*\n)+)", how)]


# Another machine, as far as one host can be one: a copy of the disk, settings of nobody.
GONE = """cd /srv/by-hand; runuser -u postgres -- /usr/lib/postgresql/{version}/bin/pg_ctl -D restored -w -s stop
cd /; umount /srv/by-hand/opened; rm -rf /srv/by-hand /srv/theirs
"""
BY_HAND = f"""set -e
cp -a {KEPT} /srv/theirs && {{gone}}
mkdir -p /srv/by-hand && cd /srv/by-hand && mkdir opened
echo 'max_connections = 1000' > main.conf && echo 'local all all trust' > hba.conf
read -r key
echo "$key" | ( {{opening}} ) > /dev/null 2>&1
{{rest}}
own="-c config_file=$PWD/main.conf -c hba_file=$PWD/hba.conf -c listen_addresses="
own="$own -c unix_socket_directories=$PWD/restored"
runuser -u postgres -- /usr/lib/postgresql/{{version}}/bin/pg_ctl -D restored -w -s -l restored/log -o "$own" start ||
  {{{{ cat restored/log >&2; exit 1; }}}}
asked() {{{{ runuser -u postgres -- psql -h /srv/by-hand/restored -XAt -d "$1" -c "$2"; }}}}
export -f asked
timeout 60 bash -c 'until asked postgres "select not pg_is_in_recovery()" | grep -q t; do sleep 0.2; done'
"""


@pytest.mark.parametrize("lost", [False, True])
def test_a_backup_comes_back_with_nothing_but_the_paper_and_the_disk(
    archive: Any, database: Any, *, lost: bool
) -> None:
    """By the passphrase, or, where the file of keys is lost, by the master key; PostgreSQL recovers to the last."""
    database.sql(f"insert into planted values ('{lost}')")
    backup, version = archive.records()[-1]["engine_id"], database.sql("show server_version_num")[:2]
    with paper(archive) as text:
        (secret,) = re.findall(r"without them: >(.*)<\n", text[text.index("SET database") :])
        (master,) = re.findall(r"^master key: (\S+)$", text, re.MULTILINE)
        by_passphrase, by_master, rest = typed(text)
    assert secret == PASSPHRASE
    opening = (by_master if lost else by_passphrase.split("\n", 1)[1]).replace("DIRECTORY", "/srv/theirs")
    gone = "rm /srv/theirs/gocryptfs.conf" if lost else ":"
    script = BY_HAND.format(gone=gone, opening=opening.strip(), rest=rest.replace("BACKUP", backup), version=version)
    script += f"asked notes \"select text from planted where text = '{lost}'\"\n"
    try:
        told = archive.host.run("echo %s | bash -c %s", master if lost else secret, script)
        assert told.rc == 0, told.stdout + told.stderr
        assert told.stdout.split()[-1] == str(lost)
    finally:
        archive.host.run("bash -c %s", GONE.format(version=version))


BUSY = f"""cd {INSIDE} && install -d -o barman -g barman busy && trap 'rm -rf {INSIDE}/busy' EXIT
for n in 1 2 3; do
  runuser -u barman -- sh -ec 'for i in $(seq 300); do : > busy/'$n'-$i; done' & waiting="$waiting $!"
done
for i in $(seq 300); do touch busy/root-$i || exit 1; done
for one in $waiting; do wait $one || exit 1; done
find busy -type f -printf '%u\\n' | sort | uniq -c
"""


def test_files_that_several_make_at_once_all_belong_to_who_owns_the_archive(archive: Any) -> None:
    """Shown by root, gocryptfs gave some of them to root, and the stream could not open its own."""
    assert archive.sh(BUSY).split() == ["1200", "barman"]
