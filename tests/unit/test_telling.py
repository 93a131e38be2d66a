"""What people read at the end of a command."""

import pytest

from ferryman import explaining, screen, telling
from ferryman.errors import Stop

LIVE = {
    "command": "deploy", "environment": "prod", "app": "shop", "status": "live", "release": "r2", "previous": "r1",
    "duration_s": 22.3, "url": "https://shop.test", "ca": "",
}  # fmt: skip


def test_the_way_back_names_environment_and_application() -> None:
    assert "`./invoke rollback --env prod --app shop` goes back" in telling.summary(LIVE)
    assert "goes back" not in telling.summary({**LIVE, "previous": ""})
    # Without a name it would be refused: what was rolled back from is no target.
    back = telling.summary({**LIVE, "command": "rollback"})
    assert "`./invoke rollback --to r1 --env prod --app shop` goes back" in back


def test_who_was_left_out_is_named_with_the_command_that_brings_it_there() -> None:
    told = {**LIVE, "left_out": {"app3": "app3 cannot be reached: no route"}}
    said = telling.summary(told)
    assert "without app3: app3 cannot be reached: no route; it gets no clients until" in said
    assert "`./invoke deploy --env prod --app shop` reaches it" in said
    assert "app3 cannot be reached" in telling.summary({**told, "status": "unchanged"})


def test_a_migration_without_a_dump_is_told() -> None:
    why = "the inventory names no database"
    assert f"no dump was taken before the migration: {why}" in telling.summary({**LIVE, "no_restore_point": why})
    assert "dump" not in telling.summary(LIVE)


@pytest.mark.parametrize(
    ("more", "said"), [({}, "its report: "), ({"canary": [{"share": 0.3}]}, "how its clients fared: ")]
)
def test_the_report_is_named_at_the_end_of_a_deploy_also_of_one_that_failed(more: dict[str, object], said: str) -> None:
    report = {**more, "report": "/shop/.ferryman/runs/1/report.html"}
    line = f"{said}/shop/.ferryman/runs/1/report.html"
    assert line in telling.summary({**LIVE, **report}).splitlines()
    assert line in explaining.explain({**FAILED, "status": "failed", **report}).splitlines()
    assert "report" not in telling.summary(LIVE)


def test_sql_that_could_not_be_judged_is_told() -> None:
    why = "which SQL migrations are new is not known (it is a shallow clone), so none is refused; of all: sql/1.sql:1 x"
    assert why in telling.summary({**LIVE, "not_judged": why}).split("\n")


def test_waiting_for_uploads_is_told_where_somebody_notices_it() -> None:
    told = telling.summary({**LIVE, "drained_s": 17.2})
    assert "it waited 17 s first, for uploads that might still go to the slot that it needed" in told
    assert "uploads" not in telling.summary({**LIVE, "drained_s": 0.2})
    assert "waiting up to 17 s" in "".join(telling.waits({"drains_s": 17.2}))
    assert not list(telling.waits({"drains_s": 0.2}))


def test_waiting_for_the_lock_is_told_while_it_lasts_and_at_the_end() -> None:
    printed = "waiting for the lock: ada@laptop holds the lock (deploy 1a2b3c4); nobody waits before this run"
    assert list(telling.queues(f"  {printed}\n")) == [printed]
    assert not list(telling.queues("TASK [Deploy | Wait for the lock]"))
    told = telling.summary({**LIVE, "waited_s": 41.2, "waited_for": "ada@laptop (deploy 1a2b3c4)"})
    assert "it waited 41 s for the lock, which ada@laptop (deploy 1a2b3c4) held" in told
    assert "lock" not in telling.summary(LIVE)


def test_a_page_that_was_as_wanted_before_is_told_so() -> None:
    told = {"environment": "prod", "maintenance": True, "changed": True}
    assert telling.page(told) == "prod: the maintenance page is shown"
    assert telling.page({**told, "changed": False}) == "prod: the maintenance page is already shown"


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        ({"status": 200, "seconds": 0.1}, ""),
        ({"status": 302, "seconds": 0.1}, ""),
        ({"status": 404, "seconds": 0.1}, "this machine got 404 from https://shop.test"),
        ({"error": "no route"}, "this machine does not: no route"),
    ],
)
def test_what_this_machine_got_is_told_where_it_is_no_good_answer(outside: dict[str, object], said: str) -> None:
    told = telling.summary({**LIVE, "outside": outside})
    assert said in told
    assert ("this machine" in told) == bool(said)


def test_what_is_ill_is_followed_by_the_command_that_asks_further() -> None:
    ill = {"environment": "prod", "app": "shop", "good": False, "maintenance": False, "hosts": {}}
    with pytest.raises(Stop) as stopped:
        telling.tell_health(ill, None)
    assert stopped.value.hint == "./invoke status --env prod --app shop"


HIDDEN = {"environment": "prod", "app": "shop", "good": False, "maintenance": True}
OFF = "./invoke maintenance.off --env prod --app shop"


def test_a_maintenance_page_is_the_reason_why_clients_are_not_well() -> None:
    well = {"web1": {"entry": {"good": True, "said": "/slot answered 200"}}}
    with pytest.raises(Stop, match="the maintenance page is shown") as stopped:
        telling.tell_health({**HIDDEN, "hosts": well}, None)
    assert stopped.value.hint == OFF
    assert "no data" not in str(stopped.value)


def test_a_verification_behind_a_maintenance_page_says_who_answered() -> None:
    step = {"name": "home", "vantage": "entry", "result": "failed", "reason": "503 and not 200"}
    with pytest.raises(Stop, match="the maintenance page is shown, and answers what is asked") as stopped:
        telling.tell_verified({**HIDDEN, "release": "r2", "results": {"web1": [step]}}, None)
    assert stopped.value.hint == OFF


def test_who_answers_behind_a_maintenance_page_is_known_and_not_guessed() -> None:
    told = telling.summary({**LIVE, "maintenance": True, "outside": {"status": 503, "seconds": 0.1}})
    assert f"the maintenance page is shown; `{OFF}` hides it" in told
    assert "leads elsewhere" not in told


FAILED = {
    "command": "deploy", "environment": "prod", "app": "shop", "reason": "it died", "evidence": [], "serves": "r1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"status": "failed"}, "the release that served before still serves"),
        ({"status": "failed", "serves": ""}, "nothing serves yet"),
        ({"status": "failed", "overtaken": True}, "Another run has the site now."),
        ({"status": "refused", "overtaken": True}, "Nothing was touched."),
        ({"status": "refused", "provisioned": True}, "of the release nothing was touched."),
        ({"status": "unknown"}, "deploy to prod may have gone either way: it died"),
    ],
)
def test_a_failure_says_what_it_means_for_clients(more: dict[str, object], said: str) -> None:
    assert said in explaining.explain({**FAILED, **more})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "deploy to prod failed: it died"),
        ({"several": True}, "deploy to prod failed: app3: it died"),
        ({"several": True, "reason": "app3 cannot be reached"}, "deploy to prod failed: app3 cannot be reached"),
        ({"several": True, "canary": [{"share": 0.3}]}, "deploy to prod failed: it died"),
    ],
)
def test_of_several_hosts_a_failure_names_the_one_on_which_it_happened(more: dict[str, object], said: str) -> None:
    text = explaining.explain({**FAILED, "status": "failed", "host": "app3", **more})
    assert text.splitlines()[0] == said


def test_the_next_command_names_environment_and_application() -> None:
    assert explaining.next_command({**FAILED, "status": "failed"}) == "./invoke releases --env prod --app shop"
    assert explaining.next_command({**FAILED, "status": "unknown"}) == "./invoke status --env prod --app shop"
    assert explaining.next_command({**FAILED, "status": "refused"}) == ""


def test_what_is_damaged_is_told_with_its_way_out() -> None:
    ledger = {"wrong": "line 3 does not match its own hash", "way_out": "bring back a good copy"}
    told = [
        fault.what for fault in screen.wrong({"ledger": ledger, "damaged": ["/x/lock.json was damaged: rm it"]}, {})
    ]
    assert told == [
        "ledger: line 3 does not match its own hash: bring back a good copy",
        "/x/lock.json was damaged: rm it",
    ]


def entry(release: str, **more: str) -> dict[str, object]:
    return {"release": release, "good": False, "withdrawn": False, "status": "failed", "who": "ada@laptop",
            "ref": "HEAD", "subject": "Sell books", "reason": "", **more}  # fmt: skip


def test_the_ledger_tells_commits_apart_and_fits_a_screen() -> None:
    history = [entry("r1"), entry("r2", ref="v2", subject="Sell more", reason="it was ill " * 12 + "\nsecond line")]
    arbiter = {"roles": ["arbiter"], "history": history, "shift": {"release_stable": "r1"}}
    unlock = {"at": "2026-11-22T10:30:00Z", "who": "bob@desk", "reason": "broke the lock of ada@laptop (deploy r3)"}
    lines = telling.ledger({"hosts": {"web1": {**arbiter, "unlocks": [unlock]}}}).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["release", "status", "by", "commit"],
        ["r1", "live", "ada@laptop", "Sell", "books"],
        ["r2", "failed", "ada@laptop", "v2:", "Sell", "more"],
    ]
    assert max(map(len, lines)) <= telling.WIDTH
    assert "second" not in "".join(lines)
    assert "2026-11-22T10:30:00Z  bob@desk broke the lock of ada@laptop (deploy r3)" in lines


def test_a_hotfix_is_called_one_in_the_ledger() -> None:
    arbiter = {"roles": ["arbiter"], "history": [entry("r1") | {"hotfix": True}], "shift": {"release_stable": "r1"}}
    assert telling.ledger({"hosts": {"web1": arbiter}}).splitlines()[1].split()[:3] == ["r1", "live,", "hotfix"]


def test_a_page_that_was_shown_before_is_said_to_be_shown_already() -> None:
    assert telling.page({"environment": "prod", "maintenance": True, "changed": True}).endswith("page is shown")
    assert telling.page({"environment": "prod", "maintenance": True, "changed": False}).endswith(
        "page is already shown"
    )
