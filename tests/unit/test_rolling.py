"""Patching host by host: who is without service is said first, and by nobody's mistake is it not."""

from typing import Any

import pytest

from ferryman import rolling
from ferryman.errors import Stop

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
    assert all(words in line for words, line in zip(said, told, strict=True))


def test_a_reboot_is_one_of_three_words_and_refused_before_any_host_is_asked() -> None:
    with pytest.raises(Stop, match="needed, always, never, and not 'sometimes'"):
        rolling.roll("prod", reboot="sometimes", with_database=False, wait=0, yes=True)


def test_what_was_left_is_told_with_the_command_that_patches_it() -> None:
    due = {"app1": {**host("app"), "reboot": True}, "db1": host("db")}
    told = {"environment": "prod", "due": due, "left": ["db1"], "duration_s": 61.0}
    assert rolling.page(told).splitlines() == [
        "prod is patched (61 s)",
        "  app1: libc6, a reboot",
        "  db1: libc6; left as it is: `./invoke maintenance.roll --with-database --env prod` patches it, too",
    ]
    assert rolling.page({**told, "due": {}}) == "prod: nothing was due on any host"
