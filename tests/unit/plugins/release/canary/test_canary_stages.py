"""A driver's way through stages, in virtual time: against entries whose log is written as clients come."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import stages as staging
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import INTERRUPTED
from ansible_collections.ferryman.ops.plugins.module_utils.release.verdict import Verdict, judge
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import canary
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import Stopped
from tests.support.access_log import line
from tests.support.steps import metric

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = 1_764_190_020.0
STAGES = [{"share": 10, "for_s": 60}, {"share": 50, "for_s": 60}]


class BackError(Exception):
    """What a host raises when it draws back."""


@dataclass
class Entry:
    """An entry in virtual time: it knows its share, and writes a line for each of its clients' requests."""

    chance: Random
    errors: float = 0.0
    """The share of requests to the new release that fail."""
    rps: float = 20.0
    clients: int = 400
    now: float = AT
    share: float = 0.0
    log: list[tuple[float, bytes]] = field(default_factory=list)
    word: dict[str, Any] | None = None
    ill_at: float = math.inf
    probes: dict[str, bool] = field(default_factory=dict)
    """By step of verify whether the new release does as is expected; the old one does."""
    ill_process: int = -1
    """Which one of three processes of the new release does none of them."""
    metrics: dict[str, tuple[bool, str]] = field(default_factory=dict)
    """By metric whether the new release keeps its bound, and what it tells; the old one keeps it."""
    old_is_ill: bool = False
    """Whether the old one's metrics are as bad as the new one's."""
    over_at: float = math.inf
    """When the run is over because of another host."""
    told_to_stop: bool = False
    asked: list[str] = field(default_factory=list)
    overdue: list[bool] = field(default_factory=list)

    def until(self, moment: float) -> None:
        """Let clients come until then; who belongs to the first of all has the new release."""
        while self.now < moment:
            self.now += self.chance.expovariate(self.rps)
            client = self.chance.randrange(self.clients)
            new = (client * 0.618034) % 1 < self.share
            status = 500 if new and self.chance.random() < self.errors else 200
            address = f"192.0.2.{client}" if client < 250 else f"198.51.100.{client - 250}"
            self.log.append((self.now, line(self.now, arm="green" if new else "blue", status=status, address=address)))

    def answer(self, step: str, told: dict[str, Any]) -> dict[str, Any]:
        """Do what the host's own steps do."""
        self.asked.append(step)
        if step == "share":
            self.share = told["share"]["percent"] / 100
            empty = access.told(access.Tally())
            return {"began": self.now, "place": self.now, **({} if "place" in told["share"] else {"before": empty})}
        if step == "draw_back":
            raise BackError(told["verdict"]["sentence"])
        if step == "interrupt":
            self.told_to_stop = True
            return {}
        look = told["look"]
        if self.told_to_stop:
            raise Stopped("web1", {"reason": INTERRUPTED, "drawn_back_at": self.now + 0.25})
        if self.now >= self.ill_at:
            raise Stopped("web1", {"reason": "web does not run", "judged": True, "drawn_back_at": self.now + 0.5})
        self.overdue.append(look["overdue"])
        self.until(self.now + look["wait_s"])
        salt, warm_until = bytes.fromhex(look["salt"]), look["warm_until"]
        reader = access.Reader(salt, look["stages"], look["hang_s"], warm_until=warm_until)
        reader.count(b"".join(text for at, text in self.log if at > look["place"]))
        return {
            "at": self.now, "place": self.now, "tally": access.told(reader.tally), "waiting": [0, 0], "word": self.word,
            "probes": {
                name: [good and look["turn"] % 3 != self.ill_process, True] for name, good in self.probes.items()
            },
            "probed": [f"app:{look['turn'] % 3}", 3] if self.probes else None,
            "metrics": {
                name: {"good": [good, not self.old_is_ill or good], "said": [said, said if self.old_is_ill else "8"]}
                for name, (good, said) in self.metrics.items()
            },
        }  # fmt: skip


class Action:
    """What a driver's task gives its way through stages; every entry's task has one, with one directory for all."""

    def __init__(self, host: str, entries: dict[str, Entry], memory: Path, **values: Any) -> None:
        self.host, self.entries, self.memory, self.values = host, entries, memory, values
        self.groups = {"entry": [*entries]}

    def value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def ask(self, act: str, *, steps: list[str], **told: Any) -> dict[str, Any]:
        assert act == "steps"
        return self.entries[self.host].answer(steps[0], told)

    @property
    def is_over(self) -> bool:
        return any(each.now >= each.over_at for each in self.entries.values())

    def recall(self, name: str) -> dict[str, Any]:
        path = self.memory / f"{name}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def remember(self, name: str, value: dict[str, Any]) -> None:
        (self.memory / f"{name}.json").write_text(json.dumps(value))

    @contextmanager
    def alone(self) -> Iterator[None]:
        yield

    @property
    def salt(self) -> str:
        return "5a17"


def way(tmp_path: Path, entry: Entry, *, metrics: tuple[dict[str, Any], ...] = (), **values: Any) -> canary.Canary:
    request = {"slot": "green", "release": "r2", "settings": {}, "stages": {"stages": STAGES, "log": "/shop"}}
    request["description"] = {"metrics": [metric(**each) for each in metrics]}
    return canary.Canary(cast("Any", Action("web1", {"web1": entry}, tmp_path, **values)), request)


def ways(tmp_path: Path, entries: dict[str, Entry]) -> list[canary.Canary]:
    """Return the way of each of several entries, in its first stage."""
    request = {"slot": "green", "release": "r2", "settings": {}, "stages": {"stages": STAGES, "log": "/shop"}}
    made = [canary.Canary(cast("Any", Action(host, entries, tmp_path)), request) for host in entries]
    for each in made:
        each._share(10, 60.0)
    return made


def looks(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in (tmp_path / "canary.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("seed", range(5))
def test_a_release_that_is_no_worse_goes_through_all_its_stages_and_its_watch(tmp_path: Path, seed: int) -> None:
    entry = Entry(Random(seed))
    stages = way(tmp_path, entry)
    told = stages.through()
    assert told["ends"]["percent"] == 50
    assert entry.now - AT == pytest.approx(120, abs=2), "each had its time, and no more"
    stages.watch(30.0)
    assert entry.now - AT == pytest.approx(150, abs=3)
    kept = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert [(each["verdict"], each["share"]) for each in kept] == [("promote", 0.1), ("promote", 0.5), ("promote", 1.0)]
    seen = looks(tmp_path)
    assert {each["share"] for each in seen} == {0.1, 0.5, 1.0}
    assert sum(each["lately"]["new"]["requests"] + each["lately"]["old"]["requests"] for each in seen) == len(entry.log)


@pytest.mark.parametrize("seed", range(5))
def test_a_release_that_fails_its_clients_goes_back_with_the_figures_for_it(tmp_path: Path, seed: int) -> None:
    entry = Entry(Random(seed), errors=0.5)
    with pytest.raises(BackError, match="The new release fails more"):
        way(tmp_path, entry).through()
    assert entry.now - AT < 60, "before the first stage was over"
    assert entry.asked.count("share") == 1
    (verdict,) = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert (verdict["verdict"], verdict["rule"]) == ("rollback", "errors")
    assert looks(tmp_path)[-1]["verdict"] == verdict


def test_a_process_that_is_not_well_sends_it_back_with_a_verdict_of_its_own(tmp_path: Path) -> None:
    entry = Entry(Random(1), ill_at=AT + 20)
    with pytest.raises(Stopped, match="does not run"):
        way(tmp_path, entry).through()
    (verdict,) = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert (verdict["verdict"], verdict["rule"]) == ("rollback", "health")
    assert verdict["sentence"] == "The new release is not well: web does not run."
    assert verdict["at"] == round(entry.now + 0.5, 3), "when clients were sent back, not when it was looked before that"


@pytest.mark.parametrize("judged", [True, False], ids=["is unwell", "cannot be reached"])
def test_what_is_found_on_another_host_ends_the_stages_here_with_its_verdict_if_it_was_one(
    tmp_path: Path, *, judged: bool
) -> None:
    entry = Entry(Random(1))
    stages = way(tmp_path, entry)
    stages._share(10, 60.0)
    stages._look(0.1, 5.0)
    entry.over_at = entry.now
    if judged:
        stages.action.remember("judged", {"said": "app2: web does not run"})
    with pytest.raises(Stopped, match=INTERRUPTED):
        stages._stay(0.1, 60.0)
    assert entry.asked[-2:] == ["interrupt", "look"], "without anybody else's word"
    if not judged:
        assert stages.action.recall("verdicts") == {}, "that says nothing of the release"
        return
    (verdict,) = kept(tmp_path)
    assert (verdict["rule"], verdict["at"]) == ("health", round(entry.now + 0.25, 3))
    assert verdict["sentence"] == "The new release is not well: app2: web does not run."
    assert looks(tmp_path)[-1]["verdict"] == verdict


def test_a_stage_whose_time_ends_as_another_host_fails_is_followed_by_no_other(tmp_path: Path) -> None:
    entry = Entry(Random(1), over_at=AT + 59)
    stages = way(tmp_path, entry)
    with pytest.raises(Stopped, match=INTERRUPTED):
        stages.through()
    assert entry.asked.count("share") == 1
    assert entry.now >= AT + 60, "its time was over"
    assert entry.share == 0.1


def test_steps_that_the_old_release_takes_and_the_new_one_does_not_send_it_back(tmp_path: Path) -> None:
    entry = Entry(Random(1), probes={"log in": True, "look": True})
    stages = way(tmp_path, entry)
    stages._share(10, 60.0)
    for _ in range(5):
        stages._look(0.1, 5.0)
    entry.probes["log in"] = False  # that it worked before is no excuse
    with pytest.raises(BackError, match=r"verify step 'log in' is bad with the new release: 0 of 4 were good"):
        stages._stay(0.1, 60.0)
    assert entry.asked.count("look") == 9


def test_steps_that_one_process_of_several_does_not_take_send_the_release_back(tmp_path: Path) -> None:
    entry = Entry(Random(1), probes={"log in": True}, ill_process=1)
    said = r"'log in' at app:1 is bad with the new release: 0 of 4 were good; with the old one 11 of 11"
    with pytest.raises(BackError, match=said):
        way(tmp_path, entry).through()
    assert entry.asked.count("look") == 11, "each has its turn"


POOL = {"name": "pool", "prometheus": "pool_free", "at_least": 1}


def test_a_number_beyond_its_bound_with_the_new_release_alone_sends_it_back_with_both_numbers(tmp_path: Path) -> None:
    entry = Entry(Random(1), metrics={"pool": (False, "0")})
    said = (
        r"metric 'pool' \(at least 1\) is bad with the new release: 0 of 4 were good \(last: 0\); "
        r"with the old one 4 of 4 \(last: 8\)\."
    )
    with pytest.raises(BackError, match=said):
        way(tmp_path, entry, metrics=(POOL,)).through()
    assert entry.asked.count("look") == 4, "fewer may be a hiccup"


def test_a_number_that_is_as_bad_with_the_old_release_holds_and_does_not_send_back(tmp_path: Path) -> None:
    entry = Entry(Random(1), metrics={"pool": (False, "0")}, old_is_ill=True)
    with pytest.raises(BackError, match=r"Nobody said .* Old is as bad as new \(metric 'pool' \(at least 1\): 0 of 4"):
        way(tmp_path, entry, metrics=(POOL,), ask_s=120).through()
    assert entry.now - AT >= 60 + 120, "not before the stage was over and somebody had had time to answer"


def test_of_a_number_that_is_for_a_person_to_judge_a_person_is_asked_at_once(tmp_path: Path) -> None:
    entry = Entry(Random(1), metrics={"pool": (False, "0")})
    with pytest.raises(BackError, match=r"Nobody said for .* whether it goes on. metric 'pool'"):
        way(tmp_path, entry, metrics=({**POOL, "then": "ask"},), ask_s=30).through()
    assert entry.now - AT < 60


def test_among_many_clients_of_whom_some_always_fail_the_application_is_asked_all_the_same(tmp_path: Path) -> None:
    entry = Entry(Random(1))
    stages = way(tmp_path, entry)
    stages._share(10, 600.0)
    for _ in range(12):
        stages._look(0.1, 4.0)
    assert entry.overdue == [False] * 8 + [True] * 4, "nothing was asked for more than 30 s"
    entry.probes["look"] = True
    for _ in range(3):
        stages._look(0.1, 4.0)
    assert entry.overdue[-2:] == [False, False]


def test_one_that_turns_bad_at_the_end_goes_back_from_there(tmp_path: Path) -> None:
    entry = Entry(Random(1))
    stages = way(tmp_path, entry)
    stages._share(10, 60.0)
    stages._stay(0.1, 60.0)
    entry.errors = 0.4
    stages._share(50, 60.0)
    with pytest.raises(BackError, match="fails more"):
        stages._stay(0.5, 60.0)
    kept = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert [each["verdict"] for each in kept] == ["promote", "rollback"]


def test_where_nobody_comes_somebody_is_asked_after_twice_the_time_and_without_an_answer_it_goes_back(
    tmp_path: Path,
) -> None:
    entry = Entry(Random(1), rps=0.05)
    with pytest.raises(BackError, match=r"Nobody said for 5 min whether it goes on\. Too few to judge"):
        way(tmp_path, entry, ask_s=300).through()
    assert entry.now - AT == pytest.approx(120 + 300, abs=60)
    assert {each["verdict"]["ask"] for each in looks(tmp_path)} == {False, True}
    asking = [each for each in looks(tmp_path) if "answer_by" in each]
    assert asking == [each for each in looks(tmp_path) if each["verdict"]["ask"]]
    assert all(each["answer_by"] == pytest.approx(asking[0]["at"] + 300, abs=0.01) for each in asking)


def test_a_word_to_go_on_counts_for_its_stage_alone(tmp_path: Path) -> None:
    entry = Entry(Random(1), rps=0.02)
    entry.word = {"word": "promote", "at": AT + 1}
    with pytest.raises(BackError, match="Nobody said"):
        way(tmp_path, entry, ask_s=300).through()
    assert entry.asked.count("share") == 2
    assert looks(tmp_path)[0]["verdict"]["rule"] == "operator"


def kept(tmp_path: Path) -> list[dict[str, Any]]:
    return list(json.loads((tmp_path / "verdicts.json").read_text())["verdicts"])


@pytest.mark.parametrize(("who", "name"), [({"who": "ada@laptop"}, "ada@laptop"), ({}, "Somebody")])
def test_who_had_a_stage_go_on_is_named_beside_what_was_asked(tmp_path: Path, who: dict[str, str], name: str) -> None:
    entry = Entry(Random(1), rps=0.02)
    stages = way(tmp_path, entry, ask_s=300)
    stages._share(10, 60.0)
    for _ in range(24):
        stages._look(0.1, 6.0)
    stages._record(judge(asked := stages._evidence(0.1, 60.0)), asked)
    entry.word = {"word": "promote", "at": entry.now, **who}
    stages._stay(0.1, 60.0)
    question, answer = kept(tmp_path)
    assert (question["verdict"], question["rule"], question["ask"]) == ("no_data", "few", True)
    assert "draws" not in question, "nobody was moved by them"
    assert (answer["verdict"], answer["sentence"], answer.get("who")) == (
        "promote", f"{name} said to go on.", who.get("who"),
    )  # fmt: skip


def test_a_hold_that_was_over_again_is_kept_once(tmp_path: Path) -> None:
    entry = Entry(Random(1), metrics={"pool": (False, "0")}, old_is_ill=True)
    stages = way(tmp_path, entry, metrics=(POOL,))
    stages._share(10, 60.0)
    for number in range(12):
        stages._look(0.1, 4.0)
        if number == 7:
            entry.metrics["pool"] = (True, "8")
        evidence = stages._evidence(0.1, 60.0)
        stages._record(judge(evidence), evidence)
    stages._stay(0.1, 60.0)
    held, ended = kept(tmp_path)
    assert (held["verdict"], held["rule"], held["ask"]) == ("hold", "shared", False)
    assert held["at"] < AT + 20
    assert (ended["verdict"], ended["rule"]) == ("promote", "time")
    assert {each["verdict"]["rule"] for each in looks(tmp_path)} == {"shared", "time"}


def test_of_two_entries_that_held_first_the_one_that_is_later_says_what_the_other_went_back_for(
    tmp_path: Path,
) -> None:
    entries = {"web1": Entry(Random(1), errors=0.5), "web2": Entry(Random(2), errors=0.5)}
    first, second = ways(tmp_path, entries)
    for each in (first, second) * 6:
        each._look(0.1, 5.0)
    less, more = first._evidence(0.1, 60.0), second._evidence(0.1, 60.0)
    hold = Verdict("hold", "share", ask=True, figures={"log_e": 10.0, "odds": 2.0})
    for each, evidence in ((first, less), (second, more)):
        each._record(hold, evidence)
    assert [each["verdict"] for each in kept(tmp_path)] == ["hold"], "the one that leads tells"
    said = [second._record(judge(more), more), first._record(judge(less), less)]
    assert [each["verdict"] for each in kept(tmp_path)] == ["hold", "rollback"]
    assert [each["sentence"] for each in said] == [kept(tmp_path)[-1]["sentence"]] * 2
    first.last = None
    first._record(hold, less)
    assert kept(tmp_path)[-1]["verdict"] == "rollback", "who holds a moment later does not unsay it"


@pytest.mark.parametrize(("word", "at", "ends"), [("promote", 9, False), ("promote", 10, True), ("abort", 9, True)])
def test_a_word_to_go_on_ends_no_look_of_a_later_stage(word: str, at: float, ends: bool) -> None:
    assert staging.is_for({"word": word, "at": at}, began=10.0, percent=50) is ends


def test_a_word_for_one_stage_is_not_heard_in_the_next_one_in_which_it_comes(tmp_path: Path) -> None:
    entry = Entry(Random(1), rps=0.02)
    stages = way(tmp_path, entry, ask_s=300)
    stages._share(10, 60.0)
    entry.until(AT + 10)
    stages._share(50, 60.0)
    entry.word = {"word": "promote", "at": entry.now, "percent": 10}
    with pytest.raises(BackError, match="Nobody said"):
        stages._stay(0.5, 60.0)


def test_a_word_for_a_stage_is_heard_in_it(tmp_path: Path) -> None:
    entry = Entry(Random(1), rps=0.02)
    stages = way(tmp_path, entry, ask_s=300)
    stages._share(10, 60.0)
    entry.word = {"word": "promote", "at": entry.now, "percent": 10}
    stages._stay(0.1, 60.0)
    assert kept(tmp_path)[-1]["rule"] == "operator"


def test_a_word_to_go_back_is_heard_in_any_stage(tmp_path: Path) -> None:
    entry = Entry(Random(1))
    stages = way(tmp_path, entry)
    stages._share(10, 60.0)
    stages._stay(0.1, 60.0)
    entry.word = {"word": "abort", "at": AT, "who": "eve@desk"}
    stages._share(50, 60.0)
    with pytest.raises(BackError, match="eve@desk said to go back"):
        stages._stay(0.5, 60.0)
    assert kept(tmp_path)[-1]["who"] == "eve@desk"


def test_with_no_client_asked_for_time_alone_ends_a_stage(tmp_path: Path) -> None:
    entry = Entry(Random(1), rps=0.05)
    way(tmp_path, entry, limits={"least_clients": 0}).through()
    assert entry.now - AT < 300


def test_an_entry_that_goes_back_tells_of_what_came_since_and_nothing_of_that_twice(tmp_path: Path) -> None:
    entries = {"web1": Entry(Random(1)), "web2": Entry(Random(2))}
    first, second = ways(tmp_path, entries)
    for _ in range(3):
        for each in (first, second):
            each._look(0.1, 5.0)
            each._record(Verdict("hold", "time", figures={"left_s": 5.0}), each._evidence(0.1, 60.0))
    second._look(0.1, 5.0)
    second._record(Verdict("rollback", "operator"), second._evidence(0.1, 60.0))
    first._record(Verdict("promote", "operator"), first._evidence(0.1, 60.0))
    seen = looks(tmp_path)
    assert [each["verdict"]["verdict"] for each in seen] == ["hold", "hold", "hold", "rollback"]
    told = [each["lately"][arm]["requests"] for each in seen for arm in ("new", "old")]
    assert sum(told) == sum(len(entry.log) for entry in entries.values())
    (kept,) = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert kept["verdict"] == "rollback", "who was a moment later does not unsay it"


def test_of_two_entries_that_go_back_at_one_moment_both_say_what_the_ledger_has(tmp_path: Path) -> None:
    entries = {"web1": Entry(Random(1), errors=0.5), "web2": Entry(Random(2), errors=0.5)}
    first, second = ways(tmp_path, entries)
    for each in (first, second) * 6:
        each._look(0.1, 5.0)
    less, more = first._evidence(0.1, 60.0), second._evidence(0.1, 60.0)
    assert less.draws != more.draws, "the second has read of one look more"
    said = [second._record(judge(more), more), first._record(judge(less), less)]
    (kept,) = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert kept["verdict"] == "rollback"
    assert [each["sentence"] for each in said] == [kept["sentence"]] * 2


def test_what_clients_of_another_entry_got_counts_here_too(tmp_path: Path) -> None:
    entries = {"web1": Entry(Random(1), rps=0.01), "web2": Entry(Random(2), errors=0.5)}
    mine, theirs = ways(tmp_path, entries)
    for _ in range(6):
        theirs._look(0.1, 5.0)
    with pytest.raises(BackError, match="fails more"):
        mine._stay(0.1, 60.0)
