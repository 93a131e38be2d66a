"""What a ledger says, over thousands of generated lives of an environment.

Requirements: REL-10.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger

Line = dict[str, Any]


def line(release: str, status: str, event: str = "deploy", run: str = "", **more: Any) -> Line:
    return {"release": release, "status": status, "event": event, "run": run or f"run-{release}-{status}", **more}


def deployed(*releases: str) -> list[Line]:
    """The ledger of releases that went live one after the other; a `!` marks one that failed and was returned from."""
    lines: list[Line] = []
    for number, name in enumerate(releases):
        good, run = not name.endswith("!"), f"run-{number}"
        lines.append(line(name.rstrip("!"), "started", run=run))
        lines.append(line(name.rstrip("!"), "live" if good else "returned", run=run))
    return lines


def back(lines: list[Line], to: str = "") -> tuple[str, list[Line]]:
    """Roll back; return where to, and the ledger afterwards."""
    present = {each["release"] for each in lines}
    target = ledger.rollback_target(lines, to=to, present=present, accept_schema=True).id
    return target, [*lines, line(target, "live", "rollback", run=f"back-{len(lines)}")]


def test_good_bad_good_then_rollback_lands_on_the_first() -> None:
    target, _ = back(deployed("a", "b!", "c"))
    assert target == "a"


def test_a_second_rollback_does_not_land_on_the_one_that_was_left() -> None:
    target, lines = back(deployed("a", "b", "c"))
    assert target == "b"
    target, lines = back(lines)
    assert target == "a"
    with pytest.raises(ledger.Refused, match="no good release before a"):
        back(lines)


def test_after_a_rollback_and_a_new_deploy_the_way_back_is_to_what_was_live_before() -> None:
    _, lines = back(deployed("a", "b"))
    target, _ = back([*lines, *deployed("c")])
    assert target == "a"


def test_a_release_that_failed_is_told_with_the_reason_of_its_last_line() -> None:
    lines = [line("a", "started", run="1"), line("a", "returned", run="1", reason="it never got ready")]
    assert ledger.story(lines).releases["a"].line["reason"] == "it never got ready"


def test_going_back_past_a_release_leaves_it_as_well() -> None:
    target, lines = back(deployed("a", "b", "c"), to="a")
    assert target == "a"
    target, _ = back([*lines, *deployed("d")])
    assert target == "a", "b was skipped on purpose"


def test_a_release_that_was_left_can_be_named() -> None:
    _, lines = back(deployed("a", "b"))
    target, lines = back(lines, to="b")
    assert target == "b"
    assert back(lines)[0] == "a"


def test_what_is_live_is_not_left_by_a_line_that_says_it_failed() -> None:
    lines = [*deployed("a", "b"), line("b", "failed")]
    assert not ledger.story(lines).releases["b"].withdrawn
    assert back([*lines, *deployed("c")])[0] == "b"


def test_a_rollback_that_failed_is_not_tried_again() -> None:
    lines = [*deployed("a", "b", "c"), line("b", "failed", "rollback")]
    assert ledger.story(lines).live == "c"
    assert back(lines)[0] == "a"


def test_a_rollback_that_was_interrupted_or_hindered_by_its_host_can_be_asked_for_again() -> None:
    lines = [*deployed("a", "b", "c"), {**line("b", "failed", "rollback"), "tried": False}]
    assert back(lines)[0] == "b"


@pytest.mark.parametrize(
    ("lines", "words", "reason"),
    [
        ([], {}, "nothing is live"),
        (deployed("a"), {}, "no good release before a"),
        (deployed("a", "b"), {"to": "b"}, "live already"),
        (deployed("a", "b!", "c"), {"to": "b"}, "never passed its gate"),
        (deployed("a", "b"), {"to": "z"}, "no release 'z'"),
        (deployed("a", "b"), {"present": ["b"]}, "no longer on every host"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(lines: list[Line], words: dict[str, Any], reason: str) -> None:
    with pytest.raises(ledger.Refused, match=reason) as refused:
        ledger.rollback_target(lines, **{"present": [each["release"] for each in lines], **words})
    assert refused.value.hint


@pytest.mark.parametrize("to", ["b", "z"])
def test_only_releases_that_can_be_gone_back_to_are_named_in_place_of_one_that_cannot(to: str) -> None:
    lines = deployed("a", "b!", "c", "d", "e")
    with pytest.raises(ledger.Refused) as refused:
        ledger.rollback_target(lines, to=to, present=["c", "d", "e"])
    assert refused.value.hint == "`rollback --to RELEASE` takes c or d"
    with pytest.raises(ledger.Refused) as refused:
        ledger.rollback_target(lines, to=to, present=["e"])
    assert "deploy --ref" in refused.value.hint


@pytest.mark.parametrize(("names", "way"), [(["a"], "deploy --ref"), (["a", "b", "c"], "rollback --to")])
def test_with_nothing_before_the_way_is_any_other_good_release_or_an_older_commit(names: list[str], way: str) -> None:
    lines = deployed(*names)
    for _ in names[1:]:
        _, lines = back(lines)
    with pytest.raises(ledger.Refused, match="no good release before a") as refused:
        back(lines)
    assert way in refused.value.hint


def test_a_database_that_was_brought_back_is_at_the_schema_of_then_also_where_that_was_none() -> None:
    lines = [
        line("a", "live", schema_before="", schema_after=""),
        line("b", "live", schema_before="", schema_after="1"),
        line("a", "live", "rollback", schema_before="1", schema_after="", with_database={"path": "a dump"}),
    ]
    assert ledger.story(lines).schema == ""
    present = ["a", "b"]
    with pytest.raises(ledger.Refused, match="schema"):
        ledger.rollback_target(lines, to="b", present=present)


def test_a_release_is_named_by_its_beginning_or_by_its_commit() -> None:
    one, two, three = "20261122T103000Z-1a2b3c4", "20261122T113000Z-5d6e7f8", "20261123T113000Z-5d6e7f8"
    lines = [
        line(name, "live", commit=f"{name[-7:]}{'0' * 33}") for name in (one, two, three, "20261124T000000Z-9999999")
    ]
    for to, found in ((one, one), (two, two), ("1a2b3c4", one), (f"1a2b3c4{'0' * 33}", one), ("20261123", three)):
        assert ledger.rollback_target(lines, to=to, present=[one, two, three]).id == found
    with pytest.raises(ledger.Refused, match="several"):
        ledger.rollback_target(lines, to="5d6e7f8", present=[one, two, three])
    with pytest.raises(ledger.Refused, match="no release"):
        ledger.rollback_target(lines, to="1a2b3c4ff", present=[one, two, three])


def test_going_over_a_difference_of_the_schema_is_refused_unless_accepted() -> None:
    lines = [line("a", "live", schema_after="1"), line("b", "live", schema_after="2"), line("c", "live")]
    assert ledger.rollback_target(lines, present=["a", "b"]).id == "b", "c asked nothing of the database"
    with pytest.raises(ledger.Refused, match="schema 2, a ran at 1"):
        ledger.rollback_target(lines, to="a", present=["a", "b"])
    assert ledger.rollback_target(lines, to="a", present=["a", "b"], accept_schema=True).id == "a"


def test_a_migration_outlives_the_deploy_that_failed_after_it() -> None:
    lines = [line("a", "live", schema_after="1"), line("b", "live"), line("c", "returned", schema_after="2")]
    with pytest.raises(ledger.Refused, match="schema 2, a ran at 1"):
        ledger.rollback_target(lines, present=["a", "b", "c"])


def test_a_run_that_did_not_end_is_seen_until_something_ends_it() -> None:
    lines = [*deployed("a"), line("b", "started", run="r")]
    assert ledger.story(lines).unfinished["release"] == "b"
    assert not ledger.story([*lines, line("b", "abandoned", run="r")]).unfinished
    assert ledger.story([*lines, {"event": "unlock", "run": "other"}]).unfinished


def test_to_keep_nothing_is_a_typo() -> None:
    with pytest.raises(ValueError, match="typo"):
        ledger.prunable(deployed("a"), present=["a"], keep=0)


# A model of an environment, told in other words than the code's: what was live, and what was left by going back.


@dataclass
class Life:
    """An environment as people remember it."""

    chance: Random
    lines: list[Line] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    """Where plain rollbacks lead, one after the other; the last is live."""
    bad: set[str] = field(default_factory=set)
    """Never passed a gate."""
    count: int = 0

    def write(self, release: str, status: str, event: str, run: str) -> None:
        self.lines.append(line(release, status, event, run))

    def step(self) -> str:
        self.count += 1
        act = self.chance.choices(
            ["deploy", "fail", "abandon", "rollback", "to", "stuck", "unlock"], [6, 4, 2, 4, 2, 1, 1]
        )[0]
        run, fresh = f"run-{self.count}", f"r{self.count:04}"
        if act in ("deploy", "fail", "abandon"):
            self.write(fresh, "started", "deploy", run)
            outcome = {"deploy": "live", "fail": self.chance.choice(["failed", "returned"]), "abandon": "abandoned"}[
                act
            ]
            self.write(fresh, outcome, "deploy", run)
            if act == "deploy":
                self.path.append(fresh)
            else:
                self.bad.add(fresh)
        elif act == "rollback" and len(self.path) > 1:
            self.write(self.path[-2], "started", "rollback", run)
            self.write(self.path[-2], "live", "rollback", run)
            self.path.pop()
        elif act == "stuck" and len(self.path) > 1:  # a rollback whose target does not come up
            self.write(self.path[-2], "started", "rollback", run)
            self.write(self.path[-2], "failed", "rollback", run)
            self.path.pop(-2)
        elif act == "to" and len(self.path) > 1:
            at = self.chance.randrange(len(self.path) - 1)
            self.write(self.path[at], "live", "rollback", run)
            del self.path[at + 1 :]
        elif act == "unlock":
            # What is met on the way says nothing of what a release is.
            self.lines.append({"event": "unlock", "run": run})
            self.lines.append({"event": "edit_seen", "run": run, "release": self.path[-1] if self.path else "none"})
        return act


def lives(chance: Random, *, count: int, steps: int) -> Iterator[Life]:
    """Lives, after every step of each."""
    for _ in range(count):
        life = Life(chance)
        for _ in range(chance.randrange(1, steps)):
            life.step()
            yield life


def check(life: Life, chance: Random) -> None:
    """What must hold after every step of every life."""
    told = ledger.story(life.lines)
    everything = list(told.releases)
    assert told.live == (life.path[-1] if life.path else "")
    assert {name for name, release in told.releases.items() if not release.good} == life.bad
    target = ""
    try:
        target = ledger.rollback_target(life.lines, present=everything).id
    except ledger.Refused:
        assert len(life.path) < 2
    else:
        assert target == life.path[-2]
        assert target not in life.bad
    present = [name for name in everything if chance.random() < 0.8]
    busy, keep = chance.sample(everything, min(2, len(everything))), chance.randrange(1, 4)
    gone = ledger.prunable(life.lines, present=present, keep=keep, busy=busy)
    assert set(gone) <= set(present)
    assert not {told.live, target, *busy} & set(gone)
    left = [name for name in life.path if name in present and name not in gone]
    assert len(left) >= min(keep, len([name for name in life.path if name in present]))
    assert not life.bad & set(present) - set(gone) - set(busy), "what never passed its gate does not stay for ever"


@pytest.mark.soak
def test_soak_ledger(soak: Any) -> None:
    """Whatever became of its releases, a rollback goes to one that was good, and nothing is pruned that is wanted."""
    chance, looked = soak.random(), 0
    for life in lives(chance, count=soak.times(sample=150, full=20_000), steps=30):
        check(life, chance)
        looked += 1
    soak.record(histories=soak.times(sample=150, full=20_000), looked_at=looked, broken=0)


# What is told of one release

STAGED = {"share": 0.1, "verdict": "promote", "sentence": "No worse.", "draws": [{"share": 0.1}]}


def test_a_tale_has_the_end_of_each_run_and_the_rollback_that_left_it() -> None:
    lines = deployed("a")
    lines += [line("b", "started", run="1"), line("b", "returned", run="1", reason="it never got ready", who="ada")]
    lines += [line("b", "started", run="2"), line("b", "live", run="2", verdicts=[STAGED])]
    lines += [
        line("a", "started", "rollback", run="3", previous="b"),
        line("a", "live", "rollback", run="3", previous="b"),
    ]
    told = ledger.tale(lines, "b")
    assert [(run["run"], run["release"], run["status"]) for run in told["runs"]] == [
        ("1", "b", "returned"), ("2", "b", "live"), ("3", "a", "live"),
    ]  # fmt: skip
    assert (told["good"], told["withdrawn"]) == (True, ledger.story(lines).releases["b"].withdrawn)
    assert (told["runs"][0]["reason"], told["runs"][0]["who"]) == ("it never got ready", "ada")
    assert told["runs"][1]["verdicts"] == [{key: value for key, value in STAGED.items() if key != "draws"}]
    assert told["runs"][0]["verdicts"] == []


def test_a_release_that_was_deployed_as_a_hotfix_stays_one_also_where_it_is_rolled_back_to() -> None:
    lines = [*deployed("a"), line("b", "started", run="1", hotfix=True), line("b", "live", run="1", hotfix=True)]
    lines += [line("c", "live", run="2"), line("b", "live", "rollback", run="3", previous="c")]
    assert [each.hotfix for each in ledger.story(lines).releases.values()] == [False, True, False]
    told = ledger.tale(lines, "b")
    assert told["hotfix"]
    assert [(run["event"], run["hotfix"]) for run in told["runs"]] == [("deploy", True), ("rollback", False)]


def test_a_tale_of_a_run_that_has_not_ended_has_its_beginning() -> None:
    assert [run["status"] for run in ledger.tale([line("a", "started")], "a")["runs"]] == ["started"]


def test_a_tale_is_asked_for_by_a_name_a_commit_or_the_beginning_of_one_and_without_any_is_the_last_runs() -> None:
    first, second = "20261122T103000Z-1a2b3c4", "20261123T103000Z-9f8e7d6"
    lines = [line(first, "live", commit="1a2b3c4ddd"), line(second, "returned", commit="9f8e7d6eee")]
    lines.append({"event": "unlock", "who": "ada"})
    for word in (first, "20261122", "1a2b3c4ddd", "1a2b"):
        assert ledger.tale(lines, word)["release"] == first
    assert ledger.tale(lines, "")["release"] == second


def test_a_tale_of_what_is_not_there_names_those_that_are() -> None:
    lines = [line("20261122T103000Z-1a2b3c4", "failed"), line("20261123T103000Z-9f8e7d6", "returned")]
    for word, reason in (("zzz", "no release 'zzz'"), ("2026112", "names several releases")):
        with pytest.raises(ledger.Refused, match=reason) as refused:
            ledger.tale(lines, word)
        assert "20261122T103000Z-1a2b3c4, 20261123T103000Z-9f8e7d6" in refused.value.hint
    with pytest.raises(ledger.Refused, match="no release yet") as refused:
        ledger.tale([], "zzz")
    assert "`deploy` brings one" in refused.value.hint


def test_each_release_was_live_from_its_line_to_the_next_ones() -> None:
    told = [*deployed("a", "b!", "c"), line("a", "live", "rollback")]
    lines = [{**each, "at": f"at-{number}"} for number, each in enumerate(told)]
    assert ledger.spans(lines) == {"a": [["at-1", "at-5"], ["at-6", None]], "c": [["at-5", "at-6"]]}
    assert ledger.spans([]) == {}
