"""Several hosts: only the arbiter's proven word ends a run on another one, and until it comes nobody guesses.

Requirements: REL-7.
"""

import json
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ferryman.ops.plugins.filter.release_addresses import release_addresses
from ansible_collections.ferryman.ops.plugins.filter.release_client import release_client
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    commits,
    guard,
    lock,
    names,
    settling,
    sharing,
    shift,
    slots,
    steps,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, alone
from hypothesis import given
from hypothesis import strategies as st

SEAL = "known to hosts of this run"
ASKS: dict[str, Any] = {"address": "10.0.0.11", "port": 443, "domain": "shop.example", "seal": SEAL}
RUN = "20260101T000000Z-abcdef"
OLD, NEW = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """An entry that is not the arbiter, with clients on green until somebody confirms it; its guard does not start."""
    monkeypatch.setattr(names, "SITES", tmp_path / "state")
    monkeypatch.setattr(names, "PENDING", tmp_path / "pending")
    monkeypatch.setattr(names.Site, "root", tmp_path / "srv")
    monkeypatch.setattr(Host, "systemctl", lambda *_, **__: "")
    monkeypatch.setattr(slots, "bring_up", lambda *_: None)
    monkeypatch.setattr(slots, "move_workers", lambda *_, **__: None)
    host = Host(names.Site("shop"), run=RUN, token=3)
    shift.set_share(host, 0)
    shift.begin(host, slot="green", release=NEW, confirm_s=0, asks=ASKS)
    shift.set_share(host, 100)
    return host


def says(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """Have the arbiter answer this to whoever asks."""

    def get(*_: Any, **__: Any) -> tuple[int, dict[str, str], str]:
        if isinstance(answer, Exception):
            raise answer
        return 200, {}, answer if isinstance(answer, str) else json.dumps(answer)

    monkeypatch.setattr(shift, "get", get)


def proven(end: str, *, seal: str = SEAL, run: str = RUN) -> dict[str, Any]:
    return {"format": 1, "run": run, "end": end, "proof": commits.proof(seal, run, end)}


@pytest.mark.parametrize(("end", "slot", "release"), [("live", "green", NEW), ("returned", "blue", "")])
def test_an_entry_does_what_the_arbiter_says(
    entry: Host, monkeypatch: pytest.MonkeyPatch, end: str, slot: str, release: str
) -> None:
    says(monkeypatch, proven(end))
    assert guard.resolve(entry, reason="its driver is gone") == ("confirmed" if end == "live" else "returned")
    state = shift.state(entry)
    assert (state["phase"], state["stable"], state["release_stable"]) == ("stable", slot, release)
    assert shift.share(entry) == shift.full(slot)
    assert not entry.site.pending.exists()
    assert not {*shift.OF_A_SHIFT} & {*state}


@pytest.mark.parametrize(
    "answer",
    [
        OSError("no route"), "", "[]", "not JSON", {"end": "live"}, proven("open"), proven("live", seal="a guess"),
        {**proven("returned"), "end": "live"}, proven("live", run="20260101T000000Z-ffffff"),
    ],
)  # fmt: skip
def test_without_a_proven_answer_an_entry_serves_the_stable_slot_and_stays_in_doubt(
    entry: Host, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    says(monkeypatch, answer)
    assert guard.resolve(entry, reason="its driver is gone") == "waiting"
    assert shift.share(entry) == 100, "the arbiter is about to decide"
    monkeypatch.setattr(guard, "DOUBT_S", 0)
    for _ in range(2):
        assert guard.resolve(entry, reason="its driver is gone") == "doubt"
    assert (shift.state(entry)["phase"], shift.share(entry)) == ("doubt", 0)
    assert entry.site.pending.exists()
    assert not settling.still_shifting(entry), "nobody may commit on it"
    says(monkeypatch, proven("live"))
    assert guard.resolve(entry, reason="its driver is gone") == "confirmed"
    assert (shift.state(entry)["release_stable"], shift.share(entry)) == (NEW, 100)


def test_a_site_that_holds_the_guard_up_keeps_no_other_from_being_brought_to_its_end(
    entry: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, proven("returned"))
    other = Host(names.Site("another"), run=RUN, token=3)
    shift.set_share(other, 0)
    shift.begin(other, slot="green", release=NEW, confirm_s=0, asks=ASKS)
    guarding = threading.Thread(target=guard.watch)
    with alone(other.site.state / "decision.flock"):  # as while what its slot ran before takes long to end
        guarding.start()
        until = time.monotonic() + 5
        while entry.site.pending.exists():
            assert time.monotonic() < until, "it waits for the other one"
            time.sleep(0.02)
        assert other.site.pending.exists()
    guarding.join(5)
    assert not guarding.is_alive()
    assert not other.site.pending.exists()


def test_a_shift_that_others_are_at_work_in_stands_on_and_one_that_is_overdue_does_not(entry: Host) -> None:
    def keep(stands_s: float) -> float:
        steps.STEPS["keep"](entry, {"stands_s": stands_s}, BytesIO())
        return float(shift.state(entry)["deadline"])

    began = float(shift.state(entry)["deadline"])
    assert keep(30) == began, "it was overdue at once"
    shift.keep(entry, {**shift.state(entry), "deadline": began + 20})
    assert keep(0) == began + 20
    assert began + 30 <= keep(30) < began + 60


def test_after_a_boot_an_entry_is_in_doubt_before_it_serves(entry: Host) -> None:
    guard._settle_at_boot(entry)
    assert (shift.state(entry)["phase"], shift.share(entry)) == ("doubt", 0)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        (["", "", "open"], 3),  # it begins a moment later
        (["of another's seal", "open"], 2),
        ([OSError("no route")], 1),  # whoever is cut off goes on, as one that is cut off later would
    ],
)
def test_a_host_begins_once_the_arbiter_has_and_where_that_cannot_be_known(
    entry: Host, monkeypatch: pytest.MonkeyPatch, answers: list[Any], asked: int
) -> None:
    left = list(answers)

    def get(*_: Any, **__: Any) -> tuple[int, dict[str, str], str]:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer.startswith("of another"):
            return 200, {}, json.dumps(proven("open", seal="somebody's"))
        return (200, {}, json.dumps(proven(answer))) if answer else (404, {}, "")

    monkeypatch.setattr(shift, "get", get)
    monkeypatch.setattr(commits, "BEGUN_EVERY_S", 0)
    commits.await_begun(entry, ASKS)
    assert (len(answers) - len(left), left) == (asked, [])


@pytest.mark.parametrize("end", ["returned", "live"])
def test_what_the_arbiter_has_ended_already_no_other_host_begins(
    entry: Host, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    guard.resolve(entry, reason="its driver is gone", end="returned")
    says(monkeypatch, proven(end))
    before = shift.state(entry)
    with pytest.raises(Failed, match="has ended this run"):
        sharing.begin(entry, {"asks": ASKS, "slot": "green", "release": NEW, "settings": {"confirm_s": 5}, "roles": []})
    assert shift.state(entry) == before


def test_where_the_arbiter_answers_and_never_begins_no_other_host_does(
    entry: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shift, "get", lambda *_, **__: (404, {}, ""))
    monkeypatch.setattr(commits, "BEGUN_S", 0.05)
    guard.resolve(entry, reason="its driver is gone", end="returned")
    before = shift.state(entry)
    with pytest.raises(Failed, match="has not begun within 0 s"):
        sharing.begin(entry, {"asks": ASKS, "slot": "green", "release": NEW, "settings": {"confirm_s": 5}, "roles": []})
    assert shift.state(entry) == before


def test_the_next_run_ends_what_is_pending_as_its_arbiter_has_it(entry: Host) -> None:
    assert guard.resolve(entry, reason="its driver is gone", end="live") == "confirmed"
    assert shift.state(entry)["release_stable"] == NEW


def test_a_host_that_was_away_takes_over_what_is_stable_and_one_that_agrees_is_left_alone(entry: Host) -> None:
    guard.resolve(entry, reason="its driver is gone", end="returned")
    shift.agree(entry, slot="green", release=NEW)
    state = shift.state(entry)
    assert (state["stable"], state["release_stable"], shift.share(entry)) == ("green", NEW, 100)
    shift.agree(entry, slot="green", release=NEW)
    assert shift.state(entry) == state


@pytest.mark.parametrize(("word", "begun", "over"), [("live", True, True), ("past", False, True), ("", False, False)])
def test_workers_begin_after_a_boot_once_the_arbiter_says_that_what_they_are_of_is_still_live(
    entry: Host, monkeypatch: pytest.MonkeyPatch, word: str, begun: bool, over: bool
) -> None:
    """A host that was left out of what is live hears that it is past, and runs nothing; without an answer it waits."""
    told = list[str]()
    guard.resolve(entry, reason="its driver is gone", end="live")
    for name in ("move_workers", "rest"):
        monkeypatch.setattr(slots, name, lambda *_, name=name, **__: told.append(name))
    monkeypatch.setattr(slots, "has_background", lambda *_: True)
    monkeypatch.setattr(slots, "holds", lambda *_: NEW)
    entry.directory(entry.site.root)
    says(monkeypatch, proven(word) if word else OSError("no route"))
    guard._settle_at_boot(Host(entry.site))
    assert entry.site.pending.exists()
    guard.resolve(Host(entry.site), reason="")
    assert told == (["move_workers"] if begun else ["rest"] if over else [])
    assert entry.site.pending.exists() != over


def test_who_was_live_is_told_to_be_past_by_the_next_run_that_is_settled_and_not_by_one_that_is_settled_twice(
    entry: Host,
) -> None:
    """Of the arbiter: it has the seals of its runs, and asks nobody."""

    def end(run: str) -> str:
        return str(json.loads((entry.site.state / "runs" / run).read_text())["end"])

    guard.resolve(entry, reason="its driver is gone", end="returned")
    for run, slot in (("20260103T000000Z-1", "green"), ("20260104T000000Z-2", "blue")):
        entry.run_id = run
        shift.begin(entry, slot=slot, release=NEW, confirm_s=60, seal=f"seal of {run}")
        commits.tell(entry, run=run, seal=f"seal of {run}", end="live")
        for _ in range(2):
            settling.settle(entry, slot=slot, release=NEW, after_s=0, drain_s=0)
    assert (end("20260103T000000Z-1"), end("20260104T000000Z-2")) == ("past", "live")


BEGUN = "20260105T000000Z-3"


def begins(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an arbiter, at rest, begin a run of others; then it is started again."""
    guard.resolve(host, reason="its driver is gone", end="returned")
    host.run_id = BEGUN
    arbiter.take(host, owner="a@desk", purpose="deploy", lease_s=60)
    line = {"event": "deploy", "release": NEW, "previous": OLD, "who": "a@desk"}
    steps.STEPS["stage"](host, {"roles": ["arbiter"], "line": line, "seal": SEAL}, BytesIO())
    monkeypatch.setattr(arbiter, "now", lambda: lock.Now(5.0, "the next boot", "2026-01-05T00:01:00Z"))


@pytest.mark.parametrize(
    ("last", "open_", "status", "end"),
    [
        ("", False, "abandoned", "returned"), ("failed", True, "failed", "returned"), ("live", True, "live", "live"),
    ],
)  # fmt: skip
def test_an_arbiter_that_was_started_again_tells_how_a_run_ended_that_others_may_have_gone_on_in(
    entry: Host, monkeypatch: pytest.MonkeyPatch, last: str, open_: bool, status: str, end: str
) -> None:
    """Before it began its own shift; or when that was over and the word was not out yet."""
    begins(entry, monkeypatch)
    if open_:
        commits.tell(entry, run=BEGUN, seal=SEAL, end="open")
    if last:
        arbiter.record(entry, status=last, event="deploy", release=NEW)
    for _ in range(2):
        guard._settle_at_boot(Host(entry.site))
    told = json.loads((entry.site.state / "runs" / BEGUN).read_text())
    assert told == {**proven(end, run=BEGUN), "format": 1}
    assert [line["status"] for line in arbiter.lines_of(entry, BEGUN)] == ["started", status]
    assert SEAL not in json.dumps([*arbiter.lines(entry), told])
    assert (entry.site.arbiter / "promise.json").stat().st_mode & 0o777 == 0o600


def test_an_end_that_cannot_be_told_at_the_boot_is_told_by_the_guard_afterwards(
    entry: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(entry, monkeypatch)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(arbiter, "give_up", full)
        with pytest.raises(OSError, match="no space"):
            guard._settle_at_boot(Host(entry.site))
    assert entry.site.pending.exists()
    guard._look_after(Host(entry.site))
    assert commits.stands(entry, BEGUN) == "returned"
    assert not entry.site.pending.exists()


def test_a_run_that_its_arbiter_ended_with_a_boot_moves_nobody_any_more(
    entry: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(entry, monkeypatch)
    guard._settle_at_boot(Host(entry.site))
    with pytest.raises(Failed, match="its host was started again, which ended it, at 2026-01-05T00:01:00Z"):
        arbiter.renew(entry, lease_s=60)
    with pytest.raises(Failed, match="the run has ended here meanwhile"):
        sharing.begin(entry, {"roles": ["arbiter", "entry"], "slot": "green", "release": NEW, "seal": SEAL})
    assert shift.state(entry)["phase"] == "stable"


def test_as_long_as_it_is_up_an_arbiter_ends_no_run_that_it_has_begun(
    entry: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        begins(entry, patch)
    guard._settle_at_boot(Host(entry.site))
    assert arbiter.begun(entry)
    assert commits.stands(entry, BEGUN) == ""


def test_an_arbiter_keeps_the_ends_of_its_last_runs_alone(entry: Host) -> None:
    for number in range(30):
        commits.tell(entry, run=f"20260101T0000{number:02d}Z-abcdef", seal="x", end="live")
    kept = [*(entry.site.state / "runs").iterdir()]
    assert len(kept) <= commits.KEPT + 1
    commits.tell(entry, run="of one host", seal="", end="live")
    assert not (entry.site.state / "runs" / "of one host").exists()


@given(st.text(), st.text(), st.text())
def test_no_word_proves_another(seal: str, run: str, other: str) -> None:
    assert commits.proof(seal, run, "live") != commits.proof(seal, run, "returned")
    assert (commits.proof(seal, run, "live") == commits.proof(other, run, "live")) == (seal == other)


HOSTS = {
    "a": {"ansible_host": "a.example", "release_address": "10.0.0.1"},
    "b": {"ansible_host": "10.0.0.2"},
    "c": {"ansible_host": "127.0.0.1"},
    "d": {"ansible_host": "d.example", "release_address": ""},
}


def test_hosts_reach_each_other_by_addresses_and_what_is_none_is_refused_at_once() -> None:
    assert release_addresses(["a", "b"], HOSTS) == {"a": "10.0.0.1", "b": "10.0.0.2"}
    assert release_addresses([*HOSTS], HOSTS, strict=False) == {"a": "10.0.0.1", "b": "10.0.0.2"}
    with pytest.raises(AnsibleFilterError, match=r"c: 127.0.0.1 leads to no other host; d: 'd.example' is a name"):
        release_addresses([*HOSTS], HOSTS)


@given(st.permutations(["a", "b"]))
def test_what_is_written_of_addresses_is_the_same_in_every_run_whatever_order_hosts_come_in(hosts: list[str]) -> None:
    assert list(release_addresses(hosts, HOSTS).values()) == ["10.0.0.1", "10.0.0.2"]


def test_an_address_brings_a_databases_owner_alone() -> None:
    database = {"name": "shop", "owner": "keeper", "password": "x"}
    assert release_client((database, "10.0.0.2")) == {"database": "shop", "user": "keeper", "from": "10.0.0.2"}
