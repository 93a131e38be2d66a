"""Whoever takes over lock and ledger has every release that was settled, and a token that no host has seen."""

import dataclasses
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import arbiter, chain, lock, look, succession
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now, read_json
from hypothesis import given
from hypothesis import strategies as st
from tests.support.placed import Placed

KEEPER, OTHERS = "entry1", ("entry2", "app1", "app2")


def at(place: Path, name: str) -> Host:
    return Host(Placed("tiny", place=place / name), run="run", token=1)


def written(host: Host, text: str) -> None:
    arbiter.record(host, status="live", release=text)


@pytest.fixture
def keeper(tmp_path: Path) -> Host:
    """The host that keeps the ledger, with three lines in it."""
    host = at(tmp_path, KEEPER)
    for number in range(3):
        written(host, str(number))
    return host


@pytest.fixture
def heir(tmp_path: Path, keeper: Host) -> Host:
    """Another host, with a copy of all three."""
    host = at(tmp_path, "entry2")
    succession.keep(host, arbiter.lines(keeper))
    return host


def test_a_host_that_takes_over_goes_on_with_the_copy_under_a_token_above_all(heir: Host) -> None:
    told = {"token": 41, "copies": {"entry2": succession.copied(heir), "app1": succession.copied(heir)[:2]}}
    done = succession.take_over(heir, told, who="ann", holder="")
    assert (done["took_over"], done["broken"]) == ({"of": "entry2", "lines": 3}, {})
    book = chain.read(heir.site.arbiter / "ledger.jsonl")
    assert (book.wrong, [line.get("release") for line in book.lines]) == ("", ["0", "1", "2", None])
    assert "took over the lock by force, with the ledger as entry2 has it, 3 lines" in book.lines[-1]["reason"]
    assert book.head == done["head"]
    taken = lock.take(
        read_json(heir.site.arbiter / "lock.json"), now(), run="n", owner="n", purpose="deploy", lease_s=9
    )
    assert taken["token"] > 41


def test_what_a_host_had_for_a_ledger_is_set_aside_each_time(heir: Host) -> None:
    for expected in (1, 2):
        (heir.site.arbiter / "ledger.jsonl").unlink(missing_ok=True)
        written(heir, "begun anew")
        succession.take_over(heir, {"token": 1, "copies": {"app1": succession.copied(heir)}}, who="ann", holder="")
        aside = sorted(path.name for path in heir.site.arbiter.glob("*before*"))
        assert aside == [f"ledger.jsonl.before-{number}" for number in range(1, expected + 1)]


def test_a_ledger_that_holds_every_copy_stays_as_it_is(keeper: Host, heir: Host) -> None:
    before = arbiter.lines(keeper)
    done = succession.take_over(
        keeper, {"token": 7, "copies": {"entry2": succession.copied(heir)}}, who="ann", holder=""
    )
    assert done["took_over"] == {}
    assert arbiter.lines(keeper)[:-1] == before
    assert not [*keeper.site.arbiter.glob("*before*")]


def test_a_damaged_copy_is_none_and_the_next_one_is_taken(heir: Host) -> None:
    good = succession.copied(heir)
    spoiled = [*good[:-1], {**good[-1], "release": "9"}]
    told = {"token": 1, "copies": {"app1": spoiled, "app2": good[:2]}}
    assert succession.take_over(heir, told, who="ann", holder="")["took_over"] == {"of": "app2", "lines": 2}


def test_a_copy_that_was_changed_by_hand_says_nothing(heir: Host) -> None:
    heir.site.copy.write_text(heir.site.copy.read_text().replace('"2"', '"9"'))
    assert (succession.copied(heir), succession.last(heir)) == ([], {})


def test_lines_that_do_not_follow_each_other_are_not_kept_and_that_is_noted(keeper: Host, heir: Host) -> None:
    before = heir.site.copy.read_text()
    succession.keep(heir, [arbiter.lines(keeper)[0], arbiter.lines(keeper)[2]])
    assert heir.site.copy.read_text() == before
    (noted,) = chain.read(heir.site.state / "journal.jsonl").lines
    assert (noted["step"], noted["result"]) == ("copy", "failed")


def test_check_mode_says_what_would_be_taken_over_and_touches_nothing(heir: Host) -> None:
    told = {"token": 1, "copies": {"entry2": succession.copied(heir)}}
    heir.check = True
    done = succession.take_over(heir, told, who="ann", holder="")
    assert done == {"broken": {}, "took_over": {"of": "entry2", "lines": 3}}
    assert not (heir.site.arbiter / "ledger.jsonl").exists()
    succession.keep(heir, [])
    assert len(succession.copied(heir)) == 3


def test_what_a_run_wrote_before_it_looked_is_in_the_copy_once(keeper: Host, heir: Host) -> None:
    """An end of an earlier run, and what was edited by hand, are written by the run that finds them."""
    arbiter.record(keeper, status="abandoned", release="3")
    before = arbiter.lines(keeper)
    written(keeper, "4")
    mine = arbiter.lines_of(keeper, keeper.run_id)
    assert len(mine) == 5, "as all of them are by one run here"
    succession.keep(heir, succession.up_to_the_commit(before, mine))
    assert succession.copied(heir) == arbiter.lines(keeper)


def test_the_lock_of_a_run_that_came_since_somebody_was_asked_is_not_broken(heir: Host) -> None:
    held = lock.take({}, now(), run="theirs", owner="bob", purpose="deploy", lease_s=30)
    heir.site.arbiter.mkdir(parents=True)
    arbiter.keep(heir.site.arbiter / "lock.json", held)
    told = {"token": 1, "copies": {}}
    with pytest.raises(Failed, match="bob holds the lock") as refused:
        succession.take_over(heir, told, who="ann", holder="")
    assert refused.value.refused
    assert succession.take_over(heir, told, who="ann", holder="theirs")["broken"]["owner"] == "bob"


def test_whoever_kept_it_before_is_known_by_what_it_lacks_and_its_token_is_refused(keeper: Host, heir: Host) -> None:
    copies = {"entry2": succession.copied(heir)}
    succession.take_over(heir, {"token": 5, "copies": copies}, who="ann", holder="")
    assert "line 4" in succession.lacks(arbiter.lines(keeper), {"entry2": succession.last(heir)})
    heir.token = 5
    with pytest.raises(Failed, match="this run's token 5 is older than 6"):
        heir.admit()


def test_a_host_that_keeps_the_ledger_now_without_having_it_begins_nothing_and_says_the_way_out(heir: Host) -> None:
    request: dict[str, Any] = {"roles": ["entry", "arbiter"], "lock": {"owner": "ann"}}
    with pytest.raises(Failed, match=r"does not hold line 3 \(.*\), of which this host has a copy") as refused:
        look.look(heir, request)
    assert refused.value.refused
    assert "`unlock --force`" in refused.value.hint
    told = look.look(heir, {"roles": ["entry", "arbiter"]})
    assert told["refuses"]["hint"] == refused.value.hint, "who only looks is told, and goes on"


@dataclasses.dataclass
class World:
    """Hosts that settle releases, one of which keeps the ledger until it is gone."""

    place: Path
    chance: Random
    keeper: str = KEEPER
    settled: list[str] = dataclasses.field(default_factory=list)

    def host(self, name: str) -> Host:
        return at(self.place, name)

    def deploys(self, number: int) -> None:
        """Have a release settled on some of the hosts, at least on one that is not the keeper."""
        keeper = self.host(self.keeper)
        for _ in range(self.chance.randint(0, 2)):  # what failed leaves lines, too
            arbiter.record(keeper, status="returned", release=f"bad {number}")
        written(keeper, str(number))
        self.settled.append(str(number))
        others = [name for name in (KEEPER, *OTHERS) if name != self.keeper]
        for name in self.chance.sample(others, self.chance.randint(1, len(others))):
            succession.keep(self.host(name), arbiter.lines(keeper))

    def loses_its_keeper(self) -> None:
        """Have one of the others take over, whichever it is."""
        others = [name for name in (KEEPER, *OTHERS) if name != self.keeper]
        name = self.chance.choice(others)
        heir = self.host(name)
        copies = {each: copy for each in others if (copy := succession.copied(self.host(each)))}
        lacked = succession.lacks(arbiter.lines(heir), {each: succession.last(self.host(each)) for each in others})
        done = succession.take_over(heir, {"token": self.chance.randint(1, 99), "copies": copies}, who="ann", holder="")
        assert bool(lacked) == bool(done["took_over"])
        self.keeper = name
        book = arbiter.lines(heir)
        assert [line["release"] for line in book if line.get("status") == "live"] == self.settled
        assert not succession.lacks(book, {each: succession.last(self.host(each)) for each in others})


@given(st.randoms(use_true_random=False), st.lists(st.booleans(), min_size=1, max_size=12))
def test_whoever_is_lost_whenever_what_was_settled_anywhere_is_in_the_ledger_that_goes_on(
    tmp_path_factory: pytest.TempPathFactory, chance: Random, losses: list[bool]
) -> None:
    world = World(tmp_path_factory.mktemp("world"), chance)
    for number, lost in enumerate(losses):
        world.deploys(number)
        if lost:
            world.loses_its_keeper()


def test_an_answer_says_which_copy_is_ahead() -> None:
    book = [{"hash": "a" * 64}, {"hash": "b" * 64}]
    copies = {"app1": {"head": "b" * 64, "seq": 2}, "app2": {}, "app3": {"head": "c" * 64, "seq": 3}}
    assert succession.lacks(book, copies) == f"it does not hold line 3 ({'c' * 12}), of which app3 has a copy"
    assert succession.lacks(book, {"app1": copies["app1"], "app2": {}}) == ""
