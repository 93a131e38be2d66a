"""What is called wrong, how badly, and what to type."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import freshness
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plugins.backup.test_retention import NOW, catalogues, record

HOUR = 1 / 24


def drill(days: float, kind: str = "database", **more: Any) -> dict[str, Any]:
    """Return the record of a drill that was made some days ago."""
    began = of.said(NOW - days * freshness.DAY_S)
    sets = {kind: {"backup": "", "to": "latest"}}
    return {"id": "one", "began_at": began, "result": "passed", "sets": sets, "checks": [], "rto_s": 12.0, **more}


RULE = freshness.Rule(sets=("database",))
FOUND = {"name": "manifest", "result": "failed", "said": "2 tables differ"}
WELL = {
    "records": [record(0.5), record(1.5)],
    "drills": [drill(5)],
    "stream": {"running": True, "lag_s": 0.4, "gap": ""},
    "space": {"free": 10**12, "missing": 0, "days_until_full": None},
}


def told(**state: Any) -> list[tuple[str, str]]:
    return [(wrong.severity, wrong.said) for wrong in freshness.judge({**WELL, **state}, RULE, NOW)]


def copy(days: float, state: str = "passed", **more: Any) -> dict[str, Any]:
    """Return the record of a copy off site that was begun some days ago."""
    return {**record(days, state), "set": of.OFFSITE, **more}


def test_where_all_is_well_nothing_is_said() -> None:
    assert told() == []
    assert told(copies=[copy(1.5), copy(0.5)]) == []
    assert told(records=[record(39 * HOUR, duration_s=14 * 3600.0)]) == [], "the next one is being taken as long"


@pytest.mark.parametrize(
    ("state", "severity", "said"),
    [
        ({"records": []}, "P0", "no backup was ever taken"),
        ({"records": [record(0.5, "unseen")]}, "P0", "none of 1 backups has passed a check"),
        ({"records": [record(28 * HOUR)]}, "P2", "the last backup is 28 hours old"),
        ({"records": [record(3)]}, "P1", "the last backup is 3 days old"),
        ({"records": [record(41 * HOUR, duration_s=14 * 3600.0)]}, "P2", "the last backup is 41 hours old"),
        (
            {"records": [record(30 * HOUR, duration_s=25 * 3600.0)]},
            "P2",
            "20261124T210000Z-database took 25 hours, and one is due every 24 hours",
        ),
        (
            {"records": [record(2, "bad"), record(0.5)]},
            "P1",
            "older ones did not pass their last check: 20261124T030000Z-database",
        ),
        ({"stream": None}, "P1", "nobody could say how far the stream of WAL is"),
        ({"stream": {"running": False, "lag_s": 900.0}}, "P1", "the stream of WAL is down, 15 minutes behind"),
        ({"stream": {"running": True, "lag_s": 900.0}}, "P1", "the stream of WAL is slow, 15 minutes behind"),
        ({"stream": {"running": True, "lag_s": 0, "gap": "from 0/5 on"}}, "P1", "WAL is missing: from 0/5 on"),
        (
            {"stream": {"running": True, "lag_s": 0, "gap": "", "sync": "async", "waits": False, "synchronous": True}},
            "P1",
            "commits do not wait for the archive, as backup_synchronous says that they do",
        ),
        ({"space": None}, "P2", "nobody could say how much of the archive's disk is free"),
        ({"space": {"missing": 5 * 10**9}}, "P2", "the next backup does not fit: 5.0 GB too little"),
        ({"space": {"missing": 0, "days_until_full": 3.2}}, "P2", "the archive's disk is full in 3 days"),
        ({"copies": []}, "P1", "no copy was ever sent"),
        (
            {"copies": [copy(0.1, "failed", reason="it is full")]},
            "P1",
            "no copy was ever sent; the last try: it is full",
        ),
        ({"copies": [copy(28 * HOUR)]}, "P2", "the last copy is 28 hours old"),
        ({"copies": [copy(3)]}, "P1", "the last copy is 3 days old"),
        ({"drills": []}, "P3", "no drill was ever made: nobody knows whether this can be restored"),
        ({"drills": [drill(40)]}, "P2", "the last drill is 40 days old"),
        (
            {"drills": [drill(0, result="failed", checks=[FOUND])]},
            "P1",
            "the last drill failed: manifest: 2 tables differ",
        ),
    ],
)
def test_each_fault_has_its_severity_and_its_words(state: dict[str, Any], severity: str, said: str) -> None:
    assert (severity, said) in told(**state)


def test_a_copy_that_failed_is_told_with_its_reason_and_one_that_is_damaged_with_what_was_found() -> None:
    failed = copy(0.1, "failed", reason="it does not answer")
    assert told(copies=[copy(0.5), failed]) == [("P2", f"{failed['id']} was not sent: it does not answer")]
    bad = copy(0.1, "bad")
    bad["check"]["findings"] = [{"what": "bucket", "said": "a pack is gone"}]
    assert told(copies=[copy(0.5), bad]) == [("P1", f"{bad['id']} did not pass its check: a pack is gone")]


def test_a_stream_that_commits_wait_for_is_well_where_that_is_wanted() -> None:
    assert told(stream={"running": True, "lag_s": 0, "gap": "", "waits": True, "synchronous": True}) == []


BESIDE = {"on": True, "last": "", "age_s": 10.0, "failed": 0, "failing": False, "waiting": 0, "refused": []}


def beside(**more: Any) -> list[tuple[str, str]]:
    return told(stream={"running": True, "lag_s": 0, "gap": "", "beside": {**BESIDE, **more}})


@pytest.mark.parametrize(
    ("more", "severity", "said"),
    [
        ({"on": False}, "P2", "the source sends no files of WAL beside the stream, as backup_wal_archive says that it"),
        (
            {"waiting": 17, "age_s": 240.0},
            "P2",
            "files of WAL do not arrive beside the stream (the last 4 minutes ago)",
        ),
        ({"failing": True, "age_s": 900.0, "failed": 4}, "P2", "0 wait on the source's disk (0 B), 4 tries failed"),
        ({"failing": True, "age_s": None, "waiting": None}, "P2", "beside the stream (none ever did)"),
        ({"refused": ["/srv/x"]}, "P1", "1 files came beside the stream that are not of this archive: /srv/x"),
    ],
)
def test_what_is_wrong_with_files_beside_the_stream_is_told(more: dict[str, Any], severity: str, said: str) -> None:
    ((found, words),) = beside(**more)
    assert (found, said in words) == (severity, True), words


def test_files_beside_the_stream_are_well_where_they_come_where_nobody_writes_and_where_none_are_to() -> None:
    assert beside() == beside(age_s=9e6) == beside(failing=True, age_s=20.0) == beside(waiting=16) == []
    assert told(stream={"running": True, "lag_s": 0, "gap": "", "beside": None}) == []


def test_a_newest_backup_that_did_not_pass_is_told_with_what_was_found() -> None:
    bad = record(0.2, "bad")
    bad["check"]["findings"] = [{"what": "base", "said": "base/5/1259 is not as it was written"}]
    said = f"{bad['id']} did not pass its check: base/5/1259 is not as it was written"
    assert told(records=[record(1), bad]) == [("P1", said)]


def test_the_rate_of_thirty_days_is_told_below_98_percent_with_the_last_reason() -> None:
    failed = record(2, "failed", reason="the disk was full")
    listed = [record(days + 0.2) for days in range(20)] + [failed, record(40, "failed", reason="long ago")]
    assert told(records=listed) == [
        ("P3", f"95% of 21 backups of 30 days succeeded; {failed['id']}: the disk was full")
    ]


def on(line: int | None, refusal: str = "") -> list[tuple[str, str]]:
    """Return what is told where the newest good backup is of timeline 4, and the source on this one."""
    backup = record(0.5, engine_facts={"begin_wal": "000000040000000000000007"})
    stream = {"running": True, "lag_s": 0, "gap": "", "timeline": line, "refusal": refusal}
    return told(records=[backup], stream=stream)


def test_a_source_on_another_history_than_the_newest_good_backup_is_told_with_what_that_means() -> None:
    said = "the source is on timeline 5, and the newest backup that passed its check is of 4: what was "
    assert on(5) == [("P1", f"{said}written since is restored from an older backup alone")]
    assert on(5, "it is not there") == [("P1", f"{said}written since cannot be restored (it is not there)")]
    (wrong,) = freshness.judge(
        {**WELL, "records": [record(0.5, engine_facts={"begin_wal": "0" * 24})],
         "stream": {"running": True, "lag_s": 0, "timeline": 5, "refusal": ""}}, RULE, NOW)  # fmt: skip
    assert wrong.do == "backup.run --set database"


def test_a_source_on_the_history_of_the_newest_good_backup_or_that_nobody_could_ask_is_not_told_of_another() -> None:
    assert on(4) == on(None) == []
    assert told(stream=None) == [("P1", "nobody could say how far the stream of WAL is")]


@given(catalogues, st.sampled_from(of.SETS))
def test_a_set_without_a_backup_that_passed_is_never_called_well(records: list[Any], kind: str) -> None:
    found = freshness.judge({**WELL, "records": records}, freshness.Rule(sets=(kind,)), NOW)
    assert (of.newest(records, kind, of.is_restorable) is None) == any(wrong.severity == "P0" for wrong in found)
    newest = of.newest(records, kind, of.is_whole)
    if newest and of.is_restorable(newest) and not of.has_passed(newest):
        assert any(wrong.said.endswith("leads to its own point and no further") for wrong in found)


@given(catalogues)
def test_the_worst_comes_first_and_each_says_what_to_type(records: list[Any]) -> None:
    found = freshness.judge({"records": records, "drills": [], "stream": None}, freshness.Rule(sets=of.SETS), NOW)
    assert [wrong.severity for wrong in found] == sorted(wrong.severity for wrong in found)
    assert all(wrong.do.startswith(("backup.", "provision")) for wrong in found)


def test_a_drill_of_one_set_says_nothing_of_another() -> None:
    both = freshness.Rule(sets=("database", "media"))
    (wrong,) = freshness.of_drills([drill(5)], both, NOW)
    assert (wrong.severity, wrong.set, wrong.do) == ("P3", "media", "backup.drill --set media")
    unnamed = {**drill(1, result="failed", reason="no room"), "sets": {}}  # as they were written once
    (wrong,) = freshness.of_drills([unnamed, drill(5, "media"), drill(40, "media")], both, NOW)
    assert (wrong.set, wrong.said) == ("database", "the last drill failed: no room")


drills = st.lists(
    st.builds(
        drill, st.floats(0, 80), st.sampled_from(of.SETS), result=st.sampled_from(["passed", "failed"]),
        reason=st.just("no room"),
    ),
    max_size=6,
)  # fmt: skip


@given(drills, st.booleans())
def test_a_check_of_hosts_calls_wrong_just_what_a_deploy_would_be_refused_for(
    made: list[dict[str, Any]], required: bool
) -> None:
    rule = freshness.Rule(sets=of.SETS)
    told = freshness.judged(made, rule, required, NOW)
    assert [each["key"] for each in told] == [f"drill {kind}" for kind in of.SETS]
    unfit = {f"drill {wrong.set}" for wrong in freshness.of_drills(made, rule, NOW)}
    assert {each["key"] for each in told if each["state"] == "good"} == {each["key"] for each in told} - unfit
    assert {each["state"] for each in told if each["key"] in unfit} <= {"wrong" if required else "note"}
    assert all(each["right"].startswith("backup.drill --set ") == (each["state"] != "good") for each in told)


def asked(result: str, said: str = "why") -> dict[str, Any]:
    return {"shop": {"result": result, "said": said, "release": "", "asked": [], "evidence": []}}


def test_an_application_that_nobody_could_ask_is_told_and_one_that_is_not_to_be_asked_is_not() -> None:
    silent = [drill(5, applications=asked("not asked", "it does not answer"))]
    assert told(drills=silent) == [("P3", "the last drill could not ask shop: it does not answer")]
    for result in ("left out", "passed"):
        assert told(drills=[drill(5, applications=asked(result))]) == []


def test_a_check_of_hosts_tells_what_the_last_drill_knows_of_each_application() -> None:
    for result, state in (("passed", "good"), ("left out", "note"), ("not asked", "note")):
        (_, one) = freshness.judged([drill(5, applications=asked(result))], RULE, False, NOW)
        assert (one["key"], one["state"], one["said"]) == ("drill application shop", state, f"{result}: why")
