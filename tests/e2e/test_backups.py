"""Backups as a team has them: two hosts, the guide's commands, and the row that is there and the one that is not.

Requirements: BAK-1, BAK-3, BAK-4.
"""

import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import histories, prober, typing_in
from tests.support import site as sites
from tests.support.by_hand import Hands, block
from tests.support.driving import READY_S
from tests.support.pages import blocks
from tests.support.planted import CODE, Watch, holding

from ferryman import paths
from ferryman.sandbox import hosts, inventory
from ferryman.sandbox.model import Sandbox
from ferryman.sandbox.ports import free_port

PAGE = paths.CHECKOUT / "docs" / "guides" / "backups.md"
FILES = paths.CHECKOUT / "docs" / "guides" / "backups-of-files.md"
REFRESH = paths.CHECKOUT / "docs" / "guides" / "refresh.md"
ARCHIVE = "archive1"
MEDIA = "/srv/tiny-dev/shared"
SECRETS = ("vault_backup_database_password", "vault_backup_passphrase")
STAGING = "staging"
PASSWORD = "of the application"
PLACED = ("backup.restore", "--into", "place", "--yes")
CHANCE = random.Random(int(os.environ.get("FERRYMAN_SEED", "20261128")))
KILLED = pytest.mark.at_times(journey="a restore that is killed")
APART = """
import socket, sys, tempfile, threading
from pathlib import Path
sys.path.insert(0, "/usr/local/lib/ferryman/host.pyz")
from ansible_collections.ferryman.ops.plugins.module_utils.release.relay import Network

place = Path(tempfile.mkdtemp())
server = socket.socket(socket.AF_UNIX)
server.bind(str(place / "restored"))
server.listen()

def serve():
    while True:
        with server.accept()[0] as client:
            if client.recv(1):
                client.sendall(b"restored")

threading.Thread(target=serve, daemon=True).start()
with Network(place / "restored", 5432, place):
    for host in ("db.example.org", "203.0.113.7", "127.0.0.1", "2001:db8::7", "localhost"):
        with socket.create_connection((host, 5432), 5) as client:
            client.sendall(b"?")
            print(f"{host}:{client.recv(99).decode()}")
    try:
        socket.create_connection(("203.0.113.7", 25), 5)
    except OSError as error:
        print(f"203.0.113.7:25:{type(error).__name__}")
"""
PEOPLE = """
create table person (id int primary key, email text, remark text);
insert into person
  select n, 'ada' || n || '@example.org', 'write to ada' || n || '@example.org' from generate_series(1, 50) n;
"""


def sandbox_of_the_guide(*, archive: str, port: int) -> dict[str, Any]:
    """Return the files that the guide names for a sandbox, with this one's names and port."""
    ours = {"backup1": archive, "local1": sites.HOST, "2224": str(port)}
    files = {}
    for told in blocks(PAGE, "yaml"):
        if told.file.startswith("inventories/local/"):
            text = told.text
            for theirs, mine in ours.items():
                text = text.replace(theirs, mine)
            files[Path(told.file).name] = yaml.safe_load(text)
    return files


class Pair:
    """A site whose database has an archive host; `first` is what the setup said, `paper` what it wrote."""

    first: dict[str, Any]
    paper: str

    def __init__(self, root: Path) -> None:
        self.site = sites.lay_out(root, f"e2e-backups-{os.getpid()}")
        port, directory = free_port(), root / "inventories" / sites.ENV
        tree = yaml.safe_load((directory / "hosts.yml").read_text())
        groups = tree["all"]["children"]
        groups["db"] = {"hosts": {sites.HOST: {}}}
        told = sandbox_of_the_guide(archive=ARCHIVE, port=port)
        groups["backup"] = told["hosts.yml"]["all"]["children"]["backup"]
        (directory / "hosts.yml").write_text(yaml.safe_dump(tree))
        values: dict[str, dict[str, Any]] = {
            "host": {"host_shared": True},
            "apps": {"apps": {"tiny": {
                "repository": "tiny", "domains": ["tiny.localhost"],
                "database": {"name": "tiny", "owner": "tiny", "password": PASSWORD},
                "verify_writes": ["drill"],
            }}},
            "backup": told["backup.yml"] | {
                "backup_synchronous": True,
            },
        }  # fmt: skip
        for file, content in values.items():
            (directory / "group_vars" / "all" / f"{file}.yml").write_text(yaml.safe_dump(content))
        self.sandbox = Sandbox(self.site.name, root / ".ferryman/sandbox" / self.site.name,
                               tuple(inventory.from_tree(tree)))  # fmt: skip

    def on(self, host: str, script: str, *, binary: bytes | None = None, seconds: float = 120) -> bytes:
        """Run a script as root on a host."""
        argv = ["ssh", "-F", str(self.sandbox.directory / "ssh_config"), "-o", "BatchMode=yes"]
        argv += [host, f"sudo bash -c {shlex.quote(script)}"]
        done = subprocess.run(argv, check=False, capture_output=True, timeout=seconds, input=binary or b"")
        assert done.returncode == 0, f"{script}\n{done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout

    def sql(self, statements: str, database: str = "tiny") -> str:
        words = f"timeout 30 runuser -u postgres -- psql -XAtq -d {database} -c {shlex.quote(statements)}"
        return self.on(sites.HOST, f"cd / && {words}").decode().strip()

    def command(self, *words: str, code: int = 0, seconds: float = 300) -> dict[str, Any]:
        environment = () if "--env" in words else ("--env", sites.ENV)
        answer = self.site.begin(*words, *environment, "--json").wait(seconds)
        assert answer.code == code, str(answer)
        return dict(answer.said)

    def asking(self) -> histories.Version:
        """Have a table in the database, and return a version whose steps ask for what is in it, and write there."""
        self.sql("create table shown (text text); insert into shown values ('ours'); grant all on shown to tiny")
        sql = {"asks": "select text from shown", "writes": "insert into shown values ('of a drill') returning text"}
        return histories.Version("asks", sql, description={
            "env": {"PGHOST": "localhost", "PGUSER": "tiny", "PGDATABASE": "tiny"}, "secret_env": ["PGPASSWORD"],
            "verify": [
                {"name": "what is shown", "path": "/rows", "expect": {"json": {"rows": ["ours"]}}},
                {"name": "write", "method": "POST", "path": "/rows", "writes": True, "expect": {"status": 201}},
            ],
        })  # fmt: skip

    def two_writes(self, before: str, after: str) -> str:
        """Write a row, then another; return a moment between the two."""
        self.sql(f"insert into line values ('{before}')")
        moment = self.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        self.sql(f"insert into line values ('{after}')")
        return moment


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    sites.sweep("e2e-backups")
    made = Pair(tmp_path_factory.mktemp("backups") / "project")
    paper = tmp_path_factory.mktemp("paper") / "keys.txt"
    try:
        hosts.up(made.sandbox, lambda line: print(line, file=sys.stderr))
        with made.site.settings(**dict.fromkeys(SECRETS, "known for a moment, and to nobody's harm")):
            answer = made.site.run("provision", "--check", timeout_s=READY_S)  # of hosts on which nothing is yet
        assert answer.code == 0, str(answer)
        refused = made.command("backup.setup", code=1)
        assert refused["error"] == "nobody is here to read the paper copy of the keys"
        made.first = made.command("backup.setup", "--paper", str(paper), seconds=READY_S)
        made.paper = paper.read_text()
        made.sql("create table line (text text)")
        made.on(sites.HOST, f"mkdir {MEDIA}/pictures; echo one > {MEDIA}/pictures/one")
        for kind in ("media", "config"):
            assert made.command("backup.run", "--set", kind)["record"]["check"]["result"] == "passed"
        yield made
    finally:
        sites.down(made.site)


def test_a_setup_makes_what_is_missing_and_takes_a_first_backup_of_each_set(pair: Pair) -> None:
    assert pair.first["secrets"] == sorted(SECRETS)
    vault = pair.site.root / pair.first["vault"]
    assert vault.read_text().count("$ANSIBLE_VAULT") == 2
    assert [(one["set"], one["check"]["result"]) for one in pair.first["taken"]] == [
        (kind, "passed") for kind in ("database", "media", "config")
    ]


@pytest.mark.at_times(journey="backups set up again")
def test_a_setup_again_changes_nothing_and_has_the_keys_on_paper_alone(pair: Pair, tmp_path: Path) -> None:
    """What opens the backups is in no argument, no output, no file of a run, and on the archive's host in its own."""
    began, paper = time.time(), tmp_path / "keys.txt"
    secret = typing_in.passphrase(pair.paper)
    config = f"/srv/backups/{sites.ENV}/media/config"
    key = pair.on(ARCHIVE, f"sed -n '/^key = /{{n;p;}}' {config}").decode().strip()
    words = [secret, key, typing_in.of_set(pair.paper, "media")["typed"].splitlines()[4]]
    with Watch(pair.site.root / ".ferryman" / "runner", *words) as watch:
        answer = pair.site.begin("backup.setup", "--paper", str(paper), "--env", sites.ENV, "--json").wait(READY_S)
    assert answer.code == 0, str(answer)
    assert (answer.said["changed"], answer.said["secrets"], answer.said["taken"]) == (False, [], [])
    assert (paper.stat().st_mode & 0o777, len(key) > 60) == (0o600, True)
    assert [line for line in paper.read_text().splitlines() if not line.startswith("written by")] == [
        line for line in pair.paper.splitlines() if not line.startswith("written by")
    ]
    assert not [word for word in words if word in str(answer)]
    assert watch.looked > 20
    assert watch.found == []
    assert holding(pair.site.root, words, began) + holding(Path.home() / ".ansible", words, began) == []
    found = pair.on(ARCHIVE, f"python3 -c {shlex.quote(CODE)}", binary=f"{secret} {key}".encode()).decode().splitlines()
    own = f"/etc/ferryman/backup/{sites.ENV}.files"
    assert sorted(found) == [
        f"{own}/media.config", f"{own}/passphrase", f"/etc/ferryman/backup/{sites.ENV}.passphrase", config,
    ]  # fmt: skip
    journal = "journalctl --no-pager -o export --since=-20min > /run/lines; grep --count -aFf - /run/lines || :"
    assert pair.on(ARCHIVE, f"{journal}; rm /run/lines", binary="\n".join(words).encode()) == b"0\n"
    again = pair.command("backup.setup", "--paper", str(paper), code=1)
    assert again["error"] == f"{paper} is there already"


@pytest.mark.at_times(journey="backups restored by hand")
def test_a_backup_is_restored_by_hand_with_nothing_but_the_paper_and_the_repository(pair: Pair, tmp_path: Path) -> None:
    """As the paper says, where no host is; the file with the key is gone from the repository."""
    backup = pair.command("backup.list", "--set", "media")["backups"][-1]["id"]
    files = pair.on(ARCHIVE, f"tar -C /srv/backups/{sites.ENV} -c --exclude=media/config media")
    subprocess.run(["tar", "-C", str(tmp_path), "-x"], input=files, check=True)
    back = typing_in.restored(pair.paper, "media", tmp_path / "media", backup, tmp_path)
    assert (back / MEDIA.lstrip("/") / "pictures/one").read_text() == "one\n"


READ_ONLY = f"""set -e
mkdir -p '/mnt/the disk' /root/by-hand && cd /root/by-hand
mount --bind /srv/backups/{sites.ENV} '/mnt/the disk' && mount -o remount,bind,ro '/mnt/the disk'
trap "umount '/mnt/the disk'; rm -rf /root/by-hand" EXIT
! touch '/mnt/the disk/media/written' 2>/dev/null
"""


@pytest.mark.at_times(journey="backups restored by hand")
def test_a_read_only_disk_is_restored_from_as_the_paper_says(pair: Pair) -> None:
    backup = pair.command("backup.list", "--set", "media")["backups"][-1]["id"]
    script = READ_ONLY + typing_in.as_it_lies(pair.paper, "/mnt/the disk/media", backup)
    typed = f"{typing_in.passphrase(pair.paper)}\n".encode()
    told = pair.on(ARCHIVE, f"{script}\ncat ./{MEDIA}/pictures/one", binary=typed).decode().splitlines()
    assert (backup in told, told[-1]) == (True, "one")
    assert f"{typing_in.of_set(pair.paper, 'media')['fingerprint']}  -" in told


def test_every_command_of_the_guide_works_in_its_order(pair: Pair) -> None:
    lines = [line for block in blocks(PAGE, "sh") for line in block.lines]
    assert lines[0] == "./invoke backup.run"
    told = {line.split()[1]: pair.command(*line.split()[1:]) for line in lines}
    record = told["backup.run"]["record"]
    assert told["backup.show"]["backup"]["id"] == record["id"]
    newest = [one["set"] for one in told["backup.list"]["backups"] if one["why"] == "the newest that passed its check"]
    assert sorted(newest) == ["config", "database", "media"]
    assert told["backup.check"]["checked"][0]["check"]["result"] == "passed"
    never = [("P3", kind) for kind in ("database", "media", "config")]
    assert [(one["severity"], one["set"]) for one in told["backup.status"]["wrong"]] == never
    made = {kind: one["result"] for one in told["backup.drill"]["drills"] for kind in one["sets"]}
    assert made == dict.fromkeys(("database", "media", "config"), "passed")
    assert pair.command("backup.status")["wrong"] == []
    assert pair.sql("show synchronous_standby_names") == "ANY 1 (barman_receive_wal)"


def test_a_deploy_is_refused_without_any_drill_where_one_is_asked_for(pair: Pair) -> None:
    drills = f"/srv/backups/{sites.ENV}/drills"
    with pair.site.settings(backup_drill_required=True):
        pair.on(ARCHIVE, f"mv {drills} /root/drills")
        try:
            refused = pair.site.deploy("HEAD")
        finally:
            pair.on(ARCHIVE, f"rm -rf {drills}; mv /root/drills {drills}")
        assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
        assert "media: no drill was ever made: nobody knows whether this can be restored" in refused.text
        allowed = pair.site.deploy("HEAD")
    assert (allowed.code, allowed.said["status"]) == (0, "live"), str(allowed)


def test_a_check_of_hosts_tells_the_last_drill_of_each_set_and_is_wrong_only_where_one_is_asked_for(pair: Pair) -> None:
    def found(code: int) -> dict[str, str]:
        said = pair.command("check", "--hosts", code=code)["hosts"][ARCHIVE]
        return {each["key"]: f"{each['state']} {each['said']}" for each in said if each["key"].startswith("drill ")}

    drills = f"/srv/backups/{sites.ENV}/drills"
    pair.on(ARCHIVE, f"mkdir -p /root/aside; mv {drills}/*-media.* /root/aside")
    try:
        told = found(0)
        assert told["drill media"].startswith("note no drill was ever made")
        assert [told[f"drill {kind}"].split(" ", 2)[:2] for kind in ("database", "config")] == 2 * [["good", "passed"]]
        with pair.site.settings(backup_drill_required=True):
            assert found(1)["drill media"].startswith("wrong no drill was ever made")
    finally:
        pair.on(ARCHIVE, f"mv /root/aside/* {drills}")


@pytest.fixture(scope="module")
def shown(pair: Pair) -> Iterator[str]:
    """A release whose steps ask for what is in its database, and write there, is live; returns it."""
    version = pair.asking()
    commit = pair.site.repository.commit(version)
    with pair.site.inventory(secrets={"PGPASSWORD": PASSWORD}):
        answer = pair.site.deploy(commit)
        assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
        yield str(answer.said["release"])


def nothing_is_left(pair: Pair) -> None:
    """No server, no process and no file of a drill, on neither host."""
    pair.on(ARCHIVE, f"test ! -e /srv/backups/{sites.ENV}/scratch/drill && ! ps -C ssh")
    units = "systemctl list-units --all --plain --no-legend 'ferryman-rehearsal-*.service'"
    left = (
        "ls -A /var/lib/ferryman-drill/dev; ls -A /run/ferryman-rehearsal; ls /run/systemd/system | grep rehearsal || :"
    )
    assert pair.on(sites.HOST, f"{units}; {left}").decode().split() == [f"{sites.ENV}.sock"]


@pytest.mark.at_times(journey="a drill in which the application runs")
def test_where_a_drill_runs_an_application_every_name_and_address_is_the_database_and_nobody_else_answers(
    pair: Pair,
) -> None:
    begin = "systemd-run --quiet --pipe --wait --property=PrivateNetwork=yes /usr/bin/python3 -I -"
    told = pair.on(sites.HOST, begin, binary=APART.encode()).decode().split()
    database = ["db.example.org", "203.0.113.7", "127.0.0.1", "2001:db8::7", "localhost"]
    assert told == [*(f"{each}:restored" for each in database), "203.0.113.7:25:ConnectionRefusedError"]


@pytest.mark.at_times(journey="a drill in which the application runs")
def test_a_drill_fails_where_the_application_is_not_well_on_what_was_restored(pair: Pair, shown: str) -> None:
    """What is in an unlogged table serves, and is in no backup: that no hash of a backup can tell."""
    pair.sql("alter table shown set unlogged")
    asked = "systemctl show -P InvocationID -P NRestarts 'tiny-dev-web@*'"
    before = pair.on(sites.HOST, asked)
    try:
        with prober.Prober(pair.site) as client:
            failed = pair.command("backup.drill", "--set", "database", code=3)
    finally:
        pair.sql("alter table shown set logged")
    assert "application tiny-dev: verify step 'what is shown' (GET /rows, drill)" in failed["error"]
    assert "there is nothing to show" in failed["error"]
    told = pair.command("backup.status", code=3)
    record = told["sets"]["database"]["drill"]
    assert {one["name"]: one["result"] for one in record["checks"]} == {
        "manifest": "passed", "acknowledged": "passed", "amcheck": "passed", "application tiny-dev": "failed",
    }  # fmt: skip
    assert (client.failed, list(client.releases)) == ([], [shown])
    assert pair.on(sites.HOST, asked) == before
    said = [one["said"] for one in told["wrong"] if (one["severity"], one["set"]) == ("P1", "database")]
    assert [one.partition(": verify step")[0] for one in said] == ["the last drill failed: application tiny-dev"]
    nothing_is_left(pair)


@pytest.mark.at_times(journey="a drill in which the application runs")
def test_of_a_drill_that_is_killed_while_the_application_runs_nothing_goes_on(pair: Pair, shown: str) -> None:
    unit = "ferryman-rehearsal-tiny-dev.service"
    drill = pair.site.begin("backup.drill", "--set", "database", "--env", sites.ENV, "--json")
    # Stopped, so that it answers nobody and the drill waits for it.
    pair.on(sites.HOST, f"until systemctl -q is-active {unit}; do sleep 0.05; done; systemctl kill -s STOP {unit}")
    pair.on(ARCHIVE, "kill -9 $(ps -o ppid= -C ssh)")
    assert drill.wait(60).code != 0
    gone = f"until ! systemctl -q is-active '{unit}' 'ferryman-rehearsal-dev@*'; do sleep 0.1; done"
    pair.on(sites.HOST, f"timeout 60 bash -c {shlex.quote(gone)}")
    # What the timer does each minute: afterwards it is at work on nothing, when the next drill begins.
    pair.on(
        ARCHIVE,
        "! ps -C ssh && systemctl start ferryman-backup-dev-archive && test ! -e /srv/backups/dev/scratch/drill",
    )


@pytest.mark.at_times(journey="a drill in which the application runs")
def test_a_drill_has_the_application_say_that_it_is_well_on_what_was_restored(pair: Pair, shown: str) -> None:
    (record,) = pair.command("backup.drill", "--set", "database")["drills"]
    told = record["applications"]["tiny-dev"]
    assert (told["result"], told["release"], told["evidence"]) == ("passed", shown, [])
    assert [(one["name"], one["result"]) for one in told["asked"]] == [
        ("what is shown", "passed"),
        ("write", "passed"),
    ]
    nothing_is_left(pair)
    assert pair.sql("select text from shown") == "ours", "what a drill writes goes with it"
    said = pair.command("check", "--hosts")["hosts"][ARCHIVE]
    (one,) = (each for each in said if each["key"] == "drill application tiny-dev")
    assert (one["state"], one["said"][:7]) == ("good", "passed:")


def test_a_provisioning_of_hosts_of_which_one_is_another_environments_changes_none(pair: Pair) -> None:
    pair.on(ARCHIVE, 'sed -i.kept \'s/"dev"/"prod"/\' /etc/ferryman/host.json && grep -q prod /etc/ferryman/host.json')
    pair.on(sites.HOST, "touch /run/before")
    own = pair.site.root / "inventories" / sites.ENV / "host_vars" / f"{ARCHIVE}.yml"
    own.parent.mkdir()
    own.write_text("host_shared: false\n")
    try:
        with pair.site.settings(logs_keep_days=9):
            refused = pair.command("provision", code=1)
        assert "prod" in refused["error"]
        assert pair.on(sites.HOST, "find /etc /usr/local -newer /run/before -type f") == b""
    finally:
        shutil.rmtree(own.parent)
        pair.on(ARCHIVE, "mv /etc/ferryman/host.json.kept /etc/ferryman/host.json")


@pytest.mark.at_times(journey="a database restored to a moment")
def test_a_restore_to_a_moment_between_two_writes_has_the_one_and_not_the_other(pair: Pair) -> None:
    pair.command("backup.run")
    moment = pair.two_writes("before", "after")
    told = pair.command("backup.restore", "--to", moment)["restore"]
    assert (told["result"], told["into"]) == ("passed", "scratch")
    asked = f"cd / && {told['look'].removeprefix('sudo ')} -XAt -d tiny -c 'select text from line'"
    assert pair.on(ARCHIVE, asked).decode().split() == ["before"]
    assert pair.sql("select string_agg(text, ' ') from line") == "before after"
    record = pair.command("backup.show")["backup"]["id"]
    told = pair.command("backup.restore", "--to", record)["restore"]
    assert [(one["name"], one["result"]) for one in told["checks"]] == [("manifest", "passed"), ("amcheck", "passed")]
    pair.command("backup.restore", "--end")
    pair.on(ARCHIVE, "test ! -e /srv/backups/dev/scratch/restore")


@pytest.mark.at_times(journey="a database restored in place")
def test_a_restore_in_place_asks_keeps_what_served_and_goes_back(pair: Pair) -> None:
    moment = pair.two_writes("stays", "goes")
    refused = pair.command("backup.restore", "--into", "place", "--to", moment, code=1)
    assert "nobody is here to be asked" in refused["error"]
    told = pair.command("backup.restore", "--into", "place", "--to", moment, "--yes")["placed"]
    both = "select string_agg(text, ' ' order by text) from line where text in ('stays', 'goes')"
    assert pair.sql(both) == "stays"
    pair.sql("insert into line values ('since')")  # it is acknowledged: the stream follows the new history
    assert pair.on(sites.HOST, f"test -d {told['aside']} && echo kept") == b"kept\n"
    assert pair.on(sites.HOST, "cat ~postgres/.ssh/authorized_keys") == b""
    assert pair.command("backup.status")["backups"][-1]["check"]["result"] == "passed"
    pair.command("backup.restore", "--into", "place", "--undo", "--yes")
    assert pair.sql(both) == "goes stays"
    assert pair.sql("select count(*) from line where text = 'since'") == "0"
    assert pair.command("backup.drill", "--set", "database")["drills"][0]["rpo_s"] == 0.0


def restored_again(pair: Pair, rows: str) -> None:
    """The same command finishes: nothing that was acknowledged is lost, and nothing of the restore before is left."""
    until = time.monotonic() + 90  # what was begun on the archive's host goes on until it sees that nobody takes it
    while (answer := pair.site.begin(*PLACED, "--env", sites.ENV, "--json").wait(300)).code:
        assert "is at work" in answer.text, str(answer)
        assert time.monotonic() < until, str(answer)
        time.sleep(2)
    assert pair.sql(rows) == "killed"
    beside = pair.on(sites.HOST, f"cd {pair.sql('show data_directory')}/..; ls -d main.*").decode().split()
    assert [each for each in beside if not each.startswith(("main.before-", "main.undone-"))] == []
    assert pair.on(sites.HOST, "cat ~postgres/.ssh/authorized_keys") == b""
    keys = "ls /etc/ferryman/backup/dev/ | grep -c ^restore- || :"
    scratch = "test ! -e /srv/backups/dev/scratch/restore && test ! -e /srv/backups/dev/database/scratch/restore"
    pair.on(ARCHIVE, f"{scratch} && test $({keys}) = 0")


@KILLED
def test_a_restore_whose_driver_is_killed_leaves_what_serves_and_is_finished_by_the_same_command(pair: Pair) -> None:
    rows = "select text from line where text = 'killed'"
    driver = pair.site.begin(*PLACED, "--env", sites.ENV, "--json")
    assert driver.wait_for_step("Restore beside everything", 120), str(driver.wait())
    time.sleep(CHANCE.uniform(0, 2))  # before anything is exchanged: what is written then is in what serves
    driver.kill()
    pair.sql("insert into line values ('killed')")
    restored_again(pair, rows)
    pair.sql("delete from line where text = 'killed'")


@KILLED
def test_a_database_whose_host_loses_power_while_it_is_exchanged_serves_after_it_and_can_be_restored(
    pair: Pair,
) -> None:
    rows = "select text from line where text = 'killed'"
    pair.sql("insert into line values ('killed')")
    driver = pair.site.begin(*PLACED, "--env", sites.ENV, "--json")
    assert driver.wait_for_step("Put it in place", 120), str(driver.wait())
    time.sleep(CHANCE.uniform(0, 2.5))
    pair.site.cut(sites.HOST)
    driver.kill()
    hosts.up(pair.sandbox, print)
    serves = "until runuser -u postgres -- psql -XAtqc 'select pg_is_in_recovery()' | grep -q f; do sleep 0.2; done"
    pair.on(sites.HOST, f"cd /; timeout 60 bash -c {shlex.quote(serves)}")
    assert pair.sql(rows) == "killed"
    assert pair.command("backup.run")["record"]["check"]["result"] == "passed"
    restored_again(pair, rows)
    pair.sql("delete from line where text = 'killed'")


@pytest.fixture
def staging(pair: Pair) -> str:
    """Another environment on the same host, with a database of its own; returns that one's name."""
    directory = pair.site.root / "inventories"
    shutil.copytree(directory / sites.ENV, directory / STAGING)
    variables = directory / STAGING / "group_vars" / "all"
    (variables / "environment.yml").write_text(yaml.safe_dump({"environment_name": STAGING}))
    told = yaml.safe_load((variables / "apps.yml").read_text())
    told["apps"]["tiny"] |= {"domains": ["staging.localhost"]}
    told["apps"]["tiny"]["database"] = {"name": "tiny_staging", "owner": "tiny_staging", "password": "of staging"}
    (variables / "apps.yml").write_text(yaml.safe_dump(told))
    for file in ("backup.yml", "vault.yml"):
        (variables / file).unlink()
    tree = yaml.safe_load((directory / STAGING / "hosts.yml").read_text())
    del tree["all"]["children"]["backup"]
    (directory / STAGING / "hosts.yml").write_text(yaml.safe_dump(tree))
    pair.command("provision", "--env", STAGING)
    pair.command("provision")  # the way in of the archive host: what is the host's own is as the last one says
    return "tiny_staging"


@pytest.mark.at_times(journey="data without its people")
def test_another_environment_gets_the_data_without_the_people_or_nothing(pair: Pair, staging: str) -> None:
    (line,) = (line for block in blocks(REFRESH, "sh") for line in block.lines)
    words = line.replace("prod", sites.ENV).split()[1:]
    access = "select datacl::text from pg_database where datname = 'tiny_staging'"
    before = pair.sql(access)
    pair.sql(PEOPLE)
    pair.command("backup.run")
    pair.sql("create table own (text text); insert into own values ('staging')", staging)
    asks = pair.command(*words, code=1)
    assert "nobody is here to be asked" in asks["error"]
    refused = pair.command(*words, "--yes", code=1)
    for column in ("person.email", "person.remark"):
        assert f"{column} holds personal data" in refused["error"]
    assert pair.sql("select text from own", staging) == "staging"
    pair.on(ARCHIVE, "test ! -e /srv/backups/dev/scratch/restore")
    undo, earlier = [text.replace("prod", sites.ENV).split()[1:]
                     for block in blocks(REFRESH, "text") for text in block.lines]  # fmt: skip
    with pair.site.inventory(masking={"person.email": "email", "person.remark": "scrub"}):
        assert "nothing reaches back to" in pair.command(*earlier, "--yes", code=1)["error"]
        told = pair.command(*words, "--yes")
    assert told["copied"]["rows"]["person"] == 50
    count = "select count(*) from person where "
    assert pair.sql(f"{count} email like '%example.org' or remark like '%example.org%'", staging) == "0"
    assert pair.sql(f"{count} remark = 'write to ' || email", staging) == "50"
    assert pair.sql(f"{count} email like '%example.org'") == "50", "where it came from"
    owner = "select pg_get_userbyid(relowner) from pg_class where relname = 'person'"
    assert pair.sql(owner, staging) == "tiny_staging"
    assert pair.sql(access) == before
    pair.on(ARCHIVE, "test ! -e /srv/backups/dev/scratch/restore && ! ls -d /var/tmp/ferryman-data-*")
    assert list((pair.site.root / ".ferryman" / "data").iterdir()) == []
    pair.command(*undo, "--yes")
    assert pair.sql("select text from own", staging) == "staging"


def test_what_cannot_be_restored_is_refused_with_what_can(pair: Pair) -> None:
    told = pair.command("backup.restore", "--to", "2020-01-01T00:00:00Z", code=1)
    assert "nothing reaches back to 2020-01-01T00:00:00.000000Z: take a moment from" in told["error"]
    told = pair.command("backup.restore", "--to", "19990101T000000Z-database", code=1)
    assert "names no backup of database; `backup.list` shows them" in told["error"]


@pytest.mark.at_times(journey="backups restored by hand")
def test_a_backup_is_restored_by_hand_with_the_engines_own_commands(pair: Pair) -> None:
    moment = pair.two_writes("kept", "lost")
    pair.sql("select pg_switch_wal()")
    pair.sql("insert into line values ('lost')")  # in the next file of WAL: the stream is ahead of the new history
    hands = Hands(PAGE, pair, ARCHIVE, port_of(pair))
    hands.restore(moment)
    with hands.way():
        hands.serve()
    what = "select string_agg(text, ' ' order by text) from line where text in ('kept', 'lost', 'since', 'anew')"
    assert pair.sql(what) == "kept"
    hands.follow()
    pair.sql("insert into line values ('since')")  # it is acknowledged: the stream follows the new history
    (wrong,) = (one for one in pair.command("backup.status", code=3)["wrong"] if "timeline" in one["said"])
    assert (wrong["severity"], wrong["do"]) == ("P1", "backup.run --set database")
    told = restored(pair, what)
    assert told["rows"] == "kept since"
    assert "which the source began after this backup" in told["note"]
    (line,) = block(PAGE, "./invoke backup.run --env prod")
    assert line.split()[2:] == ["--env", "prod"]
    assert pair.command(line.split()[1])["record"]["check"]["result"] == "passed"
    assert not [one for one in pair.command("backup.list")["wrong"] if "timeline" in one["said"]]
    pair.sql("insert into line values ('anew')")
    told = restored(pair, what)
    assert (told["rows"], told["note"]) == ("anew kept since", "")
    pair.command("backup.restore", "--end")


@pytest.mark.at_times(journey="backups restored by hand")
def test_a_database_whose_disk_is_lost_is_restored_by_hand_with_what_was_acknowledged_last(pair: Pair) -> None:
    pair.sql("insert into line values ('acknowledged last')")
    data = pair.sql("show data_directory")
    pair.on(sites.HOST, f"systemctl kill --signal=KILL 'postgresql@*-main'; rm -rf {data}")
    hands = Hands(PAGE, pair, ARCHIVE, port_of(pair))
    hands.restore()
    with hands.way():
        hands.serve(lost=True)
    hands.follow()
    assert pair.sql("select count(*) from line where text = 'acknowledged last'") == "1"
    pair.sql("insert into line values ('since it was lost')")  # it is acknowledged: the stream follows the new history
    assert pair.command("backup.run")["record"]["check"]["result"] == "passed"


def restored(pair: Pair, asked: str) -> dict[str, Any]:
    """Restore the last that was streamed beside everything; return the job, with the `rows` that are asked for."""
    told = pair.command("backup.restore")["restore"]
    look = f"cd / && {told['look'].removeprefix('sudo ')} -XAt -d tiny -c {shlex.quote(asked)}"
    return {**told, "rows": pair.on(ARCHIVE, look).decode().strip()}


def guide_to_files(having: str, **ours: str) -> list[str]:
    """Return the lines of the one block in the guide to files that has these words, with this environment's names."""
    (lines,) = (block.lines for block in blocks(FILES, "text") if having in block.text)
    text = "\n".join(lines).replace("prod", sites.ENV)
    for theirs, mine in {"2026-11-26T09:00:00Z": "moment", "20261126T023107Z-media": "backup"}.items():
        text = text.replace(theirs, ours.get(mine, theirs))
    return text.splitlines()


def port_of(pair: Pair) -> int:
    """Where SSH of the archive's host listens."""
    variables = pair.site.root / "inventories" / sites.ENV / "group_vars" / "all"
    return int(yaml.safe_load((variables / "backup.yml").read_text())["backup_archive_port"])


@pytest.mark.at_times(journey="files restored in place")
def test_files_of_the_application_are_restored_beside_and_in_place_and_put_back(pair: Pair) -> None:
    for line in guide_to_files("backup.run"):
        if "backup.setup" not in line:  # what it does again is told above
            pair.command(*line.split()[1:])
    backup = pair.command("backup.list", "--set", "media")["backups"][-1]["id"]
    look = f"ls {MEDIA}; cat {MEDIA}/pictures/one"
    whole = pair.on(sites.HOST, look)
    broken = pair.on(sites.HOST, f"rm -r {MEDIA}/pictures; echo two > {MEDIA}/two; ls {MEDIA}")
    newest, earlier, place, undo = (
        line.split()[1:] for line in guide_to_files("backup.restore", backup=backup, moment="1s")
    )
    refused = pair.command(*place, code=1)
    assert "nobody is here to be asked" in refused["error"]
    for words in (newest, earlier):
        aside = pair.command(*words)["files"]["into"]
        assert pair.on(sites.HOST, f"cat {aside}{MEDIA}/pictures/one") == b"one\n"
    pair.command(*place, "--yes")
    assert pair.on(sites.HOST, look) == whole
    pair.command(*undo, "--yes")
    assert pair.on(sites.HOST, f"ls {MEDIA}") == broken
    told = pair.command("backup.restore", "--set", "config", "--to", "19990101T000000Z-config", code=1)
    assert "names no backup of config; `backup.list` shows them" in told["error"]


@pytest.mark.at_times(journey="files restored without an archive")
def test_files_are_restored_on_their_host_with_nothing_but_what_lies_there(pair: Pair) -> None:
    pair.on(sites.HOST, f"mkdir -p {MEDIA}/pictures; echo one > {MEDIA}/pictures/one; rm -f {MEDIA}/two")
    pair.command("backup.run", "--set", "media")
    backup = pair.command("backup.list", "--set", "media")["backups"][-1]["id"]
    look = f"ls {MEDIA}; cat {MEDIA}/pictures/one"
    whole = pair.on(sites.HOST, look)
    broken = pair.on(sites.HOST, f"rm -r {MEDIA}/pictures; echo two > {MEDIA}/two; ls {MEDIA}")
    listed, beside, place, undo = guide_to_files("backup-source list", backup=backup)
    assert backup in pair.on(sites.HOST, listed).decode()
    pair.on(sites.HOST, f"{beside} && grep one /root/back{MEDIA}/pictures/one; rm -r /root/back")
    pair.on(sites.HOST, place)
    assert pair.on(sites.HOST, look) == whole
    pair.on(sites.HOST, undo)
    assert pair.on(sites.HOST, f"ls {MEDIA}") == broken


@pytest.mark.at_times(journey="backups restored by hand")
def test_files_are_restored_by_hand_with_borg_alone_on_either_host(pair: Pair) -> None:
    backup = pair.command("backup.list", "--set", "media")["backups"][-1]["id"]
    for host, having in ((sites.HOST, "BORG_RSH"), (ARCHIVE, "--bypass-lock")):
        script = "\n".join(guide_to_files(having, backup=backup))
        script = script.replace("backup1:22/", f"{ARCHIVE}:{port_of(pair)}/")
        try:
            told = pair.on(host, f"set -e\n{script}\ngrep one .{MEDIA}/pictures/one").decode().splitlines()
        finally:
            pair.on(host, "rm -rf /root/back /root/borg")
        assert (backup in told, told[-1]) == (True, "one")


@pytest.mark.at_times(journey="backups restored by hand")
def test_commits_wait_no_longer_once_the_guides_line_is_typed_and_again_by_the_next(pair: Pair) -> None:
    ends, begins = block(PAGE, "synchronous_standby_names")
    pair.on(sites.HOST, f"cd / && {ends}")
    assert pair.sql("show synchronous_standby_names") == ""
    told = [one["said"] for one in pair.command("backup.status", code=3)["wrong"] if one["severity"] == "P1"]
    assert [said for said in told if said.startswith("commits do not wait for the archive")]
    pair.on(sites.HOST, f"cd / && {begins}")
    assert pair.sql("show synchronous_standby_names") == "ANY 1 (barman_receive_wal)"


@pytest.mark.at_times(journey="WAL by a second way")
def test_files_of_wal_come_a_second_way_once_that_is_asked_for_and_no_more_once_it_is_not(pair: Pair) -> None:
    keys, own = "/var/lib/barman/.ssh/authorized_keys", f"/etc/ferryman/backup/{sites.ENV}.wal"

    def beside() -> Any:
        return pair.command("backup.status")["stream"]["beside"]

    def provision() -> bool:
        return bool(pair.command("provision", seconds=READY_S)["changed"])

    assert provision() is False, "nothing of it is anywhere where it is not asked for"
    pair.on(ARCHIVE, f"! test -e {keys}")
    with pair.site.settings(backup_wal_archive=True):
        assert (provision(), provision()) == (True, False)
        pair.sql("select txid_current(), pg_switch_wal()")
        came = "psql -XAtqc 'select count(*) > 0 from pg_stat_archiver where last_archived_wal is not null'"
        pair.on(sites.HOST, f"cd /; until runuser -u postgres -- {came} | grep -q t; do sleep 0.2; done", seconds=60)
        assert (beside()["on"], beside()["failing"]) == (True, False)
        assert f"put-wal --name {sites.ENV}".encode() in pair.on(ARCHIVE, f"cat {keys}")
    assert (provision(), provision()) == (True, False)
    assert (pair.sql("show archive_command"), beside()) == ("/bin/true", None)
    assert pair.on(ARCHIVE, f"cat {keys}") == b""
    pair.on(sites.HOST, f"! ls -d {own}*")
