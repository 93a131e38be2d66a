"""From counts to evidence: every event in the draw whose chance it had, against histories that are played out."""

from random import Random

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, gathering
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Clients, Draw, again
from hypothesis import given
from hypothesis import strategies as st
from tests.support.access_log import line

AT = 1_764_190_020.0
SHARES, BEGAN = [0.1, 0.3, 0.6], [AT, AT + 100, AT + 200]


def evidence_of(*lines: bytes) -> list[Draw]:
    reader = access.Reader(b"salt", BEGAN, 5.0)
    reader.count(b"".join(lines))
    return gathering.draws(reader.tally, new="green", shares=SHARES, began=BEGAN)


def at(seconds: float, client: int, *, new: bool, status: int = 500) -> bytes:
    return line(AT + seconds, arm="green" if new else "blue", status=status, address=f"192.0.2.{client}")


def failing(draws: list[Draw]) -> dict[float, tuple[int, int]]:
    return {round(draw.share, 6): draw.failing for draw in draws if any(draw.failing)}


def test_a_client_counts_once_a_stage_and_who_failed_with_old_again_by_what_was_left_to_it() -> None:
    draws = evidence_of(at(10, 1, new=False), at(20, 1, new=False), at(110, 1, new=True), at(210, 1, new=True))
    assert failing(draws) == {0.1: (0, 1), round(again(0.1, 0.3), 6): (1, 0)}


def test_who_failed_before_the_first_share_says_nothing_and_who_failed_with_new_nothing_more() -> None:
    draws = evidence_of(
        at(-50, 1, new=False), at(10, 1, new=True), at(10, 2, new=True), at(120, 2, new=True), at(130, 3, new=False)
    )
    assert failing(draws) == {0.1: (1, 0), 0.3: (0, 1)}


def test_moments_at_which_new_failed_are_told_for_hiccups() -> None:
    draws = evidence_of(at(20, 2, new=True), at(10, 1, new=True), at(12, 3, new=False))
    assert draws[0].failed_at == [AT + 10, AT + 20]


def test_clients_are_seen_in_the_stage_in_which_they_came_first() -> None:
    draws = evidence_of(
        at(-5, 9, new=False, status=200), at(1, 1, new=True, status=200), at(101, 1, new=True, status=200),
        at(102, 2, new=False, status=200), at(250, 3, new=True, status=200),
    )  # fmt: skip
    assert [draw.seen for draw in draws] == [(1, 0), (0, 1), (1, 0)]


def test_clients_count_in_each_stage_and_once_in_all_but_who_failed_before_never_fails() -> None:
    reader = access.Reader(b"salt", BEGAN, 5.0)
    reader.count(b"".join([
        at(-5, 8, new=False), at(10, 1, new=False), at(11, 1, new=False), at(20, 8, new=True), at(30, 2, new=True),
        at(110, 1, new=True, status=200), at(120, 2, new=True, status=200), at(130, 3, new=False, status=200),
        at(140, 8, new=True), at(150, 3, new=False),
    ]))  # fmt: skip
    in_stage, in_all = gathering.clients(reader.tally, new="green", stage=1)
    assert in_stage == Clients((3, 1), (0, 1))
    assert in_all == Clients((3, 2), (1, 2))


def test_what_failed_in_a_stage_that_another_entry_is_ahead_in_waits_until_this_one_is_there() -> None:
    reader = access.Reader(b"salt", BEGAN, 5.0)
    reader.count(at(10, 1, new=False) + at(110, 1, new=True) + at(120, 2, new=True))
    early = gathering.draws(reader.tally, new="green", shares=SHARES[:1], began=BEGAN[:1])
    assert [draw.failing for draw in early] == [(0, 1)]
    later = gathering.draws(reader.tally, new="green", shares=SHARES[:2], began=BEGAN[:2])
    assert failing(later) == {0.1: (0, 1), 0.3: (1, 0), round(again(0.1, 0.3), 6): (1, 0)}


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_entries_together_say_what_one_would_have_said(seed: int, clients: int) -> None:
    chance, lines = Random(seed), []
    for number in range(200):
        client = chance.randrange(clients)
        seconds = number * 1.5 - 20
        stage = sum(seconds >= begin - AT for begin in BEGAN)
        new = stage > 0 and client / clients < SHARES[stage - 1]
        lines.append(at(seconds, client, new=new, status=chance.choice([200, 200, 500])))
    entries = [access.Reader(b"salt", BEGAN, 5.0) for _ in range(2)]
    for each in lines:
        chance.choice(entries).count(each)
    whole = access.merged_tally(entry.tally for entry in entries)
    assert gathering.draws(whole, new="green", shares=SHARES, began=BEGAN) == evidence_of(*lines)


def test_minutes_go_from_the_first_share_to_now_without_gaps() -> None:
    reader = access.Reader(b"salt", BEGAN, 5.0)
    reader.count(at(-300, 1, new=False) + at(30, 1, new=True) + at(31, 2, new=False, status=200) + at(200, 1, new=True))
    found = gathering.minutes(reader.tally, new="green", since=AT, now=AT + 250)
    assert [(each.since - AT, each.new.requests, each.new.failed, each.old.requests) for each in found] == [
        (0, 1, 1, 1), (60, 0, 0, 0), (120, 0, 0, 0), (180, 1, 1, 0), (240, 0, 0, 0),
    ]  # fmt: skip


def test_a_tally_travels_as_it_is() -> None:
    reader = access.Reader(b"salt", BEGAN, 5.0)
    reader.count(at(1, 1, new=True) + at(2, 2, new=False, status=200) + b"garbage\n")
    assert access.read(access.told(reader.tally)) == reader.tally
