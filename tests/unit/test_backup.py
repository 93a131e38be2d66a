"""What people are told of backups, and what they may type."""

from pathlib import Path
from typing import Any

import pytest

from ferryman import asking, backup, backup_restore
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, Stop
from ferryman.outcomes import Story

RECORD = {
    "id": "20261126T010000Z-database", "bytes": 31_000_000, "duration_s": 6.4, "result": "taken", "reason": "",
    "check": {"result": "passed", "findings": []}, "why": "the newest that passed its check", "encrypted": True,
    "copy": "",
    "source": {"host": "db1", "version": "15.20"}, "point": {"at": "2026-11-26T01:00:05Z"},
}  # fmt: skip
STATE: dict[str, Any] = {
    "environment": "prod", "wrong": [], "stream": {"running": True, "behind_bytes": 0, "sync": "quorum", "waits": True,
               "beside": None},
    "space": {"free": 5 * 10**9},
    "offsite": None,
    "full": None,
    "sets": {"database": {
        "last": RECORD["id"], "count": 7, "bytes": 31_000_000, "success_rate": 1.0,
        "drill": {"id": "20261101T050000Z-drill-database", "result": "passed", "rto_s": 17.9},
    }},
}  # fmt: skip


class Asked:
    """What a task's context says: no JSON is wanted."""

    class ferryman:  # noqa: N801  # the name is the context's
        json = False


def test_each_backup_is_listed_with_why_it_is_kept() -> None:
    failed = {
        **RECORD,
        "id": "20261125T010000Z-database",
        "result": "failed",
        "check": None,
        "bytes": 0,
        "why": "young",
    }
    told = {"environment": "prod", "offsite": None, "backups": [failed, {**RECORD, "check": None}, RECORD]}
    rows = [line.split("  ") for line in backup.listed(told).splitlines()]
    assert [[cell.strip() for cell in row if cell.strip()][2] for row in rows] == [
        "check", "not taken", "not yet", "passed",
    ]  # fmt: skip
    assert backup.listed(told).endswith("encrypted  the newest that passed its check")
    assert backup.listed({"environment": "prod", "offsite": None, "backups": []}) == "prod: no backup was ever taken"


def test_the_backups_of_one_set_are_listed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [{**RECORD, "id": f"20261126T010000Z-{kind}", "set": kind} for kind in ("database", "media")]
    monkeypatch.setattr(backup, "look", lambda env, verb: {"environment": env, "offsite": None, "backups": both})
    ids = {kind: [one["id"] for one in backup.list_of("prod", kind=kind)["backups"]] for kind in ("", "media")}
    assert ids == {"": [one["id"] for one in both], "media": ["20261126T010000Z-media"]}
    assert backup.listed(backup.list_of("prod", kind="config")) == "prod: no backup of config was ever taken"
    with pytest.raises(Stop, match="there is no set 'medai'"):
        backup.list_of("prod", kind="medai")


def test_of_each_backup_it_is_listed_in_which_copy_off_site_it_is_and_where_that_lies() -> None:
    away = {"repository": "s3:https://s3.example.org/b", "last": "20261126T040000Z-offsite", "count": 3, "bytes": 9}
    backups = [{**RECORD, "copy": away["last"]}, {**RECORD, "id": "20261127T010000Z-database"}]
    lines = backup.listed({"environment": "prod", "offsite": away, "backups": backups}).splitlines()
    column = lines[0].index("off site")
    assert [line[column:].split("  ")[0] for line in lines[1:3]] == [away["last"], "not yet"]
    assert lines[-1] == f"off site is {away['repository']}"
    assert f"  off site in {away['last']}" in backup.shown({"backup": backups[0]}).splitlines()
    assert backup.state({**STATE, "offsite": away}).splitlines()[-1] == (
        f"off site: 3 copies in {away['repository']}, the last {away['last']} (9 B)"
    )


def test_an_environment_without_an_archive_is_told_where_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="prod has no archive host") as stopped:
        backup.require_archive(Environment("prod", tmp_path), Story(), "archive")
    assert stopped.value.hint.startswith(f"name one in group `backup` of {tmp_path}/hosts.yml")


def test_all_of_one_backup_is_shown_with_what_is_wrong() -> None:
    bad = {**RECORD, "check": {"result": "failed", "findings": [{"what": "wal", "said": "one file is missing"}]}}
    text = backup.shown({"backup": bad})
    assert text.splitlines()[0] == f"{RECORD['id']}  failed"
    assert text.splitlines()[-1] == "  wal: one file is missing"
    assert "a restore of it goes to 2026-11-26T01:00:05Z" in text
    assert "31.0 MB in 6 s, encrypted on the archive's disk" in text
    assert "in clear on the archive's disk" in backup.shown({"backup": {**RECORD, "encrypted": False}})


def test_a_state_with_nothing_grave_is_told_and_one_that_is_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    minor = {**STATE, "wrong": [{"severity": "P3", "set": "", "said": "no drill was ever made", "do": "backup.drill"}]}
    backup.tell_state(minor, Asked)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "P3  all: no drill was ever made"
    assert "stream: 0 bytes behind, commits wait for it" in out
    assert "database: the last drill 20261101T050000Z-drill-database passed in 18 s" in out
    backup.tell_state({**STATE, "stream": {**STATE["stream"], "sync": "async", "waits": False}}, Asked)
    assert "wait for it" not in capsys.readouterr().out
    grave = {"severity": "P1", "set": "database", "said": "WAL is missing", "do": "backup.run --set database"}
    with pytest.raises(Stop, match="P1  database: WAL is missing") as stopped:
        backup.tell_state({**STATE, "wrong": [grave]}, Asked)
    assert stopped.value.code == NEEDS_PERSON
    assert stopped.value.hint.endswith("backup.run --env prod --set database")


def test_a_drill_says_what_would_be_lost_and_that_nobody_knows() -> None:
    drill = {
        "id": "x",
        "rto_s": 17.9,
        "rpo_s": 0.0,
        "rpo_said": "all is there",
        "checks": [{"name": "manifest", "said": "ok"}],
    }
    assert "0 s would be lost: all is there" in backup.drilled({"drills": [drill]})
    assert "unknown would be lost" in backup.drilled({"drills": [drill, {**drill, "rpo_s": None}]})


@pytest.mark.parametrize(
    ("result", "line"),
    [("passed", "was well on what it restored"), ("left out", "left out: why"), ("not asked", "not asked: why")],
)
def test_the_state_says_what_the_last_drill_knows_of_each_application(result: str, line: str) -> None:
    drill = {"id": "x", "result": "passed", "rto_s": 2.0, "applications": {"shop": {"result": result, "said": "why"}}}
    sets = {"database": {"last": "", "drill": drill}}
    assert f"database: application shop {line}" in backup.state({**STATE, "sets": sets}).splitlines()


def test_a_restore_that_went_on_into_another_history_says_so() -> None:
    job = {
        "backup": "20261126T010000Z-database",
        "to": "latest",
        "duration_s": 2.04,
        "look": "psql",
        "note": "it goes on",
    }
    told = backup_restore.restored({"restore": job}).splitlines()
    assert told == [f"{job['backup']} was restored to latest in 2.0 s (it goes on); on the archive host:", "psql"]
    assert "(it goes on)" not in backup_restore.restored({"restore": {**job, "note": ""}})
    placed = {"environment": "prod", "undo": False, "placed": {"aside": ""}, "note": "it goes on"}
    assert backup_restore.put(placed) == "prod serves what was restored (it goes on); nothing lay in its place"


def test_restored_files_are_told_with_where_they_and_the_old_ones_lie() -> None:
    job = {
        "set": "media",
        "backup": "20261126T010000Z-media",
        "duration_s": 2.04,
        "into": "/back",
        "aside": ["/srv/old"],
    }
    assert (
        backup_restore.restored({"files": job})
        == "20261126T010000Z-media was restored in 2.0 s, as it was taken; it lies in /back"
    )
    put = backup_restore.put({"environment": "prod", "files": job}).splitlines()
    assert put[0] == "20261126T010000Z-media is in place, as it was taken; what was there until now lies in /srv/old"
    assert put[1].endswith("backup.restore --env prod --into place --undo --set media` goes back")
    assert (
        backup_restore.put({"environment": "prod", "back": ["/srv/notes/shared"]})
        == "/srv/notes/shared: as before the last restore"
    )
    with pytest.raises(Stop, match="media was restored into a directory"):
        backup_restore.restore("", kind="media", to="latest", into="scratch", end=True)


def test_a_restore_of_every_set_tells_the_moment_of_each_and_how_to_go_back() -> None:
    media = {"backup": "20261126T010000Z-media", "of": "2026-11-26T01:00:00Z", "into": "", "aside": ["/srv/old"]}
    database = {"backup": "20261126T010000Z-database", "of": "", "into": "", "aside": [""]}
    job = {"id": "run", "duration_s": 3.0, "sets": {"database": database, "media": media}}
    told = {"environment": "prod", "whole": job, "undo": False}
    lines = backup_restore.put(told).splitlines()
    assert lines[:3] == [
        "run: every set was restored in 3.0 s",
        "  database: 20261126T010000Z-database, to the last that was streamed",
        "  media: 20261126T010000Z-media, as of 2026-11-26T01:00:00Z; what was there lies in /srv/old",
    ]
    assert lines[3].endswith("backup.restore --env prod --set all --into place --undo` goes back")
    assert backup_restore.put({**told, "undo": True}) == "prod: every set is as before run"
    beside = {**media, "into": "/back", "aside": []}
    assert backup_restore.restored({"whole": {**job, "sets": {"media": beside}}}).endswith("01:00:00Z; /back")


def test_what_a_restore_of_the_cache_left_is_told_with_how_to_look() -> None:
    job = {"backup": "20261126T010000Z-cache", "duration_s": 2.0, "into": "/x", "look": "sudo valkey-cli -s /x/socket"}
    assert backup_restore.restored({"files": job}).splitlines()[1] == job["look"]
    assert backup_restore.restored({"files": {}}) == "what an earlier restore left is gone"


def test_moments_ids_and_the_latest_are_told_apart() -> None:
    now = 1795662000.0
    assert backup_restore.point("latest", now) == "latest"
    assert backup_restore.point("20261126T010000Z-database", now) == "20261126T010000Z-database"
    assert backup_restore.point("20261126", now) == "20261126"
    assert backup_restore.point("10m", now) == "2026-11-26T02:50:00.000000Z"
    assert backup_restore.point("2026-11-26T02:00", now) == "2026-11-26T02:00:00.000000Z"
    with pytest.raises(Stop, match="is no time"):
        backup_restore.point("soon", now)


def test_what_is_no_set_and_no_place_is_refused() -> None:
    with pytest.raises(Stop, match="there is no set 'medai'"):
        backup.run("", kind="medai")
    with pytest.raises(Stop, match="there is no place 'nowhere'"):
        backup_restore.restore("", kind="database", to="latest", into="nowhere", end=False)


def test_nothing_is_put_in_place_where_nobody_can_be_asked() -> None:
    asking.sure("prod will serve something else", yes=True)
    with pytest.raises(Stop, match="nobody is here to be asked") as stopped:
        asking.sure("prod will serve something else", yes=False)
    assert "--yes" in stopped.value.hint
