"""From where an archive comes to its database, and whether it is let in from there."""

import ipaddress

from ansible_collections.ferryman.ops.plugins.module_utils.backup import way_in
from hypothesis import given
from hypothesis import strategies as st

BOTH = [("10.89.0.2", "10.89.0.3"), ("fd00::2", "fd00::3")]


def test_a_name_with_an_address_that_is_not_let_in_is_told_with_what_to_name() -> None:
    assert way_in.shut(BOTH, ["10.0.0.0/8"]) == [("fd00::2", "fd00::3")]
    assert way_in.said("db.internal", way_in.shut(BOTH, ["10.0.0.0/8"])) == (
        "this host comes to db.internal from fd00::3 (to fd00::2), which backup_from does not let in: "
        "name it there, and provision"
    )


def test_where_every_way_is_let_in_nothing_is_said() -> None:
    assert way_in.said("db.internal", way_in.shut(BOTH, ["10.89.0.3", "fd00::/8"])) == ""


def test_a_host_lets_itself_in() -> None:
    assert way_in.shut([("127.0.0.1", "127.0.0.1"), ("::1", "::1")], ["192.0.2.20"]) == []


def test_the_kernel_says_from_where_packets_would_come() -> None:
    assert way_in.ways("127.0.0.1", 5432) == [("127.0.0.1", "127.0.0.1")]
    assert way_in.ways("no-such-host.invalid", 5432) == []


@given(st.ip_addresses(), st.ip_addresses())
def test_an_address_lets_in_itself_and_no_other(own: ipaddress.IPv4Address, other: ipaddress.IPv4Address) -> None:
    way = ("192.0.2.1", str(own))
    assert way_in.shut([way], [str(own)]) == []
    assert bool(way_in.shut([way], [str(other)])) == (own != other and not own.is_loopback)
