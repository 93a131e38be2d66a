"""What `status` shows: one screen, and each fault with the command that mends it."""

from typing import Any

import pytest

from ferryman import screen

LIVE, BEFORE = "20261122T103000Z-1a2b3c4", "20261121T103000Z-9f8e7d6"
CERTIFICATE = {
    "name": "shop", "mode": "acme", "domains": ["shop.test", "www.shop.test"], "days_left": 61.4, "near_expiry": False,
    "last_attempt": {"at": "2026-11-22T10:00:00Z", "result": "renewed", "reason": ""}, "served": {"state": "same"},
}  # fmt: skip
WELL: dict[str, Any] = {
    "roles": ["app", "entry", "arbiter"], "app": "shop", "url": "https://shop.test", "ca": "", "live": LIVE, "share": 0,
    "shift": {"release_stable": LIVE, "stable": "blue"}, "slots": {"blue": LIVE, "green": ""}, "lock": {"alive": False},
    "history": [
        {"release": name, "good": True, "withdrawn": False, "status": "live", "ref": "main", "who": "ada@laptop",
         "at": "2026-11-22T10:30:00Z"} for name in (BEFORE, LIVE)
    ],
    "would_roll_back_to": BEFORE, "health": {"shop-web@blue-1.service": {"good": True, "said": "/ answered 200"}},
    "certificates": [CERTIFICATE], "free_bytes": 9 * 10**9, "size_bytes": 40 * 10**9,
}  # fmt: skip
SHIFTS = {"release_stable": LIVE, "stable": "blue", "release_candidate": "r", "phase": "shifting"}
AT_WORK = {"alive": True, "owner": "bob@ci", "purpose": "deploy 1a2b3c4", "since": "s", "until": "u"}


def shown(outside: dict[str, Any] | None = None, **more: Any) -> str:
    told = {"environment": "prod", "hosts": {"web1": {**WELL, **more}}}
    return screen.state({**told, "outside": outside or {"status": 200, "seconds": 0.1234}})


def test_what_is_well_is_told_whole_on_one_screen() -> None:
    text = shown()
    assert text.splitlines() == [
        "shop on prod: https://shop.test",
        "  from here   200 in 0.12 s",
        "web1 (app, entry, arbiter)",
        f"  live        {LIVE} (main, ada@laptop, 2026-11-22T10:30:00Z)",
        f"  before it   {BEFORE} (good)",
        f"  rollback to {BEFORE}",
        f"  slots       blue {LIVE}, green empty",
        "  share       0 % of the clients on green, 100 % on blue",
        "  lock        free",
        "  health      well: shop-web@blue-1.service",
        "  certificate shop.test, www.shop.test (acme): 61 days left; last asked",
        "              2026-11-22T10:00:00Z: renewed",
        "  disk        9.0 of 40.0 GB free",
    ]


def test_what_came_after_the_live_release_is_not_told_as_before_it() -> None:
    failed = {**WELL["history"][0], "release": "20261122T113000Z-ccccccc", "good": False, "status": "failed"}
    text = shown(history=[*WELL["history"], failed])
    assert f"  before it   {BEFORE} (good)\n  after it    20261122T113000Z-ccccccc (failed)\n" in text
    first = shown(history=[WELL["history"][1], failed])
    assert "before it" not in first


def fenced(reason: str) -> dict[str, Any]:
    """What an entry says of an app host that it sends no clients to."""
    told = {"why": "its disk", "since": "2026-11-22T10:30:00Z", "who": "ada@laptop", "run": "r"}
    return {"fenced": {"app2": {"address": "10.0.0.22", "for": {reason: told}}}}


EXPIRED = {**CERTIFICATE, "last_attempt": {"at": "now", "result": "failed", "reason": "no such name"}}


@pytest.mark.parametrize(
    ("more", "what", "mend"),
    [
        (
            {"health": {"entry": {"good": False, "said": "/slot answered 404"}}},
            "entry: /slot answered 404",
            "provision",
        ),
        ({"health": {"backend": {"good": False, "said": "/b answered 500"}}}, "backend: /b answered 500", "rollback"),
        ({"ill": ["shop-worker@blue-1.service: does not run"]}, "does not run", "rollback"),
        ({"ill": ["shop-worker@blue-1.service: does not run"], "would_roll_back_to": ""}, "does not run", "deploy"),
        ({"edited": ["app/main.py"]}, "edited by hand: app/main.py", "deploy"),
        ({"certificates": [EXPIRED]}, "the last renewal failed: no such name", "provision"),
        ({"certificates": [{**CERTIFICATE, "near_expiry": True}]}, "should have been renewed", "provision"),
        ({"free_bytes": 10**6}, "the disk is nearly full", "deploy"),
        ({"pending": True, "shift": SHIFTS}, "a switch to r is not confirmed", "deploy"),
        ({"unfinished": {"event": "deploy", "release": "r", "who": "bob"}}, "deploy of r by bob did not end", "deploy"),
        ({"exchange": {"phase": "restore", "database": "shop"}}, "a copy of database shop is left over", "unlock"),
        (
            {
                "exchange": {"phase": "undone", "database": "shop"},
                "pending": True,
                "shift": {"release_stable": LIVE, "stable": "blue", "phase": "stable"},
            },
            "database shop is in its place again; the maintenance page goes by itself",
            "deploy",
        ),
        ({"maintenance": True}, "the maintenance page is shown", "maintenance.off"),
        (fenced("hand"), "app2 gets no clients since 2026-11-22T10:30:00Z (ada@laptop): its disk", "fence.off app2"),
        (fenced("maintenance"), "app2 gets no clients since 2026-11-22T10:30:00Z (ada@laptop)", "maintenance.roll"),
        (fenced("away"), "app2 gets no clients since 2026-11-22T10:30:00Z (ada@laptop): its disk", "deploy"),
    ],
)
def test_what_is_wrong_is_followed_by_the_command_that_mends_it(more: dict[str, Any], what: str, mend: str) -> None:
    lines = " ".join(shown(**more).split())
    assert what in lines
    of_all = mend in ("provision", "maintenance.roll")
    assert f"mended by ./invoke {mend} --env prod{'' if of_all else ' --app shop'}" in lines
    assert lines.count("wrong") == 1


@pytest.mark.parametrize(
    ("follows", "said"),
    [(False, "a deploy brings it there"), (True, "it asks it, and goes there by itself once it hears")],
)
def test_a_host_that_has_something_else_for_live_says_whether_it_gets_there_by_itself(follows: bool, said: str) -> None:
    seen = {"roles": ["entry"], "shift": {"release_stable": LIVE}, "follows": follows}
    faults = [each.what for each in screen._apart(seen, {"shift": {"release_stable": "r2"}})]
    assert len(faults) == 1
    assert f"it has {LIVE} for live, and the arbiter r2: {said}" in faults[0]


@pytest.mark.parametrize(
    ("copy", "wrong"),
    [
        ({}, False),
        ({"seq": 12, "head": "a"}, False),
        ({"seq": 12, "head": "b"}, True),
        ({"seq": 13, "head": "b"}, True),
    ],
)
def test_a_host_that_has_copied_what_is_not_in_the_ledger_says_so(copy: dict[str, Any], wrong: bool) -> None:
    faults = [*screen._ahead({"roles": ["app"], "copy": copy}, {"ledger": {"lines": 12, "head": "a"}})]
    assert [each.mend for each in faults] == ["unlock --force"] * wrong
    assert all("lines, and the ledger itself 12, not the same" in each.what for each in faults)


def test_what_another_run_is_doing_now_is_told_and_not_called_wrong() -> None:
    unfinished = {"event": "deploy", "release": "r", "who": "bob"}
    text = shown(lock=AT_WORK, pending=True, shift=SHIFTS, unfinished=unfinished)
    assert "bob@ci: deploy 1a2b3c4" in text
    assert "  switch      to r, not confirmed yet" in text.splitlines()
    assert "wrong" not in text


@pytest.mark.parametrize("at_work", [True, False])
def test_a_switch_on_a_host_without_the_lock_is_left_behind_only_where_nobody_holds_that(*, at_work: bool) -> None:
    lead = {**WELL, "lock": AT_WORK} if at_work else WELL
    other = {"roles": ["app"], "pending": True, "shift": SHIFTS}
    text = screen.state({"environment": "prod", "hosts": {"entry1": lead, "app1": other}})
    assert text.count("to r, not confirmed yet") == at_work
    assert text.count("a switch to r is not confirmed") == text.count("wrong") == (not at_work)


@pytest.mark.parametrize("at_work", [True, False])
def test_a_host_that_is_in_doubt_says_so_whoever_is_at_work(*, at_work: bool) -> None:
    lead = {**WELL, "lock": AT_WORK} if at_work else WELL
    other = {"roles": ["app"], "pending": True, "shift": {**SHIFTS, "phase": "doubt", "asks": {"address": "10.0.0.11"}}}
    text = screen.state({"environment": "prod", "hosts": {"entry1": lead, "app1": other}})
    assert "in doubt whether the switch to r was committed: the arbiter (10.0.0.11) knows" in " ".join(text.split())
    assert text.count("wrong") == 1


@pytest.mark.parametrize("at_work", [True, False])
def test_a_host_that_committed_before_another_is_apart_only_where_nobody_is_at_work(*, at_work: bool) -> None:
    lead = {**WELL, "lock": AT_WORK} if at_work else WELL
    other = {"roles": ["app"], "shift": {**SHIFTS, "release_stable": "r", "phase": "stable"}}
    text = screen.state({"environment": "prod", "hosts": {"entry1": lead, "app1": other}})
    assert text.count("it has r for live") == text.count("wrong") == (not at_work)


def test_a_maintenance_page_on_several_entries_is_one_fault() -> None:
    hosts = {
        name: {**WELL, "maintenance": True, "roles": roles}
        for name, roles in (("e1", ["entry"]), ("e2", WELL["roles"]))
    }
    lines = screen.state({"environment": "prod", "hosts": hosts, "outside": {"status": 503, "seconds": 0.1}})
    assert lines.count("wrong") == lines.count("./invoke maintenance.off --env prod --app shop") == 1


def test_a_maintenance_page_on_one_of_several_entries_says_on_which() -> None:
    shows = {"e1": False, "e2": True, "e3": False}
    hosts = {name: {**WELL, "maintenance": shown, "roles": ["entry"]} for name, shown in shows.items()}
    lines = screen.state({"environment": "prod", "hosts": {**hosts, "app1": {**WELL, "roles": ["app"]}}})
    assert "the maintenance page is shown on e2 alone" in lines
    assert lines.count("wrong") == 1


def test_a_screen_holds_it_with_two_faults() -> None:
    text = shown(edited=["app/main.py"], certificates=[EXPIRED])
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) < 80


def test_before_the_first_deploy_there_is_little_to_show() -> None:
    told = {"roles": ["app", "entry", "arbiter"], "app": "shop", "url": "https://shop.test", "ca": "", "live": "",
            "shift": {"release_stable": ""}, "slots": {"blue": "", "green": ""}, "history": [], "lock": {}}  # fmt: skip
    text = screen.state({"environment": "prod", "hosts": {"web1": told}})
    assert "  live        nothing yet" in text
    assert "slots       blue empty, green empty" in text


def test_what_clients_do_not_get_is_seen_at_the_top() -> None:
    assert "  from here   no answer: no route" in shown({"error": "no route"})


def test_a_rollback_that_takes_the_database_along_is_told_alone_and_nothing_lets_clients_in_meanwhile() -> None:
    ill: dict[str, Any] = {
        "health": {"web": {"good": False, "said": "refused"}},
        "ill": ["worker: does not run"],
        "pending": True,
    }
    text = shown(**ill, maintenance=True, exchange={"phase": "quiet", "database": "shop"})
    assert text.count("wrong") == 1
    assert "takes database shop along" in " ".join(text.split())
    assert "maintenance.off" not in text


@pytest.mark.parametrize(
    ("more", "ends"),
    [
        ({"lock": AT_WORK}, "it ends by itself"),
        ({"unfinished": {"event": "rollback"}}, "the host undoes it by itself"),
        ({}, "the host undoes it by itself"),
        ({"committed": True}, "it is committed, and the host brings it to its end"),
    ],
)
def test_who_ends_an_exchange_of_databases_is_said_as_it_is(more: dict[str, Any], ends: str) -> None:
    exchange = {"phase": "exchange", "database": "shop", "committed": more.pop("committed", False)}
    assert ends in " ".join(shown(**more, exchange=exchange).split())


SCALED = {"instances": 5, "declared": 2, "kind": "web", "who": "ada@laptop", "since": "2026-11-27T08:00:00Z"}
COMMITTED = {"sizes": {"web": {"instances": 5}}, "servers": 5}


def test_what_is_scaled_is_told_with_who_wanted_it() -> None:
    text = shown(sizes={"web": SCALED, "worker": {"instances": 1, "declared": 1}}, scaled=COMMITTED, servers=5)
    assert "  scaled      web=5 (2 declared; ada@laptop, 2026-11-27T08:00:00Z)" in text.splitlines()
    assert "wrong" not in text


@pytest.mark.parametrize(
    ("more", "what", "mend"),
    [
        ({"servers": 2}, "clients are sent to 2 processes of each app host, and 5 were asked for", "scale web=5"),
        (
            {"sizes": {"web": {**SCALED, "instances": 3}}},
            "web=3 is scaled here, and in the ledger web=5",
            "scale web=5",
        ),
        ({"scaled": {}}, "web=5 is scaled here, and in the ledger nothing", "scale web=declared"),
    ],
)
def test_scaling_that_ended_in_its_middle_is_told_unless_somebody_is_at_it(
    more: dict[str, Any], what: str, mend: str
) -> None:
    whole: dict[str, Any] = {"sizes": {"web": SCALED}, "scaled": COMMITTED, "servers": 5}
    lines = " ".join(shown(**{**whole, **more}).split())
    assert what in lines
    assert f"mended by ./invoke {mend} --env prod --app shop" in lines
    assert "wrong" not in shown(**{**whole, **more}, lock=AT_WORK)
