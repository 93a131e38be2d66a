"""Scaling that breaks off at any line: whoever gets clients runs, and the same command ends it."""

import io
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host, nginx_members, nginx_place
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    names,
    probe,
    scaling,
    shift,
    sizes,
    slots,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Unwell
from tests.unit.plugins.release.test_settling import NEW, OLD, Here, Systemd, killed

DECLARED = 2
PROCESSES = {
    "web": {"kind": "web", "command": "x", "instances": DECLARED},
    "worker": {"kind": "worker", "command": "x"},
    "nightly": {"kind": "cron", "command": "x", "schedule": "daily"},
}
SETTINGS = {"health_consecutive": 1, "soak_s": 0, "start_timeout_s": 1, "worker_soak_s": 0, "drain_s": 0}
ARM = '    "~^127\\.0\\.0\\.1:{}(?:$|[ ,])" {};'


STRIDE = 25
"""Lines from one to the next at which somebody is killed, about."""


class Nginx:
    """What nginx is told of a site."""

    def __init__(self) -> None:
        lines = [ARM.format(port + n, slot) for slot, port in (("blue", 20000), ("green", 20010)) for n in range(2)]
        self.text = "\n".join(lines)

    @property
    def servers(self) -> int:
        """How many processes get clients."""
        return nginx_members.servers(self.text)

    def rewrite(self, _: str, change: Any) -> str:
        """Take up another text."""
        before, self.text = self.text, change(self.text)
        return "nothing" if self.text == before else "reloaded"


class World:
    """One host that does everything: OLD serves from blue, and what was before it is still warm in green."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.nginx = place, Nginx()
        for module, name, below in (
            (names, "SITES", "state"), (names, "PENDING", "pending"), (names, "UNITS", "units"),
            (slots, "UNITS", "units"),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, place / below)
        monkeypatch.setattr(Here, "place", place)
        monkeypatch.setattr(nginx_place, "live", lambda _: self.nginx.text)
        monkeypatch.setattr(nginx_place, "rewrite", self.nginx.rewrite)
        monkeypatch.setattr(nginx_place, "busy", lambda: False)
        monkeypatch.setattr(probe, "answer", lambda *_: (True, "well"))
        self.host = Systemd(Here("shop"), run="run-2", token=2)
        self.host.told, self.host.restarts, self.host.up = [], {}, set()
        ports = {"web": {"blue": [*range(20000, 20010)], "green": [*range(20010, 20020)]}}
        self.host.write_json(self.host.site.settings / "ports.json", {"format": 1, "ports": ports})
        for slot, release in (("blue", OLD), ("green", NEW)):
            described = {"processes": PROCESSES, "secrets": [], "secret_env": []}
            record = {"id": release, "processes": PROCESSES, "manifest": {"description": described}}
            self.host.write_json(self.host.site.release(release) / "release.json", record)
            self.host.link(self.host.site.slot(slot), f"../releases/{release}")
            slots.place(self.host, slot, slots.instances(self.host, slot, record), [])
        self.host.up = {*self.webs("blue", 2), *self.webs("green", 2), "shop-worker@blue-1.service"}
        self.host.up.add("shop-nightly@blue-1.timer")
        self.host.write_json(self.host.site.state / "shift.json", {**shift.state(self.host), "release_stable": OLD})
        slots.enable(self.host, "blue")

    def webs(self, slot: str, count: int) -> set[str]:
        """The units of so many web processes."""
        return {self.host.site.unit("web", slot, number) for number in range(1, count + 1)}

    def scale(self, web: int, worker: int = 1) -> None:
        """Do what a driver asks for, step by step."""
        wanted = {"web": web, "worker": worker}
        told = sizes.after(slots.scaled(self.host), wanted, {"who": "ada", "since": "now", "run": "run-2"})
        line = {"event": "scale", "sizes": told, "servers": web, "reason": "said"}
        request = {"roles": ["app", "entry", "arbiter"], "settings": SETTINGS,
                   "scale": {"sizes": told, "servers": web, "kept": True, "line": line}}  # fmt: skip
        for step in names.SCALING:
            scaling.STEPS[step](self.host, request, io.BytesIO())

    def require_service(self, said: str) -> None:
        """See that every process runs to which clients are sent, and would after a boot."""
        assert self.webs("blue", self.nginx.servers) <= self.host.up, said
        begins = {path.name for path in (self.place / "units" / "multi-user.target.wants").iterdir()}
        assert self.webs("blue", self.nginx.servers) <= begins, said

    def require(self, web: int, worker: int, said: str) -> None:
        """See that there are just so many, in all that tells of it."""
        workers = {self.host.site.unit("worker", "blue", number) for number in range(1, worker + 1)}
        assert self.host.up == {
            *self.webs("blue", web), *self.webs("green", web), *workers, "shop-nightly@blue-1.timer",
        }, said  # fmt: skip
        assert self.nginx.servers == web, said
        begins = {path.name for path in (self.place / "units" / "multi-user.target.wants").iterdir()}
        assert begins == {*self.webs("blue", web), *workers}, said
        assert sizes.told(sizes.last(arbiter.lines(self.host))["sizes"]) == {"web": web, "worker": worker}, said
        kept = json.loads(self.host.site.sizes.read_text())
        assert (sizes.told(kept["sizes"]), kept["servers"]) == ({"web": web, "worker": worker}, web), said


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.mark.parametrize("way", [(2, 1, 3, 2), (3, 2, 1, 1)])
def test_whoever_is_killed_at_any_line_leaves_everybody_served_and_the_same_command_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: tuple[int, int, int, int]
) -> None:
    line, goes_on, chance, tries = 0, True, random.Random(27), 0
    web, worker, then, and_workers = way
    while goes_on:
        world = World(tmp_path / str(line), monkeypatch)
        world.scale(web, worker)
        goes_on = killed(partial(world.scale, then, and_workers), line, (scaling, slots, nginx_members))
        world.require_service(f"killed after {line} lines")
        world.scale(then, and_workers)
        world.require(then, and_workers, f"after line {line}")
        line, tries = line + chance.randint(1, 2 * STRIDE), tries + 1
    assert tries > 10, "too few lines were seen for this to say anything"


def test_one_that_is_not_well_leaves_none_that_was_not_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.scale(2, 1)
    before = {*world.host.up}

    def ill(*_: Any, **__: Any) -> None:
        raise probe.Ill("shop-web@blue-4.service", "not ready")

    monkeypatch.setattr(probe, "through", ill)
    with pytest.raises(Unwell, match="not ready"):
        world.scale(4, 2)
    assert world.host.up == before
    world.require_service("after it")
    assert sizes.told(slots.scaled(world.host)) == {"web": 2, "worker": 1}


def test_nginx_that_does_not_follow_keeps_the_count_that_it_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> str:
        raise nginx_host.Problem("a bracket is missing")

    monkeypatch.setattr(nginx_place, "rewrite", refuses)
    with pytest.raises(Failed, match="nginx did not take it up: a bracket is missing"):
        world.scale(4)
    world.require_service("after it")


def test_check_mode_says_what_would_be_started_and_stopped_and_does_nothing(world: World) -> None:
    world.scale(2, 2)
    world.host.changes.clear()
    world.host.check = True
    before = {*world.host.up}
    world.scale(3, 1)
    assert {"shop-web@blue-3.service started", "shop-web@green-3.service started"} <= {*world.host.changes}
    assert "shop-worker@blue-2.service stopped" in world.host.changes
    assert "clients go to 3 of each app host" in world.host.changes
    assert world.host.up == before
    assert sizes.told(slots.scaled(world.host)) == {"web": 2, "worker": 2}


@pytest.mark.parametrize(("reason", "said"), [("", "said"), ("app2: ill", "said: app2: ill")])
def test_the_ledger_has_the_line_that_was_decided_with_the_reason_that_is_known(
    world: World, reason: str, said: str
) -> None:
    request = {"roles": ["arbiter"], "scale": {"line": {"event": "scale", "reason": "said"}}, "reason": reason}
    scaling.STEPS["scaled"](world.host, request, io.BytesIO())
    assert [(line["reason"], "sizes" in line) for line in arbiter.lines(world.host)] == [(said, False)]


def test_a_new_host_takes_the_ledgers_word_and_who_was_told_keeps_what_he_knows(world: World) -> None:
    scaling.take_over(world.host, {"sizes": {"web": {"instances": 3}}, "servers": 3})
    assert sizes.told(slots.scaled(world.host)) == {"web": 3}
    scaling.take_over(world.host, {"sizes": {"web": {"instances": 9}}, "servers": 9})
    assert sizes.told(slots.scaled(world.host)) == {"web": 3}
