"""What role backup promises of files: they come back as they were, and whoever has the host can't take them away.

Requirements: BAK-1, BAK-3.
"""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MEDIA = "/srv/notes/shared"
HOME = "/srv/backups/demo"
OWN = "/etc/ferryman/backup/demo.source"
SOURCE = "/usr/local/lib/ferryman/backup-source"
FILES = "/usr/local/lib/ferryman/backup-files"
DRILL = "timeout 200 /usr/local/lib/ferryman/backup drill --name demo --set media"
ACCOUNT = "ferryman-borg@host"
PASSPHRASE = "known to this scenario alone"
PLAIN = "a-word-that-nobody-else-uses"
# Names, modes, owners, links and contents of all that lies in a directory, by other means than those under test.
LOOK = (
    "cd {0} && find . -name '.ferryman-*' -prune -o -printf '%P %M %u:%g %l\\n' | sort; "
    "find . -name '.ferryman-*' -prune -o -type f -print0 | sort -z | xargs -0 sha256sum"
)


class Host:
    """The host whose files are taken; `archive` keeps them."""

    def __init__(self, host: Any, archive: Any) -> None:
        self.host, self.archive = host, archive
        self.port = json.loads(self.sh("cat /etc/ferryman/backup/demo.source.json"))["port"]

    def sh(self, command: str) -> str:
        """Run a command that must end well."""
        return str(self.host.check_output("sh -c %s", command))

    def act(self, verb: str, *words: str) -> Any:
        return self.host.run(f"timeout 200 {SOURCE} {verb} --name demo {' '.join(words)}")

    def take(self, kind: str = "media") -> str:
        """Take a backup that must be good; return its id."""
        done = self.act("take", "--set", kind, "--json")
        assert done.rc == 0, done.stdout + done.stderr
        return str(json.loads(done.stdout)["id"])

    def refused(self) -> str:
        """Have a backup fail; return what was said."""
        done = self.act("take", "--set", "media")
        assert done.rc == 1, done.stdout
        return str(done.stdout)

    def collect(self) -> Any:
        return self.archive.host.run(f"timeout 200 {FILES} collect --name demo")

    def record(self, name: str) -> dict[str, Any]:
        """Return a backup as the catalogue has it."""
        return next(record for record in self.archive.records() if record["id"] == name)

    def look(self, path: str = MEDIA) -> str:
        return self.sh(LOOK.format(path))

    def restore(self, record: dict[str, Any], *words: str) -> dict[str, Any]:
        """Restore as the driver does, with what the catalogue knows; return the job."""
        known = ["--backup", record["id"], "--engine-id", record["engine_id"], "--manifest", record["manifest"]]
        done = self.act("restore", "--json", "--set", record["set"], *known, *words)
        assert done.rc == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def ssh(self, key: str) -> str:
        """The ssh command by one of the host's keys, as its root would type it."""
        known = f"-o UserKnownHostsFile={OWN}/known_hosts -o BatchMode=yes -p {self.port}"
        return f"timeout 60 ssh -i {OWN}/{key} {known}"

    def borg(self, words: str, path: str = f"{HOME}/media") -> Any:
        """borg as the host's root would type it, with all that is on the host."""
        settings = {
            "BORG_REPO": f"ssh://{ACCOUNT}:{self.port}{path}",
            "BORG_RSH": self.ssh("append"),
            "BORG_PASSCOMMAND": f"cat {OWN}/passphrase",
            "BORG_BASE_DIR": "/var/lib/ferryman/backup/demo/borg",
        }
        told = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        return self.host.run("sh -c %s", f"export {told}; {words}")

    def size(self) -> int:
        return int(self.archive.sh(f"du -sb {HOME}/media/data | cut -f1"))

    @contextmanager
    def held_in_the_middle(self) -> Iterator[None]:
        """Begin a backup of what is large, and hold its server in the middle, so that no machine is too fast for it."""
        until = f"until [ $(du -sb {HOME}/media/data | cut -f1) -gt {self.size() + 20_000_000} ]; do sleep 0.05; done"
        self.sh(f"systemd-run -q --collect --unit taking systemd-cat -t taking {SOURCE} take --name demo --set media")
        self.archive.sh(f"timeout 60 sh -c '{until}; pkill -STOP -u ferryman-borg -x borg'")
        try:
            yield
        finally:
            self.archive.sh("pkill -CONT -u ferryman-borg -x borg")
        self.sh("timeout 100 sh -c 'while systemctl is-active -q taking; do sleep 0.2; done'")


@pytest.fixture(scope="module")
def source(archive: Any, database: Any) -> Iterator[Host]:
    host = Host(database.host, archive)
    host.sh(
        f"mkdir -p {MEDIA}/pictures/2026 {MEDIA}/empty && cd {MEDIA} && head -c 3000000 /dev/urandom > pictures/big && "
        "for i in $(seq 200); do echo $i > pictures/2026/$i; done; ln -sf pictures/big link; ln -f pictures/big hard; "
        "chown -R www-data:www-data pictures; chmod 600 pictures/big; chmod 2750 pictures; "
        f': > "$(printf "odd\\nname é")"; echo {PLAIN} > plain'
    )
    with archive.quiet("collect"):  # what comes is looked at by the tests
        yield host


@pytest.fixture(scope="module")
def taken(source: Host) -> list[str]:
    """Backups of media by their ids: by the timers' unit, while files change, and of what stays for a while."""
    source.sh("systemctl start ferryman-backup-demo-run-media.service ferryman-backup-demo-run-config.service")
    writing = f"cd {MEDIA}; while :; do i=$((i+1)); echo $i >> busy; echo $i > new-$i; rm -f new-$((i-9)); done"
    source.sh(f"systemd-run -q --unit writing sh -c {shlex.quote(writing)}")
    try:
        changing = source.take()
    finally:
        source.sh(f"systemctl stop writing; rm -f {MEDIA}/new-* {MEDIA}/busy")
    last = source.take()
    source.archive.sh("systemctl start ferryman-backup-demo-collect.service")
    media = [record["id"] for record in source.archive.records() if record["set"] == "media"][-3:]
    assert media[1:] == [changing, last]
    return media


def test_units_take_send_enter_and_check(source: Host, taken: list[str]) -> None:
    config = next(record for record in source.archive.records() if record["set"] == "config")
    for record in (source.record(taken[0]), config):
        assert (record["result"], record["check"]["result"], record["source"]) == ("taken", "passed", {"host": "db"})
    told = source.archive.manifest(source.record(taken[-1]))["files"][MEDIA]
    assert told["files"] == int(source.sh(f"find {MEDIA} -not -type d -printf x | wc -c"))
    assert told["bytes"] == sum(map(int, source.sh(f"find {MEDIA} -type f -printf '%s\\n'").split()))


def test_files_that_change_while_they_are_taken_are_told_as_they_were_taken(source: Host, taken: list[str]) -> None:
    assert source.record(taken[1])["check"]["result"] == "passed"


def test_what_runs_by_itself_is_on_with_a_random_delay_and_is_made_up_for(source: Host) -> None:
    timers = " ".join(f"ferryman-backup-demo-run-{kind}.timer" for kind in ("media", "config"))
    source.sh(f"systemctl is-enabled {timers} && systemctl is-active {timers}")
    told = source.sh(f"systemctl show -P Persistent -P RandomizedDelayUSec {timers}")
    assert sorted(told.split()) == ["1min", "1min", "yes", "yes"]
    source.archive.sh("systemctl is-enabled ferryman-backup-demo-collect.timer")


def test_the_passphrase_is_in_one_file_a_host_that_root_alone_may_read(source: Host) -> None:
    hidden = PASSPHRASE.replace("alone", "alon[e]")  # a pattern that is not found in sudo's log of this search
    for host, path in ((source.host, OWN), (source.archive.host, "/etc/ferryman/backup/demo.files")):
        found = host.run("grep -rlI %s /etc /var/log /srv /usr/local /run /tmp /root /var/lib/ferryman", hidden)
        assert found.stdout.split() == [f"{path}/passphrase"]
        assert (host.file(f"{path}/passphrase").user, host.file(f"{path}/passphrase").mode) == ("root", 0o600)
        assert host.file(path).mode == 0o700
        assert host.run("journalctl --no-pager -o cat | grep -c %s", hidden).stdout == "0\n"


@pytest.mark.usefixtures("taken")
def test_the_repositories_are_encrypted(source: Host) -> None:
    assert source.archive.host.run(f"grep -r {PLAIN} {HOME}/media").stdout == ""


def test_the_keys_of_the_host_give_no_shell_no_forwarding_and_no_other_repository(source: Host) -> None:
    for key in ("append", "room"):
        assert "ferryman-borg" not in source.host.run(f"{source.ssh(key)} {ACCOUNT} id -un </dev/null").stdout
    source.sh(f"! {source.ssh('room')} -N -o ExitOnForwardFailure=yes -R 9:localhost:9 {ACCOUNT}")
    assert len(source.sh(f"{source.ssh('room')} {ACCOUNT} cat /etc/passwd").split()) == 3
    done = source.borg("borg list", f"{HOME}/media/../database")
    assert done.rc == 2
    assert "not allowed" in done.stderr, done.stderr
    assert source.borg("BORG_DELETE_I_KNOW_WHAT_I_AM_DOING=YES borg delete").rc != 0
    assert source.archive.host.file(f"{HOME}/media/config").exists


# Two backups of long ago, so that the older is due to go.
AGED = """
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
own = Archive("demo")
for record in own.records():
    if record["id"] in {moments!r}:
        own.write("records", dict(record, began_at={moments!r}[record["id"]]))
"""


def test_what_the_host_deletes_or_locks_never_becomes_final_and_can_be_undone(source: Host, taken: list[str]) -> None:
    """borg's append-only mode accepts a delete and another key; the archive's own compact would make them final."""
    oldest, old, new = taken
    moments = {oldest: "2024-01-01T00:00:00Z", old: "2025-01-01T00:00:00Z"}
    known, look, before = source.record(new), source.look(), source.size()
    change = "BORG_NEW_PASSPHRASE='of somebody else' borg key change-passphrase"
    done = source.borg(f"borg delete --force ::{new} && borg compact && {change}")
    assert done.rc == 0, "as long as borg lets it, it must be put right"
    source.archive.python(AGED.format(moments=moments))
    told = source.collect()
    assert told.rc == 1
    assert "had changed the configuration" in told.stdout
    assert f"{new} went from the repository, and not by this host" in told.stdout
    assert f"{oldest} could not be pruned" in told.stdout
    assert "nothing is pruned or compacted" in told.stdout
    assert source.size() >= before
    grave = [one["said"] for one in source.archive.state()["wrong"] if one["severity"] == "P1"]
    assert any(said.startswith(f"{new} did not pass its check: it went from the repository") for said in grave)
    lost = source.take()
    said = source.archive.sh(f"{FILES} undelete --name demo --set media")
    assert said.startswith(f"there again: {new}; lost: {lost}; aside: ")
    assert source.record(new)["check"]["result"] == "passed"
    assert "newer" in source.act("restore", "--backup", new, "--into", "/root/back").stdout
    source.sh("rm -rf /var/lib/ferryman/backup/demo/borg")
    source.restore(known, "--into", "/root/back")
    assert source.look(f"/root/back{MEDIA}") == look
    told = source.collect()
    assert (told.rc, told.stdout) == (0, f"pruned {oldest}\n")
    listed = source.borg("borg list --short").stdout.split()
    assert [name in listed for name in (oldest, old, new)] == [False, True, True]
    source.sh("rm -rf /root/back")


def test_a_restore_in_place_keeps_aside_what_was_there_and_can_go_back(source: Host, taken: list[str]) -> None:
    before = source.look()
    source.sh(f"cd {MEDIA} && rm -r pictures/2026 link && echo broken > pictures/big && touch later && chmod 777 empty")
    broken = source.look()
    mounted = f"systemd-run -q --unit looking -p ProtectSystem=strict -p ReadWritePaths={MEDIA} sh -c "
    source.sh(mounted + shlex.quote(f"until [ -e {MEDIA}/pictures/2026/7 ]; do sleep 0.2; done; touch {MEDIA}/seen"))
    job = source.restore(source.record(taken[-1]), "--place")
    source.sh(f"timeout 20 sh -c 'until [ -e {MEDIA}/seen ]; do sleep 0.1; done'; rm {MEDIA}/seen")
    assert source.look() == before
    assert source.sh(f"cat {job['aside'][0]}/pictures/big") == "broken"
    assert json.loads(source.sh(f"cat /var/lib/ferryman/backup/demo/jobs/{job['id']}.json"))["result"] == "restored"
    done = source.act("back", "--set", "media")
    assert done.rc == 0, done.stderr
    assert source.look() == broken
    source.sh(f"rm -rf {MEDIA}/.ferryman-*")


# A bit in the middle of each file of the repository that holds what is large, by its first name `hard`; once more, and
# all is as it was.
FLIP = f"""
import glob, os
for path in glob.glob("{HOME}/media/data/*/*"):
    if os.path.getsize(path) > 10**6:
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))
"""


@pytest.mark.usefixtures("taken")
def test_a_drill_of_files_passes_by_the_timers_unit_and_names_the_file_that_is_lost(source: Host) -> None:
    """The unit goes on to the next set, whatever came of one; what it restored is on no disk afterwards."""
    sh = source.archive.sh
    sh("systemctl start ferryman-backup-demo-drill.service")
    lasts = {kind: one["drill"] for kind, one in source.archive.state()["sets"].items()}
    assert {kind: one["result"] for kind, one in lasts.items()} == dict.fromkeys(
        ("database", "media", "config"), "passed"
    )
    record = source.record(lasts["media"]["sets"]["media"]["backup"])
    files = source.archive.manifest(record)["files"][MEDIA]["files"]
    assert files > 200
    assert lasts["media"]["checks"][0]["said"].startswith(f"{files} files with ")
    assert not [one for one in source.archive.state()["wrong"] if "drill" in one["said"]]
    source.archive.python(FLIP)
    try:
        done = source.archive.host.run(DRILL)
    finally:
        source.archive.python(FLIP)
    assert done.rc == 1, done.stdout
    lost = f"failed borg extract, at {MEDIA}/hard, ended with 2: Data integrity error"
    assert lost in done.stdout
    wrong = source.archive.state()["wrong"]
    assert [one["set"] for one in wrong if "the last drill failed" in one["said"]] == ["media"]
    assert not source.archive.host.file(f"{HOME}/scratch/drill").exists
    assert sh(DRILL).splitlines()[0].endswith("-drill-media passed")


def test_configuration_comes_back_and_what_tells_of_this_moment_stays(source: Host) -> None:
    own = "/var/lib/ferryman/sites/notes"
    source.sh(
        f"mkdir -p {own}/arbiter {own}/sets/25; echo 1 > {own}/arbiter/ledger.jsonl; echo 1 > {own}/token.json; "
        f"mkdir -p /etc/ferryman/sites/notes/secrets; ln -sfn sets/25 {own}/share; umask 077; "
        "echo of-the-database > /etc/ferryman/sites/notes/secrets/DATABASE_URL"
    )
    source.take("config")
    source.sh(f"rm -r /etc/ferryman/sites {own}/arbiter/ledger.jsonl; echo 2 > {own}/token.json")
    done = source.act("restore", "--set", "config", "--place")  # the newest, by what lies on this host alone
    assert done.rc == 0, done.stdout + done.stderr
    secret = source.host.file("/etc/ferryman/sites/notes/secrets/DATABASE_URL")
    assert (secret.content_string, secret.mode, secret.user) == ("of-the-database\n", 0o600, "root")
    assert source.sh(f"cat {own}/arbiter/ledger.jsonl {own}/token.json; readlink {own}/share") == "1\n2\nsets/25"


def test_a_run_that_cannot_go_on_says_why_and_leaves_what_was_there(source: Host) -> None:
    """Too little room, an archive that is away, and another run at work."""
    before = source.size()
    source.archive.sh(f"fallocate -l $(($(df --output=avail -B1 {HOME} | tail -1) - 90000000)) {HOME}/ballast")
    said = source.refused()
    source.archive.sh(f"rm {HOME}/ballast")
    assert "too little; nothing was overwritten, nothing was pruned" in said
    assert source.size() < before + 100_000, "what was told of the failure"
    addresses = "for a in $(getent ahosts host | cut -d' ' -f1 | sort -u)"
    source.sh(f"{addresses}; do ip route add blackhole $a; done")
    try:
        assert "does not answer" in source.refused()
    finally:
        source.sh(f"{addresses}; do ip route del blackhole $a; done")
    second = source.host.run(f"flock /run/lock/ferryman-backup-demo-media {SOURCE} take --name demo --set media")
    assert second.rc == 1
    assert "another run is at work on media of demo" in second.stderr
    told = source.sh("cat /var/lib/ferryman/metrics/backup-demo-source.prom")
    assert 'ferryman_backup_source_last_failure_timestamp_seconds{archive="demo",set="media"}' in told


def test_a_run_that_is_killed_or_fills_the_disk_in_the_middle_stops_no_other(source: Host, taken: list[str]) -> None:
    source.sh(f"head -c 200000000 /dev/urandom > {MEDIA}/large")
    with source.held_in_the_middle():
        source.sh("systemctl kill -s KILL taking")
    with source.held_in_the_middle():
        source.archive.sh(f"cat /dev/zero > {HOME}/ballast || :")
    source.archive.sh(f"rm {HOME}/ballast")
    source.sh(f"rm {MEDIA}/large; journalctl --sync")
    said = source.sh("journalctl -o cat -t taking")
    assert "the archive's disk is full" in said
    assert " taken" not in said
    after = source.take()
    source.collect()
    assert source.record(after)["check"]["result"] == "passed"
    source.restore(source.record(taken[-1]), "--into", "/root/back")
    source.sh("rm -rf /root/back")


ANEW = f"""
systemctl stop ferryman-backup-demo-collect.timer ferryman-backup-demo-collect.service
rm -r /etc/ferryman/backup/demo.files* /var/lib/ferryman-borg
userdel ferryman-borg && useradd --system somebody-else
chown -R 4242:4242 {HOME}/media {HOME}/config
"""
WRITTEN = (
    "find /etc/ferryman/backup /var/lib/ferryman-borg -type f 2>/dev/null | sort | xargs sha256sum; ls -ln " + HOME
)


@pytest.mark.usefixtures("taken")
@pytest.mark.at_times(journey="an archive host made anew")
def test_an_archive_host_made_anew_over_its_old_disk_takes_the_right_passphrase_and_no_other(
    source: Host, play: Any
) -> None:
    """Its account has another number there, and nothing is left of what opened the repositories but the paper."""
    source.archive.sh(ANEW)
    before = source.archive.sh(WRITTEN), source.sh(WRITTEN.replace(HOME, MEDIA))
    refused = play("files.yml", "of somebody who is in a hurry")
    assert refused.returncode == 2, refused.stdout
    said = " ".join((refused.stdout + refused.stderr).split())  # whatever breaks its lines
    assert f"backup_passphrase does not open {HOME}/media and {HOME}/config" in said
    assert (source.archive.sh(WRITTEN), source.sh(WRITTEN.replace(HOME, MEDIA))) == before
    done = play("files.yml", PASSPHRASE)
    assert done.returncode == 0, done.stdout
    source.archive.sh("systemctl stop ferryman-backup-demo-collect.timer")
    name = source.take()
    source.collect()
    assert source.record(name)["check"]["result"] == "passed"
    source.archive.sh(f"! find {HOME}/media {HOME}/config -not -user ferryman-borg | grep .")


GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "backups-of-files.md"
BLOCKS = re.findall(r"^```text\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
BY_HAND = [block for block in BLOCKS if "borg extract ::" in block or "borg --bypass-lock extract ::" in block]


@pytest.mark.parametrize("number", range(2))
def test_a_backup_is_restored_by_hand_as_the_guide_says(source: Host, taken: list[str], number: int) -> None:
    block = BY_HAND[number].replace("20261126T023107Z-media", taken[-1]).replace("/prod", "/demo")
    block = block.replace("backup1:22", f"host:{source.port}")
    host = source.host if "ssh://" in block else source.archive.host
    told = host.check_output("sh -ec %s", block)
    assert taken[-1] in told
    assert host.check_output("cat /root/back/srv/notes/shared/pictures/2026/7") == "7"
    if host is source.archive.host:
        assert json.loads(told[told.index("{") :]) == source.archive.manifest(source.record(taken[-1]))
    host.check_output("rm -rf /root/back /root/borg")
