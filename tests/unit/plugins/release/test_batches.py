"""App hosts in turns: never more at once than is said, all of them in the end, and the first still there then."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action.release_step import ActionModule
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import batches
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import LEASE_S, ReleaseAction
from hypothesis import assume, given
from hypothesis import strategies as st

counts = st.integers(1, 300)
told = counts.map(str) | st.integers(1, 100).map("{}%".format)


@pytest.mark.parametrize(
    ("said", "hosts", "count"),
    [
        ("1", 5, 1), ("9", 5, 5), ("25%", 8, 2), ("25%", 9, 3), ("1%", 3, 1), ("100%", 7, 7), ("7%", 100, 7),
        ("50%", 1, 1),
    ],
)  # fmt: skip
def test_a_count_is_of_hosts_and_percent_are_rounded_up(said: str, hosts: int, count: int) -> None:
    assert batches.count(said, hosts) == count


@given(counts, counts)
def test_by_default_nothing_is_held_up(apps: int, hosts: int) -> None:
    names = [f"app{number}" for number in range(apps)]
    assert batches.throttle("100%", names, arbiter="entry1") == 0
    assert batches.rounds("100%", names, arbiter="entry1") == 1


def in_turns(places: int, apps: list[str], arbiter: str, still: Callable[[int], int]) -> tuple[list[list[str]], int]:
    """Do a step on the hosts as Ansible does, with so many `places`: return who was at work at once each time, and for
    how many turns of the other places; `still` picks who ends next of so many. The arbiter keeps its place to the end.
    """
    queue = [*dict.fromkeys([arbiter, *apps])]
    working, waiting, seen, ended = list[str](), False, list[list[str]](), 0
    while queue or working:
        while queue and len(working) + waiting < places:
            working.append(queue.pop(0))
        seen.append([host for host in working if host in apps])
        host = working.pop(still(len(working)))
        waiting = waiting or host == arbiter
        ended += host in apps
    return seen, ended


@given(told, st.integers(1, 40), st.booleans(), st.randoms())
def test_with_any_throttle_all_come_to_their_turn_and_no_more_at_once_than_said(
    said: str, hosts: int, among: bool, chance: Any
) -> None:
    apps = [f"app{number}" for number in range(hosts)]
    arbiter = "app0" if among else "entry1"
    places = batches.throttle(said, apps, arbiter=arbiter)
    assume(places)
    assert places >= batches.LEAST, "the arbiter would wait for those who wait for it"
    seen, ended = in_turns(places, apps, arbiter, chance.randrange)
    assert ended == hosts
    assert max(map(len, seen)) <= max(batches.count(said, hosts), batches.LEAST if among else 1)
    assert batches.rounds(said, apps, arbiter=arbiter) * (places - 1) >= hosts


class Run(ReleaseAction):
    """A run to three app hosts and an entry, with a memory of the test's own."""

    def __init__(self, kind: str, *, confirm_s: float = 60.0, **settings: Any) -> None:
        """Know nothing of Ansible."""
        hosts = {"app": ["app1", "app2", "app3"], "entry": ["entry1"], "db": [], "arbiter": "entry1"}
        times = dict.fromkeys(("drain_s", "start_timeout_s", "soak_s", "worker_soak_s"), 1.0)
        self.host, self.told = "entry1", {"hosts": hosts, **settings}
        self.__dict__["settings"] = {**times, "confirm_s": confirm_s}
        self.kind = kind

    def value(self, name: str, default: Any = None) -> Any:
        return self.told.get(name, default)

    def recall(self, name: str) -> dict[str, Any]:
        plan = {"description": {"processes": {"one": {"kind": self.kind}}}}
        kept: dict[str, dict[str, Any]] = {"plan": plan, "listens-app2": {"moving_s": 30.0}}
        return kept.get(name, {})


def test_a_shift_stands_for_as_long_as_workers_may_take_where_that_is_longer_than_it_stands_by_itself() -> None:
    assert batches.workers_s(Run("worker", serial="1")) == 3 * (30 + 1 + batches.SESSION_S)
    assert batches.workers_s(Run("worker", serial="2")) == 2 * (30 + 1 + batches.SESSION_S)
    assert batches.workers_s(Run("worker")) == 0
    assert batches.workers_s(Run("worker", confirm_s=20)) == 30 + 1 + batches.SESSION_S
    assert batches.workers_s(Run("web", serial="1", confirm_s=1)) == 0


def test_what_started_first_is_there_when_the_last_has_started() -> None:
    assert batches.start_s(Run("web", serial="1")) >= 2 * (1 + 1 + 1 + 60)
    assert batches.start_s(Run("web")) == 0


class Waiting(Run, ActionModule):
    """Its arbiter, which waits for the others of a step for two moments."""

    def __init__(self, kind: str, step: str, **settings: Any) -> None:
        """Wait at once."""
        super().__init__(kind, **settings)
        self.args, self.asked, self.every_s = {"steps": [step]}, list[float](), 0.0
        self._keep_on()

    def vigil(self, meanwhile: Callable[[], None], *, every_s: float, most_s: float = math.inf) -> list[str]:
        self.every_s = every_s
        meanwhile()
        meanwhile()
        return []

    def ask(self, act: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
        self.asked.append(more["stands_s"])
        return {}


def test_the_arbiter_has_its_shift_stand_on_while_workers_are_moved_in_turns_and_at_no_other_time() -> None:
    turns = Waiting("worker", "workers", serial="1", confirm_s=6)
    assert turns.asked == [6.0, 6.0], "it stands for as long as it would without a driver, each time"
    assert turns.every_s < turns.asked[0]
    for kind, step, serial in (("worker", "workers", "100%"), ("web", "workers", "1"), ("worker", "start", "1")):
        other = Waiting(kind, step, serial=serial)
        assert (other.asked, other.every_s) == ([0.0, 0.0], LEASE_S / 3)
