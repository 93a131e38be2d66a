"""The rules as text, and what stands in their way."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.firewall import rules


def entry(port: str, *sources: str, protocol: str = "tcp") -> dict[str, Any]:
    return {"port": port, "protocol": protocol, "from": list(sources)}


def test_everything_is_denied_but_what_ipv6_and_ssh_need() -> None:
    text = rules.render(2222, [], [])
    assert "policy drop" in text
    assert "nd-neighbor-solicit" in text
    assert "packet-too-big" in text
    assert [line.strip() for line in text.splitlines() if "tcp dport" in line] == [
        'tcp dport 2222 accept comment "SSH"'
    ]


def test_one_transaction_replaces_our_table_and_flushes_nobody() -> None:
    text = rules.render(22, [], [])
    assert (
        text.index("add table inet ferryman")
        < text.index("delete table inet ferryman")
        < text.index("table inet ferryman {")
    )
    assert "flush" not in text
    assert "hook forward" not in text


def test_sources_are_parted_by_family() -> None:
    text = rules.render(22, [entry("9100", "192.0.2.0/24", "2001:db8::/32", "198.51.100.7")], [])
    assert "ip saddr { 192.0.2.0/24, 198.51.100.7/32 } tcp dport 9100 accept" in text
    assert "ip6 saddr { 2001:db8::/32 } tcp dport 9100 accept" in text
    assert "\n    tcp dport 9100" not in text


def test_ranges_protocols_and_bridges() -> None:
    text = rules.render(22, [entry("6000-6010", protocol="udp")], ["podman*"])
    assert "udp dport 6000-6010 accept" in text
    assert 'iifname "podman*" accept' in text


@pytest.mark.parametrize("port", ["0", "65536", "90-80", "http", "80;", "1-2-3", ""])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="firewall_allow: port"):
        rules.render(22, [entry(port)], [])


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        rules.render(0, [entry("80", "192.0.2.1/24"), entry("x")], ['eth0" accept; #'])
    assert all(
        word in str(caught.value)
        for word in ("firewall_ssh_port", "port 80", "has host bits set", "port 'x'", "firewall_interfaces")
    )


def test_ports_open_to_everybody_are_those_without_sources() -> None:
    assert rules.ports_of([entry("80-82"), entry("22", "192.0.2.1"), entry("53", protocol="udp")]) == {80, 81, 82}


def chain(table: str, hook: str, policy: str) -> dict[str, Any]:
    return {"chain": {"family": "inet", "table": table, "name": "c", "hook": hook, "policy": policy}}


def test_only_what_denies_by_default_is_a_rival() -> None:
    harmless = [
        chain("ferryman", "input", "drop"),
        chain("f2b-table", "input", "accept"),
        chain("docker", "forward", "drop"),
    ]
    assert rules.foreign({"nftables": harmless}, []) == []
    found = rules.foreign({"nftables": [*harmless, chain("filter", "input", "drop")]}, ["ufw.service"])
    assert found == ["ufw.service is active", "chain c of table inet filter drops what it does not know"]
