"""When a slot that clients have left can still get requests."""

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import draining, names, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now

ENTRY = {"domain": "shop.test", "port": 443}
STATUS = "Active connections: 3 \nserver accepts handled requests\n 9 9 12 \nReading: 0 Writing: {} Waiting: 2 \n"


class Nginx(Host):
    """A host whose nginx is this process; clients left slot green just now."""

    pid = os.getpid()
    since = 0.0

    def command(self, *_: str, **__: Any) -> str:
        return f"{self.pid}\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Nginx:
    moment = now()
    left: dict[str, Any] = {"slot": "green", "boot": moment.boot, "at": moment.boottime + 5}
    monkeypatch.setattr(shift, "state", lambda _: {"left": left})
    made = Nginx(names.Site("shop"))
    made.since = left["at"]
    return made


def answers(monkeypatch: pytest.MonkeyPatch, status: int, text: str) -> None:
    monkeypatch.setattr(shift, "get", lambda *_, **__: (status, {}, text))


def test_a_slot_is_free_at_once_where_nginx_has_no_request_but_the_one_that_asks(
    host: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, 200, STATUS.format(1))
    assert draining.left(host, "green", ENTRY, drain_s=30) == 0
    assert draining.wait(host, "green", ENTRY, drain_s=30) < 30


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, STATUS.format(2)),  # an upload of anybody
        (200, STATUS.format(0)),  # not even this one: whoever answers is not the one that is asked about
        (200, "Welcome to the shop"),  # an entry that was provisioned before there was this path
        (404, ""),
        (403, STATUS.format(1)),
    ],
)
def test_whatever_else_is_said_it_is_left_alone_for_its_whole_time(
    host: Nginx, monkeypatch: pytest.MonkeyPatch, status: int, text: str
) -> None:
    answers(monkeypatch, status, text)
    assert 30 < draining.left(host, "green", ENTRY, drain_s=30) <= 35


def test_an_entry_that_does_not_answer_says_nothing(host: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(shift, "get", refuse)
    assert not draining.nothing_under_way(host, ENTRY, since=host.since)


def test_an_nginx_that_took_over_since_the_switch_does_not_know_what_the_one_before_still_has(
    host: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, 200, STATUS.format(1))
    assert not draining.nothing_under_way(host, ENTRY, since=0.0)


def test_an_nginx_beside_one_that_its_packages_upgrade_left_does_not_know_what_that_one_still_has(
    host: Nginx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers(monkeypatch, 200, STATUS.format(1))
    monkeypatch.setattr(draining, "OLD", tmp_path / "nginx.pid.oldbin")
    assert draining.nothing_under_way(host, ENTRY, since=host.since)
    draining.OLD.write_text("4711\n")
    assert not draining.nothing_under_way(host, ENTRY, since=host.since)


def test_where_systemd_does_not_know_nginx_nobody_knows(host: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, 200, STATUS.format(1))

    def fails(*_: str, **__: Any) -> str:
        raise Failed("no such unit")

    monkeypatch.setattr(host, "command", fails)
    assert not draining.nothing_under_way(host, ENTRY, since=host.since)


def test_what_was_hidden_is_left_alone_until_nginx_has_nothing_of_before_or_its_time_is_over(
    host: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [STATUS.format(2), STATUS.format(2), STATUS.format(1)]
    monkeypatch.setattr(shift, "get", lambda *_, **__: (200, {}, said.pop(0) if len(said) > 1 else said[0]))
    assert draining.ended(host, ENTRY, since=host.since, drain_s=30)
    assert said == [STATUS.format(1)]
    answers(monkeypatch, 200, STATUS.format(2))
    assert not draining.ended(host, ENTRY, since=now().boottime, drain_s=0.2)
