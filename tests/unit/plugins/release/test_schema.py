"""A migration whose driver has gone is heard of, and a schema on which what serves is not well is given back.

Requirements: REL-8.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    agent,
    arbiter,
    database,
    ledger,
    probe,
    render,
    schema,
    slots,
    steps,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, Unwell
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import leaving

OLD, NEW = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"
APP = {"roles": ["app"], "release": NEW}


@pytest.fixture
def host(site: Site) -> Host:
    """A host whose last run began a migration of NEW, at schema 0001, and was never heard of again."""
    host = Host(site, run="run-1", token=1)
    host.journal("migrate", "started", release=NEW, schema_before="0001")
    return Host(site, run="run-2", token=2)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Say whether the migration's unit still runs; the schema is at 0002."""
    monkeypatch.setattr(database, "revision", lambda *_: "0002")
    return lambda value: monkeypatch.setattr(database, "runs_once", lambda *_: value)


def test_a_migration_that_outlived_its_driver_stands_in_the_ledger_with_what_it_did(
    host: Host, runs: Callable[[bool], None]
) -> None:
    runs(False)
    line = {"event": "deploy", "release": NEW, "status": "started", "migration": "irreversible"}
    arbiter.record(Host(host.site, run="run-1", token=1), **line)
    told = schema.hear(host)
    assert told["heard"] == {"of": "run-1", "release": NEW, "schema_before": "0001", "schema_after": "0002"}
    arbiter.close_unfinished(host)
    (closed,) = (each for each in arbiter.lines(host) if each.get("status") == "abandoned")
    assert (closed["run"], closed["schema_after"], closed["migration"]) == ("run-1", "0002", "irreversible")
    assert ledger.story(arbiter.lines(host)).schema == "0002"
    assert schema.hear(host) == {}, "once"


def test_a_migration_whose_run_a_boot_has_ended_is_written_down_once_it_is_heard_of(
    host: Host, runs: Callable[[bool], None]
) -> None:
    """The arbiter is an app host, too: it closed the run before anybody knew what the migration had done."""
    runs(False)
    begun = Host(host.site, run="run-1", token=1)
    arbiter.record(begun, event="deploy", release=NEW, status="started", previous=OLD)
    arbiter.give_up(host, "run-1")
    assert ledger.story(arbiter.lines(host)).schema != "0002"
    agent._hear(host)
    assert ledger.story(arbiter.lines(host)).schema == "0002"
    agent._hear(host)
    assert len([line for line in arbiter.lines(host) if line.get("event") == ledger.MIGRATED]) == 1


def test_what_was_done_on_another_host_may_be_taken_back_there_when_its_run_is_closed(host: Host) -> None:
    begun = Host(host.site, run="run-9", token=1)
    line = {"event": "deploy", "release": NEW, "status": "started", "migrates_on": "app1"}
    arbiter.record(begun, **line)
    steps.STEPS["note"](begun, {"release": NEW, "line": {"schema_before": "1", "schema_after": "2"}}, BytesIO())
    arbiter.close_unfinished(host)
    assert ledger.migrating(arbiter.lines(host)) == {"app1": NEW}
    assert ledger.story(arbiter.lines(host)).schema == "2"


def test_while_it_runs_nothing_else_is_begun(host: Host, runs: Callable[[bool], None]) -> None:
    runs(True)
    with pytest.raises(Failed, match="still runs") as failed:
        schema.hear(host)
    assert failed.value.refused
    assert "tiny-migrate.service" in failed.value.hint
    assert schema.unheard(host, acts=False)["runs"]


def test_who_asks_for_the_revision_while_another_does_is_answered_after_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look must not keep a migration from its end, nor be refused by it."""
    asking = threading.Lock()

    def once(*_: object, **__: object) -> str:
        assert asking.acquire(blocking=False), "a second one is refused while the first runs"
        time.sleep(0.05)
        asking.release()
        return "0002\n"

    monkeypatch.setattr(database, "_migrations", lambda *_: {"revision": "app revision"})
    monkeypatch.setattr(database, "once", once)
    with ThreadPoolExecutor(4) as askers:
        assert [*askers.map(lambda _: database.revision(host, NEW), range(4))] == ["0002"] * 4


def test_a_run_takes_its_own_migration_for_none_that_was_left_behind(host: Host) -> None:
    assert schema.unheard(Host(host.site, run="run-1", token=1), acts=True) == {}


def test_who_only_looks_asks_no_release_for_its_schema_and_nothing_is_begun_while_it_cannot_be_known(
    host: Host, runs: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(False)

    def fails(*_: Any) -> str:
        raise Failed("`revision` of an earlier run still runs")

    monkeypatch.setattr(database, "revision", fails)
    assert [schema.unheard(host, acts=acts)["after"] for acts in (False, True)] == ["", None]
    with pytest.raises(Failed, match="does not answer") as failed:
        schema.hear(host)
    assert failed.value.refused
    assert schema.unheard(host, acts=False), "it is asked again"


ENDS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "done": ({"schema_before": "0001", "schema_after": "0002"}, {"schema_after": "0002"}),
    "failed": ({"schema_after": ""}, {"schema_after": "0002"}),  # the release is asked
    "undone": ({"schema_after": "0001"}, {"schema_after": "0001", "undone": True}),
}


@pytest.mark.parametrize("result", ENDS)
def test_a_migration_that_ended_after_its_drivers_end_is_heard_of_unless_its_run_went_on(
    host: Host, runs: Callable[[bool], None], result: str
) -> None:
    """A session on the host outlives its driver, and writes down an end that reaches nobody who keeps the ledger."""
    runs(False)
    detail, told = ENDS[result]
    first = Host(host.site, run="run-1", token=1)
    first.journal("migrate", result, release=NEW, **detail)
    assert schema.hear(host)["heard"] == {"of": "run-1", "release": NEW, "schema_before": "0001", **told}
    assert schema.hear(host) == {}, "once"
    third = Host(host.site, run="run-3", token=3)
    third.journal("migrate", "started", release=NEW, schema_before="0001")
    third.journal("migrate", result, release=NEW, **detail)
    third.journal("withstand", "started", release=OLD)
    assert schema.hear(host) == {}, "whoever began the next step had written it down"


def test_a_journal_that_was_begun_anew_meanwhile_tells_the_end_alone(host: Host) -> None:
    (host.site.state / "journal.jsonl").unlink()
    first = Host(host.site, run="run-1", token=1)
    first.journal("migrate", "done", release=NEW, schema_before="0001", schema_after="0002")
    told = schema.hear(host)["heard"]
    assert (told["schema_before"], told["schema_after"]) == ("0001", "0002")


def test_who_keeps_the_ledger_himself_is_told_nothing_by_his_own_journal(
    host: Host, runs: Callable[[bool], None]
) -> None:
    runs(False)
    first = Host(host.site, run="run-1", token=1)
    arbiter.record(first, event="deploy", release=NEW, status="started")
    first.journal("migrate", "done", release=NEW, schema_before="0001", schema_after="0002")
    assert schema.hear(host) == {}
    arbiter.close_unfinished(host)
    assert ledger.story(arbiter.lines(host)).schema == "0002"


def test_what_another_host_heard_moves_the_ledgers_schema() -> None:
    lines = [
        {"event": "deploy", "release": OLD, "status": "live", "run": "1", "schema_after": "0001"},
        {"event": ledger.MIGRATED, "of": "2", "release": NEW, "schema_before": "0001", "schema_after": "0002"},
    ]
    assert ledger.story(lines).schema == "0002"


@pytest.fixture
def serving(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Host]:
    """Return a run that has migrated, with what is ill in the release that serves before and after it."""

    def at(before: str, after: str) -> Host:
        said = iter([before, *[after] * 9])
        monkeypatch.setattr(slots, "record", lambda *_: {"id": OLD, "manifest": {"description": {}}})
        monkeypatch.setattr(schema, "WITHIN_S", 0)
        monkeypatch.setattr(
            probe, "check", lambda *_, **__: [probe.Ill("tiny-web@blue-1.service", now)] if (now := next(said)) else []
        )
        schema.look_before(host, APP)
        host.journal("migrate", "started", release=NEW, schema_before="0001")
        host.journal("migrate", "done", release=NEW, schema_before="0001", schema_after="0002")
        return host

    return at


@pytest.mark.parametrize(("leads_to", "ends"), [("0001", "it is back at 0001"), ("0002", "it stays at 0002")])
def test_a_schema_on_which_what_serves_is_ill_is_given_back(
    serving: Callable[[str, str], Host], monkeypatch: pytest.MonkeyPatch, leads_to: str, ends: str
) -> None:
    host, asked = serving("", "answered 500"), list[str]()

    def downgrade(*_: Any, to: str) -> str:
        asked.append(to)
        return leads_to

    monkeypatch.setattr(database, "downgrade", downgrade)
    with pytest.raises(Unwell, match=ends) as failed:
        schema.withstand(host, APP)
    assert asked == ["0001"]
    assert failed.value.evidence == [f"{OLD}: tiny-web@blue-1.service: answered 500"]
    moved = leads_to != "0001"
    assert failed.value.facts == {"schema_before": "0001", "schema_after": leads_to, "migrated": moved}


def test_of_several_hosts_each_says_so_first(serving: Callable[[str, str], Host]) -> None:
    host = serving("", "answered 500")
    said = schema.withstand(host, {**APP, "several": True})["withstands"]
    assert "answered 500" in said
    assert schema.keep(host, {**APP, "ill": {"web1": "", "web2": ""}}) == {}


@pytest.mark.parametrize(("before", "after"), [("", ""), ("it was ill", "it is ill"), ("it was ill", "")])
def test_what_is_well_or_was_ill_before_says_nothing_against_a_schema(
    serving: Callable[[str, str], Host], before: str, after: str
) -> None:
    assert schema.withstand(serving(before, after), APP) == {"withstands": ""}


def test_a_migration_tells_postgresql_how_long_it_waits_and_takes(site: Site) -> None:
    told = database.limits({"timeout_s": 40, "lock_timeout_s": 3, "statement_timeout_s": 0})
    assert told == {"PGOPTIONS": "-c lock_timeout=3s -c statement_timeout=40s"}
    assert database.limits({"timeout_s": 40, "lock_timeout_s": 0, "statement_timeout_s": 0}) == {}
    text = render.transient(site, "migrate", {"timeout_s": 40}, release=NEW, environment=told)
    assert 'Environment="PGOPTIONS=-c lock_timeout=3s -c statement_timeout=40s"' in text.splitlines()


def test_a_way_down_is_told_where_it_leads_to(site: Site) -> None:
    description: dict[str, Any] = {"name": "tiny", "processes": {}, "runtime": {"kind": "python"}}
    migrations = {"command": "alembic upgrade head", "downgrade": "alembic downgrade {revision}"}
    told = render.launchers(site, {**description, "migrations": migrations}, environment="prod", release=NEW)
    assert sorted(told) == ["downgrade", "migrate"]
    assert told["downgrade"].splitlines()[-1] == 'exec alembic downgrade "$FERRYMAN_REVISION"'


def live(release: str, **more: Any) -> dict[str, Any]:
    """A line of a release that went live."""
    return {"event": "deploy", "status": "live", "run": release, "release": release, **more}


IRREVERSIBLE = {"migration": "irreversible", "schema_before": "1", "schema_after": "2"}


@pytest.mark.parametrize("accept", [False, True])
def test_nobody_goes_back_past_an_irreversible_migration_but_with_the_database(accept: bool) -> None:
    lines = [live(OLD, schema_after="1"), live(NEW, **IRREVERSIBLE)]
    with pytest.raises(ledger.Refused, match="irreversible") as refused:
        ledger.rollback_target(lines, present=[OLD, NEW], accept_schema=accept)
    assert "--with-database" in refused.value.hint
    assert ledger.rollback_target(lines, present=[OLD, NEW], with_database=True).id == OLD


def test_a_migration_counts_that_failed_half_way_and_none_that_was_undone_or_came_before() -> None:
    failed = {"event": "deploy", "run": "x", "release": NEW, "migration": "irreversible", "status": "failed"}
    moved = {**failed, "schema_before": "1", "schema_after": "2"}
    assert ledger.irreversible([live(OLD), moved], OLD) == [NEW]
    assert ledger.irreversible([live(OLD), {**failed, "schema_before": "1", "schema_after": "1"}], OLD) == []
    assert ledger.irreversible([live(NEW, **IRREVERSIBLE), live(OLD)], OLD) == []
    # Where nobody tells revisions; and where another host has heard of it.
    assert ledger.irreversible([live(OLD), {**failed, "migrated": True}], OLD) == [NEW]
    abandoned = {**failed, "status": "abandoned"}
    heard = {"event": ledger.MIGRATED, "of": "x", "run": "y", "release": NEW}
    assert ledger.irreversible([live(OLD), abandoned, heard], OLD) == [NEW]
    back = live(OLD, with_database={"before": NEW})
    assert ledger.irreversible([live("first"), live(OLD), live(NEW, **IRREVERSIBLE), back], "first") == []


def test_a_migration_that_was_undone_after_its_drivers_end_is_no_longer_irreversible() -> None:
    ran = {"event": "deploy", "run": "x", "release": NEW, "status": "abandoned", "migrated": True, **IRREVERSIBLE}
    undone = {"event": ledger.MIGRATED, "of": "x", "release": NEW, "schema_after": "1", "undone": True}
    assert ledger.irreversible([live(OLD), ran], OLD) == [NEW]
    assert ledger.irreversible([live(OLD), ran, undone], OLD) == []
    assert ledger.story([live(OLD), ran, undone]).schema == "1"


STARTED = {"run": "x", "release": NEW, "status": "started", "migrates_on": "app1"}


@pytest.mark.parametrize(
    ("later", "runs_on"),
    [
        ([], {"app1": NEW}),
        ([{"run": "x", "status": "abandoned"}], {"app1": NEW}),
        ([{"run": "x", "status": "abandoned", "migrated": True}], {}),
        ([{"run": "x", "status": "failed"}], {}),
        ([{"run": "x", "status": "failed", "migrating": True}], {"app1": NEW}),
        ([{"run": "x", "status": "failed", "migrating": True, "migrated": True}], {}),
        ([{"run": "x", "status": "failed", "migrating": True, "migrated": True, "undoing": True}], {"app1": NEW}),
        ([{"run": "x", "status": "abandoned"}, {"run": "y", "event": ledger.MIGRATED, "of": "x"}], {}),
        ([{"run": "x", "status": "abandoned"}, {"run": "y", "status": "live"}], {}),
        ([{"run": "x", "status": "abandoned"}, {"run": "y", "status": "live", "left_out": ["app1"]}], {"app1": NEW}),
        ([{"run": "x", "status": "abandoned"}, {"run": "y", "status": "live", "left_out": ["app2"]}], {}),
    ],
)
def test_nobody_knows_of_a_migration_whose_end_is_in_no_line_until_its_host_takes_part_again(
    later: list[dict[str, Any]], runs_on: dict[str, str]
) -> None:
    assert ledger.migrating([STARTED, *later]) == runs_on


def test_no_run_goes_on_without_the_host_whose_migration_may_still_run() -> None:
    groups = {"app": ["app1", "app2"], "arbiter": ["entry1"]}
    assert leaving.refusal(["app2"], groups, most=1, migrates={"app1": NEW}) == ""
    said = leaving.refusal(["app1"], groups, most=1, migrates={"app1": NEW})
    assert said == f"app1 cannot be reached, and nobody knows whether the migration of {NEW} on app1 has ended"
