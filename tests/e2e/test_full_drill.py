"""A full drill: a new host from the archive alone, asked and taken away; a container, and a machine that was named.

Requirements: BAK-4.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.test_backups import ARCHIVE, MEDIA, PASSWORD, Pair
from tests.support import prober
from tests.support import site as sites
from tests.support.driving import READY_S
from tests.support.pages import blocks

from ferryman import drill_host, paths
from ferryman.sandbox import command, hosts, inventory
from ferryman.sandbox.model import Sandbox
from ferryman.sandbox.ports import free_port
from ferryman.sandbox.probing import probe

PAGE = paths.CHECKOUT / "docs" / "guides" / "full-drill.md"
DRILLS = f"/srv/backups/{sites.ENV}/drills"
MACHINE = "new1"
STEPS = ["choose", "host", "provision", "restore", "provision over it", "release tiny", "ask tiny"]
CHECKS = {"database manifest", "database acknowledged", "database amcheck", "media manifest", "config manifest"}

DRILLS_FULLY = pytest.mark.at_times(journey="a full drill")
ON_A_MACHINE = pytest.mark.at_times(journey="a full drill on a machine that is named")


class World(Pair):
    """A site of sandbox hosts with an archive; a release whose steps ask for what is in its database is live."""

    release: str

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        directory = root / "inventories" / sites.ENV
        own = directory / "group_vars" / "all"
        (own / "sandbox.yml").write_text(yaml.safe_dump({"sandbox_name": self.site.name}))
        apps = yaml.safe_load((own / "apps.yml").read_text())
        apps["apps"]["tiny"]["secrets"] = {"PGPASSWORD": PASSWORD}
        (own / "apps.yml").write_text(yaml.safe_dump(apps))

    def begin(self, paper: Path) -> None:
        """Have it up, with an archive, a release that serves, a file, and a backup of each set."""
        hosts.up(self.sandbox, print)
        self.command("backup.setup", "--paper", str(paper), seconds=READY_S)
        answer = self.site.deploy(self.site.repository.commit(self.asking()), timeout_s=400)
        assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
        self.release = str(answer.said["release"])
        self.on(sites.HOST, f"mkdir {MEDIA}/pictures; echo one > {MEDIA}/pictures/one; chown -R app-tiny-dev: {MEDIA}")
        self.back_up()

    def back_up(self, seconds: float = 300) -> None:
        for kind in ("database", "media", "config"):
            assert self.command("backup.run", "--set", kind, seconds=seconds)["record"]["check"]["result"] == "passed"

    def drill(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Type the guide's command, with this environment's names."""
        (record,) = self.command("drill.full", *words, code=code, seconds=900)["drills"]
        return dict(record)

    def down(self) -> None:
        """Remove its hosts, and what a drill that hung has left."""
        sites.down(self.site)
        name = f"{self.site.name}-{drill_host.GROUP}"
        hosts.down(name, self.site.root / ".ferryman/sandbox" / name)

    def containers(self) -> list[str]:
        """Return the containers of a drill."""
        label = f"label={command.SANDBOX}={self.site.name}-{drill_host.GROUP}"
        return probe().run("ps", "--all", "--quiet", "--filter", label).split()

    def is_gone(self) -> bool:
        """Say whether nothing of a drill is left here or on the archive's host."""
        there = self.on(ARCHIVE, f"ls -d /srv/backups/{sites.ENV}/database/scratch/drill 2>/dev/null || :")
        return not self.containers() and not there and not list((self.site.root / ".ferryman" / "drills").iterdir())


def awaited(is_so: Callable[[], Any], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    sites.sweep("e2e-backups")
    made, paper = World(tmp_path_factory.mktemp("drills") / "project"), tmp_path_factory.mktemp("paper") / "keys.txt"
    try:
        made.begin(paper)
        made.sql(
            "create table since (text text); insert into since values ('quokkas')"
        )  # streamed, and in no base backup
        yield made
    finally:
        made.down()


def typed(having: str) -> list[str]:
    """The words after the program of the one command of the guide that has these words."""
    (line,) = (line for block in blocks(PAGE, "text") for line in block.lines if having in line)
    return line.split()[1:]


@DRILLS_FULLY
def test_a_new_host_gets_everything_serves_and_goes_and_nobody_who_serves_is_touched(
    world: World, tmp_path: Path
) -> None:
    assert typed("--env local") == ["drill.full", "--env", "local"]
    kept = "find /etc/ferryman /srv/tiny-dev/releases -type f -exec sha256sum {} + | sort | sha256sum"
    before = world.on(sites.HOST, kept)
    with prober.Prober(world.site, pause_s=0.2, forgiving=True) as client:
        record = world.drill()
    assert (client.failed, list(client.releases)) == ([], [world.release])
    assert world.on(sites.HOST, kept) == before
    assert world.sql("select text from shown") == "ours", "what a drill writes goes with it"
    assert (record["result"], record["reason"], record["on"]["container"]) == ("passed", "", True)
    assert {one["name"] for one in record["checks"]} == {*CHECKS, "application tiny"}
    assert set(STEPS) <= set(record["parts_s"])
    assert abs(sum(record["parts_s"].values()) - record["rto_s"]) < 0.1
    assert sorted(record["sets"]) == ["config", "database", "media"]
    assert record["sets"]["database"]["rpo_s"] == 0.0
    assert record["rpo_s"] == max(one["rpo_s"] for one in record["sets"].values())
    told = record["applications"]["tiny"]
    assert world.release in told["said"]
    assert {(one["vantage"], one["name"], one["result"]) for one in told["asked"]} == {
        *((place, "what is shown", "passed") for place in ("slot", "entry", "driver")),
        ("slot", "write", "left out"), ("entry", "write", "left out"), ("driver", "write", "passed"),
    }  # fmt: skip
    signed(world, record["id"], tmp_path)
    assert world.is_gone()


def signed(world: World, name: str, tmp_path: Path) -> None:
    """The record that lies on the archive's host is the one that its key has signed."""
    for file in (
        f"{DRILLS}/{name}.json",
        f"{DRILLS}/{name}.json.sig",
        f"/etc/ferryman/backup/{sites.ENV}/drill_ed25519.pub",
    ):
        (tmp_path / Path(file).name).write_bytes(world.on(ARCHIVE, f"cat {file}"))
    signers = tmp_path / "signers"
    signers.write_text(f"us {(tmp_path / 'drill_ed25519.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "us", "-n", "ferryman-drill"]
    with (tmp_path / f"{name}.json").open("rb") as record:
        done = subprocess.run([*verify, "-s", str(tmp_path / f"{name}.json.sig")], stdin=record, check=False)
    assert done.returncode == 0


@DRILLS_FULLY
def test_status_check_and_metrics_tell_of_it_and_it_is_no_drill_of_a_set(world: World) -> None:
    told = world.command("backup.status")
    assert told["full"]["result"] == "passed"
    assert [one["drill"] for one in told["sets"].values()] == [None, None, None]
    metrics = world.on(ARCHIVE, f"cat /var/lib/ferryman/metrics/backup-{sites.ENV}.prom").decode()
    assert f'ferryman_backup_drill_passed{{archive="{sites.ENV}",set="full"}} 1' in metrics
    assert f'ferryman_backup_drill_step_seconds{{archive="{sites.ENV}",set="full",step="restore"}}' in metrics
    said = world.command("check", "--hosts")["hosts"][ARCHIVE]
    assert [one["state"] for one in said if one["key"] == "drill full"] == ["good"]


@DRILLS_FULLY
@pytest.mark.parametrize("begun", ["the new host", "a restored database"])
def test_of_a_drill_that_is_killed_nothing_is_left(world: World, begun: str) -> None:
    scratch = f"ls -d /srv/backups/{sites.ENV}/database/scratch/drill 2>/dev/null || :"
    is_so = world.containers if begun == "the new host" else lambda: world.on(ARCHIVE, scratch)
    driver = world.site.begin("drill.full", "--env", sites.ENV, "--json")
    awaited(is_so, 300)
    driver.process.send_signal(signal.SIGKILL)
    driver.wait(60)
    awaited(world.is_gone, 150)
    assert world.command("backup.status")["full"]["result"] == "passed", "what was killed has no record"


@DRILLS_FULLY
def test_a_deploy_is_refused_without_a_full_drill_where_one_is_asked_for(world: World) -> None:
    for kind in ("database", "media", "config"):
        world.command("backup.drill", "--set", kind)
    with world.site.settings(backup_drill_required=True, backup_full_drill_days=100):
        assert world.command("provision", seconds=READY_S)["changed"]
        world.on(ARCHIVE, f"mkdir /root/aside; mv {DRILLS}/*-full.* /root/aside")
        try:
            refused = world.site.deploy("HEAD")
        finally:
            world.on(ARCHIVE, f"mv /root/aside/* {DRILLS}; rmdir /root/aside")
        assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
        assert "full: no drill was ever made" in refused.text
        assert "`drill.full` makes one" in refused.text
        assert world.site.deploy("HEAD").code == 0


@pytest.fixture(scope="module")
def machine(world: World) -> str:
    """An empty machine in group `drill`, as the guide has it: to Ferryman, servers of one's own."""
    directory = world.site.root / "inventories" / sites.ENV
    tree, port, https = yaml.safe_load((directory / "hosts.yml").read_text()), free_port(), free_port()
    (block,) = (block for block in blocks(PAGE, "yaml") if block.file.endswith("hosts.yml"))
    (group,) = yaml.safe_load(block.text)["all"]["children"]
    tree["all"]["children"][group] = {"hosts": {MACHINE: {
        "ansible_host": "127.0.0.1", "ansible_port": port, "sandbox_image": "base",
        "sandbox_publish": {port: port, https: 443}, "nginx_https_public_port": https,
        "backup_full_drill_address": MACHINE,
    }}}  # fmt: skip
    (directory / "hosts.yml").write_text(yaml.safe_dump(tree))
    (directory / "group_vars" / "all" / "sandbox.yml").unlink()
    own = world.site.root / ".ferryman/sandbox" / world.site.name
    hosts.up(Sandbox(world.site.name, own, tuple(inventory.from_tree(tree))), print)
    return MACHINE


LEFT = """
grep -rl quokkas /srv /var/lib/postgresql /etc/ferryman /var/lib/ferryman 2>/dev/null
find /srv /etc/ferryman/sites /var/lib/ferryman/sites /etc/ferryman-drill* -type f 2>/dev/null
ps -u app-tiny-dev -o pid=; pgrep -x nginx; pgrep -x postgres; nft list tables | grep drill; :
"""


@ON_A_MACHINE
def test_a_machine_that_somebody_named_is_taken_and_left_without_what_was_restored(world: World, machine: str) -> None:
    words = typed("--host")
    assert words[:4] == ["drill.full", "--env", "prod", "--host"]
    record = world.drill("--host", machine)
    assert (record["result"], record["on"]) == ("passed", {"host": machine, "container": False})
    assert world.on(machine, LEFT) == b""
    assert world.on(sites.HOST, "test -d /etc/ferryman/acme && echo kept") == b"kept\n"
    assert world.on(machine, "ls /etc/ferryman/acme 2>/dev/null || :") == b"", "the real authority's account stays away"
    assert world.on(machine, "cat ~postgres/.ssh/authorized_keys") == b""


@ON_A_MACHINE
def test_a_machine_that_serves_is_refused_by_name_by_address_and_by_its_own_word(world: World, machine: str) -> None:
    for name in (sites.HOST, ARCHIVE):
        refused = world.command("drill.full", "--host", name, code=1)
        assert f"{name} is no machine for a drill" in refused["error"]
    world.on(
        machine, """mkdir -p /etc/ferryman; echo '{"format": 1, "environments": ["prod"]}' > /etc/ferryman/host.json"""
    )
    try:
        refused = world.command("drill.full", code=1)
    finally:
        world.on(machine, "rm /etc/ferryman/host.json")
    assert "this host belongs to prod and is none for a drill" in refused["error"]
    assert world.command("backup.status")["full"]["result"] == "passed", "what was refused was no drill"
    assert world.is_gone()


@ON_A_MACHINE
def test_the_same_machine_serves_another_drill_after_one(world: World, machine: str) -> None:
    assert world.drill()["result"] == "passed"
    assert world.on(machine, LEFT) == b""
