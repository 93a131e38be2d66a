"""Patching host by host: who is without service is said first, and by nobody's mistake is it not."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman import rolling
from ferryman.errors import REFUSED, Stop

DUE: dict[str, Any] = {"packages": ["libc6"], "reboot": False}


def host(*does: str) -> dict[str, Any]:
    return {**DUE, "does": [*does]}


@pytest.mark.parametrize(
    ("hosts", "due", "said"),
    [
        ({"e1": host("entry"), "e2": host("entry"), "a1": host("app"), "a2": host("app")}, ["e1", "a1", "a2"], []),
        (
            {"e1": host("entry"), "a1": host("app"), "a2": host("app")},
            ["e1", "a1"],
            ["e1 is the only host of group entry"],
        ),
        ({"e1": host("entry"), "a1": host("app"), "a2": host("app")}, ["a2"], []),
        ({"e1": host("entry"), "e2": host("entry"), "a1": host("app")}, ["a1"], ["a1 is the only host of group app"]),
        (
            {"w": host("entry", "app", "db")},
            ["w"],
            ["only host of group entry", "only host of group app", "maintenance page while w is patched"],
        ),
        (
            {"e1": host("entry"), "e2": host("entry"), "d": host("db"), "c": host("cache")},
            ["c", "d"],
            ["while c, d is"],
        ),
    ],
)
def test_what_clients_will_not_get_is_said_before_it_is_so(
    hosts: dict[str, Any], due: list[str], said: list[str]
) -> None:
    told = [*rolling.outages({name: hosts[name] for name in due}, hosts)]
    assert len(told) == len(said)
    assert all(words in line for words, (_, line) in zip(said, told, strict=True))
    assert {name for names, _ in told for name in names} <= {*due}


def test_a_reboot_is_one_of_three_words_and_refused_before_any_host_is_asked() -> None:
    with pytest.raises(Stop, match="needed, always, never, and not 'sometimes'"):
        rolling.roll("prod", reboot="sometimes", with_database=False, wait=0, in_window=False, yes=True)


def test_what_was_left_is_told_with_the_command_that_patches_it() -> None:
    due = {"app1": {**host("app"), "reboot": True}, "db1": host("db")}
    told = {"environment": "prod", "due": due, "left": ["db1"], "duration_s": 61.0}
    assert rolling.page(told).splitlines() == [
        "prod is patched (61 s)",
        "  app1: libc6, a reboot",
        "  db1: libc6; left as it is: `./invoke maintenance.roll --with-database --env prod` patches it, too",
    ]
    assert rolling.page({**told, "due": {}}) == "prod: nothing was due on any host"


# In windows


def window(left_s: float, room_s: float = 1800, *, fits: bool = True) -> dict[str, Any]:
    opens = "Sun 2026-11-29 02:00 UTC"
    return {"open": 0 < left_s >= room_s, "left_s": left_s, "opens": opens, "fits": fits, "window": "02:00-05:00",
            "room_s": room_s}  # fmt: skip


def test_a_window_that_is_shut_or_has_no_room_is_told_with_when_it_opens() -> None:
    assert rolling.shut(window(0)) == "its window 02:00-05:00 is shut, and opens Sun 2026-11-29 02:00 UTC"
    assert rolling.shut(window(720)) == (
        "of its window 02:00-05:00 12 min are left, a host may take 30; it opens again Sun 2026-11-29 02:00 UTC"
    )


def test_a_window_that_is_never_long_enough_needs_a_person_who_hears_of_both_settings() -> None:
    with pytest.raises(Stop) as refused:
        rolling.refuse_shut("prod", rolling.Plan({}, [], [], {}), {"a": window(600, fits=False), "b": window(0)})
    assert "that of a is never long enough" in refused.value.hint
    assert ("host_updates_window" in refused.value.hint, "release_patch_s" in refused.value.hint) == (True, True)


def test_who_would_have_to_be_asked_of_several_things_is_told_all_of_them() -> None:
    hosts = {"w": host("entry", "app", "db")}
    (said,) = rolling.of_each(rolling.outages(hosts, hosts)).values()
    assert said.count(";") == 2


def test_every_reboot_every_night_would_never_come_to_the_last_host() -> None:
    with pytest.raises(Stop, match="every host again"):
        rolling.roll("prod", reboot="always", with_database=False, wait=0, in_window=True, yes=True)


KINDS = st.lists(st.sampled_from(("entry", "app", "db", "cache")), min_size=1, unique=True)
LEFT_S = st.sampled_from((0.0, 600.0, 9000.0))
HOST = st.fixed_dictionaries({"does": KINDS, "due": st.booleans(), "left_s": LEFT_S, "later_s": LEFT_S})


def first_look(hosts: Mapping[str, Any]) -> dict[str, Any]:
    """What the hosts tell before anything is done: what is due is not looked at where no window is open."""
    windows = {name: window(each["left_s"]) for name, each in hosts.items()}
    due = {
        name: {"packages": ["libc6"] * each["due"], "reboot": False, "does": each["does"]}
        for name, each in hosts.items()
    }
    return {"windows": windows, "patched": due if any(told["open"] for told in windows.values()) else {}}


def looked_at(hosts: Mapping[str, Any], wanted: rolling.Plan) -> dict[str, Any]:
    """What each host tells of its window when it is its turn, as the playbook asks it."""
    turns = wanted.due.keys() - {*wanted.left, *wanted.unasked}
    return {name: window(min(hosts[name]["left_s"], hosts[name]["later_s"])) for name in turns}


@given(st.lists(HOST, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_a_night_patches_whom_it_may_and_names_all_others(
    listed: list[dict[str, Any]], with_database: bool, yes: bool
) -> None:
    hosts = {f"h{number}": each for number, each in enumerate(listed)}
    facts = first_look(hosts)
    wanted = rolling.plan(facts, reboot="needed", with_database=with_database, in_window=True, yes=yes)
    stop = None
    try:
        rolling.refuse_unasked("prod", wanted)
        rolling.refuse_shut("prod", wanted, facts["windows"])
    except Stop as said:
        stop = said
    if stop:
        assert stop.code == REFUSED
        assert stop.facts.get("shut") or stop.facts.get("unasked")
        may = wanted.due.keys() - {*wanted.left, *wanted.unasked}
        assert not [name for name in may if facts["windows"][name]["open"]], "it had something to do"
        return
    looked = looked_at(hosts, wanted)
    told = rolling.night(wanted, looked)
    patched = {name for name, told in looked.items() if told["open"]}
    assert patched == wanted.due.keys() - {*wanted.left, *told["unasked"], *told["shut"]}
    assert wanted.due.keys() == {name for name, each in hosts.items() if each["due"]}
    assert not (yes and told["unasked"])
    data = {name for name in patched if {"db", "cache"} & {*hosts[name]["does"]}}
    assert not data or (with_database and yes)
    for kind in ("entry", "app"):
        there = [name for name, each in hosts.items() if kind in each["does"]]
        assert yes or len(there) != 1 or there[0] not in patched


def test_a_night_that_was_cut_short_says_of_whom_and_why() -> None:
    due = {"app1": host("app"), "app2": host("app"), "entry1": host("entry")}
    told = {"environment": "prod", "due": due, "left": [], "duration_s": 61.0}
    assert rolling.page({**told, "unasked": {"entry1": "it is alone"}, "shut": {"app2": "too late"}}).splitlines() == [
        "prod is patched in part (61 s)",
        "  app1: libc6",
        "  app2: libc6; left as it is: too late",
        "  entry1: libc6; left as it is: it is alone",
    ]
