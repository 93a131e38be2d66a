"""A cache as a team has it: what was in it comes back as it was, and what came later does not.

Requirements: BAK-8.
"""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.test_backups import Pair
from tests.support import histories
from tests.support import site as sites
from tests.support.driving import READY_S
from tests.support.pages import blocks

from ferryman import paths
from ferryman.sandbox import hosts

pytestmark = pytest.mark.at_times(journey="a cache")

PAGE = paths.CHECKOUT / "docs" / "guides" / "cache.md"
BACKUPS = paths.CHECKOUT / "docs" / "guides" / "backups.md"
MEDIA = "/srv/tiny-dev/shared"
PASSWORD = "of nobody's cache, and long"
SOURCE = "/usr/local/lib/ferryman/backup-source"
COLLECT = f"/usr/local/lib/ferryman/backup-files collect --name {sites.ENV}"
ARCHIVE = "archive1"


class Cached(Pair):
    """A pair of hosts whose first has a cache."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        directory = root / "inventories" / sites.ENV
        tree = yaml.safe_load((directory / "hosts.yml").read_text())
        tree["all"]["children"]["cache"] = {"hosts": {sites.HOST: {}}}
        (directory / "hosts.yml").write_text(yaml.safe_dump(tree))
        told = {"cache_password": PASSWORD, "cache_memory_mb": 32}
        (directory / "group_vars" / "all" / "cache.yml").write_text(yaml.safe_dump(told))

    @property
    def engine(self) -> str:
        return str(json.loads(self.on(sites.HOST, "cat /etc/ferryman/cache.json"))["engine"])

    def ask(self, words: str) -> str:
        """Ask the cache as an application does."""
        asked = f"REDISCLI_AUTH={shlex.quote(PASSWORD)} {self.engine}-cli {words}"
        return self.on(sites.HOST, asked).decode().strip()

    def take(self) -> dict[str, Any]:
        return dict(self.command("backup.run", "--set", "cache")["record"])

    def manifest(self, backup: str) -> dict[str, Any]:
        path = f"/srv/backups/{sites.ENV}/manifests/{backup}.json"
        return dict(json.loads(self.on(ARCHIVE, f"cat {path}")))


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cached]:
    sites.sweep("e2e-backups")
    made = Cached(tmp_path_factory.mktemp("cache") / "project")
    paper = tmp_path_factory.mktemp("paper") / "keys.txt"
    try:
        hosts.up(made.sandbox, lambda line: print(line, file=sys.stderr))
        made.first = made.command("backup.setup", "--paper", str(paper), seconds=READY_S)
        yield made
    finally:
        sites.down(made.site)


def typed(having: str, page: Path = PAGE, **ours: str) -> list[list[str]]:
    """Return the words of each command in a guide's block with these words, with this environment's names."""
    lines = next(block.lines for block in blocks(page, "text") if having in block.text)
    text = "\n".join(lines).replace("prod", sites.ENV)
    for theirs, mine in {"2026-11-26T09:00:00Z": "moment", "20261125T180000Z-1a2b3c4": "release"}.items():
        text = text.replace(theirs, ours.get(mine, theirs))
    return [line.split()[1:] for line in text.splitlines()]


def test_the_setup_takes_a_first_backup_of_it_too_and_changes_nothing_again(cached: Cached) -> None:
    taken = {one["set"]: one["check"]["result"] for one in cached.first["taken"]}
    assert taken == dict.fromkeys(("database", "media", "config", "cache"), "passed")
    again = cached.command("provision")
    assert again["changed"] is False, again


def test_what_was_there_comes_back_and_what_came_later_does_not(cached: Cached) -> None:
    cached.ask("set before yes")
    cached.ask("-n 3 rpush list a b c")
    cached.ask("set short yes px 15000")
    for words in typed("backup.run"):
        cached.command(*words)
    backup = cached.command("backup.list", "--set", "cache")["backups"][-1]["id"]
    held = cached.manifest(backup)["cache"]
    assert held["keys"] == {"0": 2, "3": 1}, "also the one whose time is over when it is counted"
    cached.ask("set later yes")
    cached.ask("set before other")
    scratch, end, place, undo = typed("--into place --undo", moment=backup)
    told = cached.command(*scratch)["files"]
    looks = "; ".join(f"{told['look']} {words}" for words in ("get before", "exists later", "dbsize"))
    assert cached.on(sites.HOST, looks).decode().split() == ["yes", "0", "2"]
    cached.command(*end)
    cached.on(sites.HOST, f"test ! -e {told['into']} && ! systemctl is-active -q ferryman-cache-{sites.ENV}-restored")
    gone = (
        f"until [ $(REDISCLI_AUTH={shlex.quote(PASSWORD)} {cached.engine}-cli exists short) = 0 ]; do sleep 0.2; done"
    )
    cached.on(sites.HOST, f"timeout 30 bash -c {shlex.quote(gone)}")
    refused = cached.command(*place, code=1)
    assert "nobody is here to be asked" in refused["error"]
    aside = cached.command(*place, "--yes")["files"]["aside"]
    assert [cached.ask(f"get {key}") for key in ("before", "later", "short")] == ["yes", "", ""]
    assert cached.ask("-n 3 lrange list 0 -1").split() == ["a", "b", "c"]
    cached.on(sites.HOST, f"test -s {aside[0]}")
    cached.command(*undo, "--yes")
    assert [cached.ask(f"get {key}") for key in ("before", "later")] == ["other", "yes"]


def test_a_drill_has_a_server_count_what_is_in_it(cached: Cached) -> None:
    cached.ask("set counted yes")
    record = cached.take()
    (drill,) = cached.command("backup.drill", "--set", "cache")["drills"]
    assert [(one["name"], one["result"]) for one in drill["checks"]] == [("manifest", "passed"), ("cache", "passed")]
    assert drill["sets"]["cache"]["backup"] == record["id"]
    keys = sum(cached.manifest(record["id"])["cache"]["keys"].values())
    assert drill["checks"][1]["said"] == f"{keys} keys are as they were"
    left = f"test -e /srv/backups/{sites.ENV}/scratch/drill || systemctl is-active -q ferryman-cache-{sites.ENV}-drill"
    cached.on(ARCHIVE, f"! {{ {left}; }}")


def test_a_snapshot_that_cannot_be_written_is_no_backup_and_the_cache_serves_on(cached: Cached) -> None:
    data = f"/var/lib/{cached.engine}/ferryman"
    cached.on(sites.HOST, f"chmod 0500 {data}")
    try:
        refused = cached.command("backup.run", "--set", "cache", code=1)
        assert "the snapshot could not be written (err)" in refused["error"]
        assert cached.ask("set written meanwhile") == "OK"
    finally:
        cached.on(sites.HOST, f"chmod 0750 {data}")
    cached.on(ARCHIVE, f"{COLLECT} && exit 1 || :")  # as its timer does: what failed is in the catalogue, too
    assert cached.take()["check"]["result"] == "passed"


def test_a_restore_that_was_killed_between_two_renames_is_taken_back(cached: Cached) -> None:
    cached.ask("set kept yes")
    unit, own = f"{cached.engine}-server@ferryman", f"/var/lib/{cached.engine}/ferryman/dump.rdb"
    cached.on(sites.HOST, f"systemctl stop {unit}; mv {own} {own}.before-killed")
    cached.on(sites.HOST, f"{SOURCE} back --name {sites.ENV} --set cache --run killed")
    assert cached.ask("get kept") == "yes"


def test_a_snapshot_is_put_in_by_hand_as_the_guide_says(cached: Cached) -> None:
    cached.ask("set hand made")
    backup = cached.take()["id"]
    cached.ask("set hand other")
    root = f"/var/lib/ferryman-cache/{sites.ENV}"
    (lines,) = (block.lines for block in blocks(PAGE, "text") if "systemctl stop" in block.text)
    script = "\n".join(lines).replace("prod", sites.ENV).replace("redis", cached.engine)
    by_hand = (
        f"export BORG_REPO=/srv/backups/{sites.ENV}/cache BORG_BASE_DIR=/root/borg "
        f'BORG_PASSCOMMAND="cat /etc/ferryman/backup/{sites.ENV}.files/passphrase"; '
        f"borg --bypass-lock extract --stdout ::{backup} {root.lstrip('/')}/dump.rdb"
    )
    snapshot = cached.on(ARCHIVE, by_hand)
    cached.on(sites.HOST, f"mkdir -p /root/back{root}; cat > /root/back{root}/dump.rdb", binary=snapshot)
    cached.on(sites.HOST, f"set -e\n{script}\nrm -r /root/back")
    assert cached.ask("get hand") == "made"


def test_its_password_is_in_no_log_and_no_process_of_either_host(cached: Cached) -> None:
    cached.take()
    for host in (sites.HOST, ARCHIVE):
        # The tests' own questions carry it, by sudo: what Ferryman did is looked for.
        found = "journalctl --no-pager -o cat _COMM=python3 + _COMM=redis-server + _COMM=valkey-server"
        files = "grep -rlaFf /run/word /etc /var/lib/ferryman* /srv/backups 2>/dev/null || :"
        told = cached.on(host, f"cat > /run/word; {found} | grep -acFf /run/word || :; {files}; rm /run/word",
                         binary=PASSWORD.encode())  # fmt: skip
        assert told.decode().split() == ["0"]


def state(cached: Cached) -> tuple[str, str, str]:
    """What there is of the row, the file and the key that were written before a moment, and after it."""
    rows = cached.sql("select string_agg(text, ' ' order by text) from line")
    files = cached.on(sites.HOST, f"cd {MEDIA} && ls before after 2>/dev/null || :").decode().split()
    return rows, " ".join(sorted(files)), cached.ask("exists of-before") + cached.ask("exists of-after")


def test_every_set_is_restored_in_one_job_as_of_one_moment_and_goes_back(cached: Cached) -> None:
    cached.sql("create table if not exists line (text text)")
    cached.on(sites.HOST, f"touch {MEDIA}/before")
    cached.ask("set of-before 1")
    for kind in ("database", "media", "config", "cache"):
        cached.command("backup.run", "--set", kind)
    moment = cached.two_writes("before", "after")
    cached.on(sites.HOST, f"touch {MEDIA}/after")
    cached.ask("set of-after 1")
    cached.command("backup.run", "--set", "media")
    now = ("after before", "after before", "11")
    assert state(cached) == now
    beside, place, undo = typed("--set all", BACKUPS, moment=moment)
    told = cached.command(*beside)["whole"]
    assert {kind for kind, one in told["sets"].items() if one["into"]} == {"database", "media", "config", "cache"}
    assert all(one["of"] <= moment for one in told["sets"].values())
    media = told["sets"]["media"]["into"]
    assert cached.on(sites.HOST, f"ls {media}{MEDIA}").decode().split() == ["before"]
    refused = cached.command(*place, code=1)
    assert "nobody is here to be asked" in refused["error"]
    told = cached.command(*place, "--yes")["whole"]
    assert state(cached) == ("before", "before", "10")
    job = json.loads(cached.on(ARCHIVE, f"cat /srv/backups/{sites.ENV}/jobs/{told['id']}.json"))
    assert (job["result"], sorted(job["sets"])) == ("restored", ["cache", "config", "database", "media"])
    cached.command(*undo, "--yes")
    assert state(cached) == now
    cached.command("backup.restore", "--end")
    cached.command("backup.restore", "--end", "--set", "cache")


def test_where_one_set_cannot_be_restored_none_is(cached: Cached) -> None:
    refused = cached.command("backup.restore", "--set", "all", "--to", "2020-01-01T00:00:00Z", code=1)
    for kind in ("database", "media", "config", "cache"):
        assert f"{kind}: nothing reaches back to 2020-01-01T00:00:00.000000Z" in refused["error"]
    cached.sql("create table if not exists line (text text)")
    before = state(cached)
    cached.ask("set since 1")
    unit = f"/etc/systemd/system/{cached.engine}-server@ferryman.service.d/broken.conf"
    cached.on(sites.HOST, f"printf '[Service]\\nExecStartPre=/bin/false\\n' > {unit}; systemctl daemon-reload")
    try:
        failed = cached.command("backup.restore", "--set", "all", "--into", "place", "--yes", code=3)
    finally:
        cached.on(sites.HOST, f"rm {unit}; systemctl daemon-reload; systemctl restart {cached.engine}-server@ferryman")
    assert "did not start" in failed["error"]
    assert state(cached) == before
    assert cached.ask("exists since") == "1"


def test_a_release_is_gone_back_to_by_a_backup_of_its_time(cached: Cached) -> None:
    first = cached.site.deploy("HEAD")
    assert first.code == 0, str(first)
    record = cached.command("backup.run")["record"]
    (words,) = typed("1a2b3c4", BACKUPS, release=first.said["release"])
    told = cached.command(*words)["restore"]
    assert (told["backup"], told["result"]) == (record["id"], "passed")
    cached.command("backup.restore", "--end")
    second = cached.site.deploy(cached.site.repository.commit(histories.Version("second")))
    assert second.code == 0, str(second)
    refused = cached.command("backup.restore", "--to", second.said["release"], code=1)
    lacks = f"no backup of database that passed its check was taken while {second.said['release']} was live"
    assert f"{lacks}, there is one of {first.said['release']}" in refused["error"]
    unknown = cached.command("backup.restore", "--to", "20200101T000000Z-abcdef0", code=1)
    assert unknown["error"] == f"no ledger of {sites.ENV} has a release 20200101T000000Z-abcdef0"
