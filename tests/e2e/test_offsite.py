"""A copy of all backups in a bucket: the archive's host is lost, and a new one has all of it back, by the guide.

Requirements: BAK-1, BAK-2.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import yaml
from tests.e2e.test_backups import ARCHIVE, MEDIA, SECRETS, Pair
from tests.support import bucket, typing_in
from tests.support import site as sites
from tests.support.driving import READY_S
from tests.support.pages import blocks
from tests.support.planted import Watch

from ferryman import paths
from ferryman.sandbox import hosts, inventory
from ferryman.sandbox.model import Sandbox
from ferryman.sandbox.ports import free_port
from ferryman.sandbox.probing import probe

PAGE = paths.CHECKOUT / "docs" / "guides" / "backups-offsite.md"
BUCKET, PORT = "bucket1", 9000
PLACE = "/var/lib/bucket"
HOME = f"/srv/backups/{sites.ENV}"

SENT = pytest.mark.at_times(journey="backups off site")
BROUGHT_BACK = pytest.mark.at_times(journey="backups that come back from off site")


class Trio(Pair):
    """A site whose archive goes into a bucket on a third host."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        directory = root / "inventories" / sites.ENV
        tree = yaml.safe_load((directory / "hosts.yml").read_text())
        port = free_port()
        own = {"ansible_host": "127.0.0.1", "ansible_port": port, "sandbox_image": "base",
               "sandbox_publish": {port: port}}  # fmt: skip
        tree["all"]["children"]["bucket"] = {"hosts": {BUCKET: own}}
        (directory / "hosts.yml").write_text(yaml.safe_dump(tree))
        self.sandbox = Sandbox(self.site.name, root / ".ferryman/sandbox" / self.site.name,
                               tuple(inventory.from_tree(tree)))  # fmt: skip
        (root / "tls").mkdir()
        certificate = bucket.certificate(root / "tls", BUCKET)
        (told,) = (yaml.safe_load(block.text) for block in blocks(PAGE, "yaml"))
        path = directory / "group_vars" / "all" / "backup.yml"
        ours = {
            "backup_offsite_repository": f"s3:https://{BUCKET}:{PORT}/{bucket.NAME}/{sites.ENV}",
            "backup_offsite_certificate": certificate,
        }
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | told | ours))
        keys = {"vault_bucket_access_key": bucket.ACCESS, "vault_bucket_secret_key": bucket.SECRET}
        (directory / "group_vars" / "all" / "bucket.yml").write_text(yaml.safe_dump(keys))

    def up(self) -> None:
        """Have every host there; one that is gone is made anew, with nothing on it."""
        hosts.up(self.sandbox, print)

    def lose(self, host: str) -> None:
        """Take a host away, with its disk."""
        probe().run("rm", "--force", "--volumes", f"{self.site.name}-{host}")

    def serve(self) -> None:
        """Have the bucket's host serve it; the program comes from the machine that tests."""
        self.on(BUCKET, f"mkdir -p {PLACE}/data")
        name = f"{self.site.name}-{BUCKET}"
        probe().run("cp", str(bucket.PROGRAM), f"{name}:/usr/local/bin/rclone")
        for file in ("cert.pem", "key.pem"):
            probe().run("cp", str(self.site.root / "tls" / file), f"{name}:{PLACE}/{file}")
        words = shlex.join(bucket.serve("/usr/local/bin/rclone", PLACE, PORT))
        self.on(BUCKET, f"printf '[Service]\\nEnvironment=HOME=/root\\nExecStart=%s\\n' {shlex.quote(words)} "
                        "> /etc/systemd/system/bucket.service; systemctl daemon-reload")  # fmt: skip
        self.answers()

    def answers(self) -> None:
        """Have the bucket's server run, and wait until it answers."""
        asked = f"until bash -c '</dev/tcp/127.0.0.1/{PORT}' 2>/dev/null; do sleep 0.1; done"
        self.on(BUCKET, f"systemctl start bucket; timeout 60 bash -c {shlex.quote(asked)}")

    def typed(self, having: str) -> list[str]:
        """Return the lines of the one block of the guide that has these words, with this environment's name."""
        (lines,) = (block.lines for block in blocks(PAGE, "text") if having in block.text)
        return [line.replace("prod", sites.ENV) for line in lines]


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """All of it set up by the guide's first command, with one good backup of each set, and none off site yet."""
    sites.sweep("e2e-backups")
    made, paper = Trio(tmp_path_factory.mktemp("offsite") / "project"), tmp_path_factory.mktemp("paper") / "keys.txt"
    try:
        made.up()
        made.serve()
        (setup,) = made.typed("backup.setup")
        made.first = made.command(*setup.split()[1:], "--paper", str(paper), seconds=READY_S)
        made.paper = paper.read_text()
        made.sql("create table line (text text); insert into line values ('copied')")
        made.on(sites.HOST, f"mkdir {MEDIA}/pictures; echo one > {MEDIA}/pictures/one")
        for kind in ("database", "media", "config"):
            assert made.command("backup.run", "--set", kind)["record"]["check"]["result"] == "passed"
        yield made
    finally:
        sites.down(made.site)


def password(trio: Trio) -> str:
    """What the paper has for the copies."""
    text = trio.paper[trio.paper.index("OFF SITE") :]
    return text.split(">", 1)[1].split("<", 1)[0]


@SENT
def test_the_setup_makes_a_password_and_the_commands_of_the_guide_send_a_copy_and_tell_of_it(trio: Trio) -> None:
    assert trio.first["secrets"] == sorted((*SECRETS, "vault_backup_offsite_password"))
    (first,) = trio.first["sent"]
    assert (first["record"]["check"]["result"], len(first["record"]["holds"])) == ("passed", 3)
    send, listed, status, look = (line.split()[1:] for line in trio.typed("backup.list"))
    with Watch(trio.site.root / ".ferryman" / "runner", password(trio)) as watch:
        sent = trio.command(*send)["record"]
    assert (watch.found, watch.looked > 20) == ([], True)
    assert sent["check"]["result"] == "passed"
    told = trio.command(*listed)
    assert {one["id"]: one["copy"] for one in told["backups"]} == dict.fromkeys(sent["holds"], sent["id"])
    assert told["offsite"]["repository"].endswith(f"/{bucket.NAME}/{sites.ENV}")
    assert [one for one in trio.command(*status)["wrong"] if one["set"] == "offsite"] == []
    assert trio.command(*look)["record"]["id"] == sent["id"]
    timer = f"systemctl show -P NextElapseUSecRealtime ferryman-backup-{sites.ENV}-offsite.timer"
    assert " 04:" in trio.on(ARCHIVE, timer).decode() or " 05:" in trio.on(ARCHIVE, timer).decode()
    metrics = trio.on(ARCHIVE, f"cat /var/lib/ferryman/metrics/backup-{sites.ENV}.prom").decode()
    assert f'ferryman_backup_offsite_passed{{archive="{sites.ENV}"}} 1' in metrics


@SENT
def test_what_the_timer_starts_sends_a_copy(trio: Trio) -> None:
    before = trio.command("backup.status")["offsite"]["last"]
    trio.on(ARCHIVE, f"systemctl start ferryman-backup-{sites.ENV}-offsite.service")
    after = trio.command("backup.status")["offsite"]
    assert (after["last"] > before, after["passed"], after["count"]) == (True, True, 3)


@SENT
def test_a_bucket_that_is_away_or_damaged_is_told_and_the_archive_goes_on(trio: Trio) -> None:
    trio.on(BUCKET, "systemctl stop bucket")
    try:
        failed = trio.command("backup.offsite", code=3)
        assert "it does not answer" in failed["error"]
        (wrong,) = (one for one in trio.command("backup.status")["wrong"] if one["set"] == "offsite")
        assert (wrong["severity"], "it does not answer" in wrong["said"]) == ("P2", True)
        assert trio.command("backup.run")["record"]["check"]["result"] == "passed"
    finally:
        trio.answers()
    data = f"{PLACE}/data/{bucket.NAME}/{sites.ENV}/data"
    path = trio.on(BUCKET, f"find {data} -type f -size +1k | sort | head -n {Random(1).randint(1, 3)} | tail -n 1")
    pack = path.decode().strip()
    trio.on(BUCKET, f"cp -p {pack} /root/aside; printf x | dd of={pack} bs=1 seek=700 conv=notrunc status=none; sync")
    failed = trio.command("backup.offsite", "--check", code=3)
    assert f"s3:https://{BUCKET}:{PORT}/" in failed["error"]
    (wrong, *_) = (one for one in trio.command("backup.status", code=3)["wrong"] if one["severity"] == "P1")
    assert (wrong["set"], "did not pass its check" in wrong["said"]) == ("offsite", True)
    trio.on(BUCKET, f"cp -p /root/aside {pack}")
    assert trio.command("backup.offsite", "--check")["record"]["check"]["result"] == "passed"


@SENT
def test_a_copy_that_is_killed_anywhere_in_the_middle_costs_none_and_the_next_one_is_whole(trio: Trio) -> None:
    """Killed with all of it, as by a loss of power; what it left in the bucket and here hinders nobody."""
    unit, chance = f"ferryman-backup-{sites.ENV}-offsite.service", Random(1)
    good, ends = trio.command("backup.offsite")["record"]["id"], []
    for _ in range(3):
        trio.on(sites.HOST, f"head -c 20M /dev/urandom > {MEDIA}/pictures/large")
        trio.command("backup.run", "--set", "media")
        killed = f"systemctl start --no-block {unit}; sleep {chance.uniform(0.5, 3):.2f}; systemctl kill -s KILL {unit}"
        over = f"until ! systemctl -q is-active {unit}; do sleep 0.1; done; systemctl show -P Result {unit}"
        ends.append(trio.on(ARCHIVE, f"{killed}; {over}").decode().strip())
    assert trio.command("backup.offsite")["record"]["check"]["result"] == "passed"
    assert trio.command("backup.offsite", "--check")["record"]["check"]["result"] == "passed"
    trio.on(ARCHIVE, f"test -e {HOME}/copies/{good}.json && ! test -e {HOME}/.offsite && "
                     f"! test -e {HOME}/database/.offsite")  # fmt: skip
    assert ends.count("signal") > 0, ends


@SENT
def test_a_full_bucket_is_told_costs_no_copy_and_is_gone_on_with_once_there_is_room(trio: Trio) -> None:
    data = f"{PLACE}/data"
    size = int(trio.on(BUCKET, f"du -sk {data} | cut -f1"))
    small = f"mount -t tmpfs -o size={size + 8_000}k none"
    trio.on(BUCKET, f"systemctl stop bucket; mv {data} {data}.kept; mkdir {data}; {small} {data}; "
                    f"cp -a {data}.kept/. {data}/")  # fmt: skip
    trio.answers()
    try:
        trio.on(sites.HOST, f"head -c 30M /dev/urandom > {MEDIA}/pictures/large")
        trio.command("backup.run", "--set", "media")
        before = trio.command("backup.status")["offsite"]["count"]
        failed = trio.command("backup.offsite", code=3, seconds=1200)
        assert "see there whether it is full" in failed["error"], "this server says no more"
        told = trio.command("backup.status")
        assert told["offsite"]["count"] == before
        (wrong,) = (one for one in told["wrong"] if one["set"] == "offsite")
        assert "whether it is full" in wrong["said"]
        trio.on(BUCKET, f"mount -o remount,size=500M {data}")
        assert trio.command("backup.offsite")["record"]["check"]["result"] == "passed"
        trio.on(BUCKET, f"systemctl stop bucket; rm -rf {data}.kept; cp -a {data} {data}.kept; umount {data}")
    finally:
        trio.on(BUCKET, f"systemctl stop bucket; umount {data} 2>/dev/null; rm -rf {data}; mv {data}.kept {data}")
        trio.answers()


@SENT
def test_another_password_or_key_is_refused_before_anything_is_written(trio: Trio) -> None:
    own = f"/etc/ferryman/backup/{sites.ENV}.offsite"
    before = trio.on(ARCHIVE, f"sha256sum {own}/*")
    for key, said in (("password", "the password does not open it"), ("secret_key", "it refuses the access key")):
        with trio.site.settings(**{f"backup_offsite_{key}": "of-somebody-else-for-all-we-know"}):
            answer = trio.site.run("provision", timeout_s=READY_S)
        assert (answer.code != 0, said in str(answer)) == (True, True), str(answer)
    assert trio.on(ARCHIVE, f"sha256sum {own}/*") == before


BY_HAND = """set -e
export HOME=/root
apt-get install -y -q restic >/dev/null 2>&1
mkdir -p /root/by-hand && cd /root/by-hand && cat > password
restic() { command restic --cacert /root/ca.pem "$@" < /root/by-hand/password; }
"""


@pytest.fixture(scope="module")
def copied(trio: Trio) -> Trio:
    """The same, with a copy off site."""
    assert trio.command("backup.offsite")["record"]["check"]["result"] == "passed"
    return trio


@pytest.mark.usefixtures("copied")
@BROUGHT_BACK
def test_a_copy_comes_back_by_hand_with_nothing_but_the_paper(trio: Trio) -> None:
    """On a host that has nothing of the archive: that of the bucket, which knows neither password nor repository."""
    how = trio.paper[trio.paper.index("HOW TO RESTORE FROM OFF SITE") : trio.paper.index("PASSPHRASE of every key")]
    lines = [line.strip() for line in how.splitlines() if line.startswith("    ")]
    script = BY_HAND + "\n".join(lines).replace("'ID'", bucket.ACCESS).replace("'SECRET'", bucket.SECRET)
    trio.on(BUCKET, f"cp {PLACE}/cert.pem /root/ca.pem")
    try:
        trio.on(BUCKET, script, binary=f"{password(trio)}\n".encode())
        records = trio.on(BUCKET, "ls /root/by-hand/came/.offsite/records").decode().split()
        assert {name.rpartition("-")[2] for name in records} == {"database.json", "media.json", "config.json"}
        trio.on(BUCKET, "ls /root/by-hand/came/database/.offsite/base/*/data/PG_VERSION")
        assert typing_in.passphrase(trio.paper) != password(trio)
    finally:
        trio.on(BUCKET, "rm -rf /root/by-hand /root/ca.pem")


@BROUGHT_BACK
def test_the_archives_host_is_lost_and_a_new_one_has_all_of_it_back_from_the_bucket(trio: Trio) -> None:
    sent = trio.command("backup.offsite")["record"]
    known = {one["id"]: one["manifest"] for one in trio.command("backup.list")["backups"]}
    for text in ("since", "lost with the archive"):  # in files of WAL that no copy has
        trio.sql(f"insert into line values ('{text}'); select pg_switch_wal()")
    trio.lose(ARCHIVE)
    trio.up()
    newest = max(name for name in sent["holds"] if name.endswith("-database"))
    lines = [line.replace("20261126T010000Z-database", newest) for line in trio.typed("--from offsite")]
    bring, provision, media, database, end = (line.split()[1:] for line in lines)
    told = trio.command(*bring, seconds=600)["brought"]
    assert (told["backup"], told["result"], sorted(told["holds"])) == (sent["id"], "restored", sorted(sent["holds"]))
    again = trio.command(*bring, code=1)
    assert "an archive lies here already" in again["error"]
    trio.command(*provision, seconds=READY_S)
    assert trio.on(ARCHIVE, f"ls {HOME}/database.sealed/gocryptfs.conf; ls -A {HOME} | grep '^[.]' || :").decode() == (
        f"{HOME}/database.sealed/gocryptfs.conf\n"
    )
    assert {one["id"]: one["manifest"] for one in trio.command("backup.list")["backups"]} == known
    checked = trio.command(*media)["checked"]
    assert {one["check"]["result"] for one in checked} == {"passed"}, checked
    job = trio.command(*database)["restore"]
    assert [(one["name"], one["result"]) for one in job["checks"]] == [("manifest", "passed"), ("amcheck", "passed")]
    look = f"cd / && {job['look'].removeprefix('sudo ')} -XAt -d tiny -c 'select text from line'"
    assert trio.on(ARCHIVE, look).decode().split() == ["copied"]
    trio.command(*end)


@BROUGHT_BACK
def test_afterwards_files_come_back_from_it_and_everything_is_as_ever(trio: Trio) -> None:
    (forget,) = trio.typed("manifest-timestamp")
    trio.on(sites.HOST, forget)
    trio.on(sites.HOST, f"rm -r {MEDIA}/pictures")
    place, *runs = (line.split()[1:] for line in trio.typed("--into place"))
    trio.command(*place, "--yes")
    assert trio.on(sites.HOST, f"cat {MEDIA}/pictures/one") == b"one\n"
    for words in runs:
        assert trio.command(*words)["record"]["check"]["result"] == "passed"
    assert trio.command("backup.offsite")["record"]["check"]["result"] == "passed"
    assert [one for one in trio.command("backup.status")["wrong"] if one["severity"] in ("P0", "P1")] == []
    moment = trio.two_writes("stays", "goes")
    trio.command("backup.restore", "--into", "place", "--to", moment, "--yes")
    both = "select string_agg(text, ' ' order by text) from line where text in ('stays', 'goes')"
    assert trio.sql(both) == "stays"
