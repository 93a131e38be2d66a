"""What a log says of both arms: exact, of each client once, in whatever pieces it is read, and of whatever it holds."""

import re
from itertools import pairwise
from random import Random

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access
from hypothesis import given
from hypothesis import strategies as st
from tests.support.access_log import line

from ferryman import paths

AT = 1_764_190_020.0
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 300_000),
        st.sampled_from(["blue", "green", ""]),
        st.sampled_from([200, 200, 404, 499, 500, 502, 101]),
        st.sampled_from([0.01, 0.15, 0.9, 7.0]),
        st.integers(1, 9),
    ),
    max_size=40,
    unique_by=lambda request: request[0],
)
"""A log is in order of time; at one moment one line is written here."""


def counted(*blocks: bytes) -> access.Tally:
    """What a reader has counted of blocks; stages began after 0 and 100 seconds."""
    reader = access.Reader(b"salt", [AT, AT + 100], 5.0)
    for block in blocks:
        reader.count(block)
    return reader.tally


@given(REQUESTS, st.randoms())
def test_pieces_of_a_log_in_any_order_say_what_the_whole_says(
    requests: list[tuple[int, str, int, float, int]], chance: Random
) -> None:
    lines = [
        line(AT + at / 1000, arm=arm, status=status, seconds=seconds, address=f"192.0.2.{client}")
        for at, arm, status, seconds, client in sorted(requests)
    ]
    cuts = [0, *sorted(chance.randrange(len(lines) + 1) for _ in range(3)), len(lines)]
    pieces = [counted(b"".join(lines[a:b])) for a, b in pairwise(cuts)]
    chance.shuffle(pieces)
    assert access.merged_tally(pieces) == access.merged_tally([counted(b"".join(lines))])


def test_the_first_slot_is_blamed_also_where_the_other_one_answered() -> None:
    (minute,) = counted(line(AT, status=200, upstream_status=502)).minutes.values()
    assert (minute.requests, minute.failed) == (1, 1)


@pytest.mark.parametrize(("seconds", "counts"), [(6.0, (1, 1)), (1.0, (0, 0))])
def test_a_client_that_leaves_is_a_failure_where_it_had_waited_and_else_had_no_answer(
    seconds: float, counts: tuple[int, int]
) -> None:
    found = counted(line(AT + 10, status=499, upstream_status=0, seconds=seconds))
    (minute,) = found.minutes.values()
    assert (minute.requests, minute.failed) == counts
    assert minute.seconds.over(0.8) == 1, "it took at least as long as the client waited"
    assert {"came 0", "slow 3"} <= {kind for kind, _ in found.firsts}


def test_a_client_that_left_while_the_other_slot_made_good_had_a_failure() -> None:
    (minute,) = counted(line(AT, status=499, upstream_status=502, seconds=1.0)).minutes.values()
    assert (minute.requests, minute.failed) == (1, 1)


def test_a_connection_that_was_kept_is_a_request_and_no_slow_answer() -> None:
    found = counted(line(AT), line(AT + 1, status=101, seconds=120.0))
    (minute,) = found.minutes.values()
    assert (minute.requests, minute.failed) == (2, 0)
    assert minute.seconds.over(1.0) == 0
    assert not [kind for kind, _ in found.firsts if kind.startswith("slow")]


def test_how_long_it_took_counts_from_when_new_is_warm_on() -> None:
    reader = access.Reader(b"salt", [AT], 5.0, warm_until=AT + 30)
    told = [(10, "green", 0.9), (10, "blue", 0.9), (29, "green", 0.9), (40, "green", 12.0), (40, "blue", 7.0)]
    reader.count(b"".join(line(AT + at, arm=arm, seconds=seconds) for at, arm, seconds in told))
    slow = {kind: first for (kind, _), first in reader.tally.firsts.items() if kind.startswith("slow")}
    assert {first[0] - AT for first in slow.values()} == {40}
    assert {first[2] for first in slow.values()} == {"blue"}, "what began before is left out however long it took"
    assert sum(each.requests for each in reader.tally.minutes.values()) == len(told)
    assert sum(each.seconds.count for each in reader.tally.minutes.values()) == 1


def test_clients_come_in_each_stage_once() -> None:
    told = [(-3, 0.01), (1, 0.01), (5, 0.01), (99, 0.01), (101, 2.0), (104, 0.01), (130, 0.01), (131, 60.0)]
    found = counted(*(line(AT + at, seconds=seconds) for at, seconds in told))
    came = {kind: first[0] - AT for (kind, _), first in found.firsts.items() if kind.startswith("came")}
    assert came == {"came -1": -3, "came 0": 1, "came 1": 104}


def test_a_request_belongs_to_the_stage_in_which_it_began() -> None:
    found = counted(line(AT + 101, status=504, seconds=60.0), line(AT + 102, status=500))
    assert {kind for kind, _ in found.firsts if kind.startswith("failing")} == {"failing 0", "failing 1"}


def test_who_failed_once_before_the_shift_is_not_taken_for_one_who_keeps_failing() -> None:
    told = [(4, -9), (1, 10), (1, 20), (1, 110), (2, 10), (2, 30), (3, 110), (3, 120), (4, 60), (5, 30), (5, 201)]
    before = access.Before(b"salt", AT, AT + 200, 5.0)
    before.count(b"".join(line(AT + at, status=500, address=f"192.0.2.{client}") for client, at in told))
    assert [first[0] - AT for first in before.kept_failing().firsts.values()] == [10]


def test_where_the_log_reaches_less_far_back_what_there_is_has_two_halves() -> None:
    before = access.Before(b"salt", AT, AT + 200, 5.0)
    assert not before.kept_failing().firsts, "where nothing was logged"
    before.count(b"garbage\n")
    for client, at in ((9, 140), (1, 150), (2, 160), (2, 165), (1, 190)):
        before.count(line(AT + at, status=500 if client < 9 else 200, address=f"192.0.2.{client}"))
    assert [first[0] - AT for first in before.kept_failing().firsts.values()] == [150]


def test_of_ipv6_a_client_is_a_household_and_no_address_is_kept() -> None:
    found = counted(*(line(AT, address=f"2001:db8:0:7::{number}") for number in (1, 2)))
    assert len(found.firsts) == 1
    assert "2001" not in str(found)


def test_what_is_no_line_of_the_log_is_counted_and_stops_nothing() -> None:
    quoted = line(AT, path='/\\"status\\":500,').replace(b'"request_s":0.010', b'"request_s":0.010 ')
    found = counted(b'{"half":\n' + line(AT) + b"\xff\xfe\n[]\n" + quoted)
    assert found.odd == {"garbage": 3}
    assert [(each.requests, each.failed) for each in found.minutes.values()] == [(2, 0)]


def test_what_the_entry_answered_itself_speaks_for_no_arm() -> None:
    found = counted(line(AT, arm="", status=503))
    assert (dict(found.minutes), dict(found.odd)) == ({}, {"no arm": 1})


def test_clients_are_bounded_and_requests_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "CLIENTS_MOST", 3)
    found = counted(*(line(AT, address=f"192.0.2.{number}") for number in range(1, 9)))
    assert len(found.firsts) == 3
    assert sum(each.requests for each in found.minutes.values()) == 8


def test_the_quick_expression_knows_the_keys_of_the_template_in_their_order() -> None:
    template = (paths.CHECKOUT / "roles/nginx/templates/site.conf.j2").read_text()
    key = re.compile(r'"(\w+)":')
    written = key.findall(template[template.index("log_format") : template.index("user_agent")])
    assert key.findall(access.LINE.pattern.decode()) == written[written.index("epoch") :]
