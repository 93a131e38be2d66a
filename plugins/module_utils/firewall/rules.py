"""The rules as text for nft, and what stands in their way on a host that is not bare."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

TABLE = "inet ferryman"
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
# "lo" has its rule; a name may end in * for all that begin so.
INTERFACE = re.compile(r"[A-Za-z0-9_.@-]{1,15}\*?")

# RFC 4890, 4.4: without these IPv6 does not work at all (neighbours, routers, path MTU); the same few for IPv4.
TEMPLATE = """\
# Written by Ferryman (role firewall). One table of its own: whatever else filters or forwards here is left alone.
add table inet ferryman
delete table inet ferryman
table inet ferryman {{
  chain input {{
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iif "lo" accept
{interfaces}    icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }} accept
    icmpv6 type {{ echo-request, echo-reply, nd-router-solicit, nd-router-advert }} accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, ind-neighbor-solicit, ind-neighbor-advert }} accept
    icmpv6 type {{ mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }} accept
    icmp type {{ destination-unreachable, time-exceeded, parameter-problem, echo-request }} accept
    udp sport 67 udp dport 68 accept comment "an address by DHCP"
    ip6 saddr fe80::/10 udp dport 546 accept comment "an address by DHCPv6"
    tcp dport {ssh_port} accept comment "SSH"
{allow}  }}
}}
"""


def render(ssh_port: int, allow: list[dict[str, Any]], interfaces: list[str]) -> str:
    """Return the whole table; ValueError with every mistake at once."""
    mistakes: list[str] = []
    lines: list[str] = []
    _ports(ssh_port, "firewall_ssh_port", mistakes)
    for entry in allow:
        lines += _accept(entry, mistakes)
    mistakes += [
        f"firewall_interfaces: {name!r} is not the name of an interface"
        for name in interfaces
        if not INTERFACE.fullmatch(name)
    ]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    trusted = [f'    iifname "{name}" accept comment "containers of this host"' for name in interfaces]
    return TEMPLATE.format(
        interfaces="".join(line + "\n" for line in trusted),
        ssh_port=ssh_port,
        allow="".join(f"    {line}\n" for line in lines),
    )


def _ports(text: object, place: str, mistakes: list[str]) -> str:
    match = PORTS.fullmatch(str(text))
    ends = [int(end) for end in match.groups() if end] if match else []
    if not ends or not all(0 < end < 65536 for end in ends) or ends != sorted(ends):
        mistakes.append(f"{place}: port {text!r} is neither a number from 1 to 65535 nor a range such as 8000-8010")
    return str(text)


def _accept(entry: dict[str, Any], mistakes: list[str]) -> list[str]:
    """Return one rule for everybody, or one for each address family that `from` names."""
    match = f"{entry['protocol']} dport {_ports(entry['port'], 'firewall_allow', mistakes)} accept"
    if not entry["from"]:
        return [match]
    sources: dict[int, list[str]] = {4: [], 6: []}
    for text in entry["from"]:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            mistakes.append(f"firewall_allow, port {entry['port']}: {error}")
            continue
        sources[network.version].append(str(network))
    families = {4: "ip", 6: "ip6"}
    return [f"{families[v]} saddr {{ {', '.join(found)} }} {match}" for v, found in sources.items() if found]


def ports_of(allow: list[dict[str, Any]]) -> set[int]:
    """Return the TCP ports that are open to everybody."""
    found: set[int] = set()
    for entry in allow:
        match = PORTS.fullmatch(str(entry["port"]))
        if match and entry["protocol"] == "tcp" and not entry["from"]:
            found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


def foreign(ruleset: dict[str, Any], services: list[str]) -> list[str]:
    """Return what else denies what comes in, in words; empty where nothing does.

    `ruleset` is `nft -j list ruleset`, `services` those of the known firewalls that run. Tables that only forward,
    translate or ban single addresses (Docker, Podman, fail2ban) deny nothing by default and are no rival.
    """
    found = [f"{name} is active" for name in services]
    for item in ruleset.get("nftables", []):
        chain = item.get("chain", {})
        name = f"{chain.get('family')} {chain.get('table')}"
        if chain.get("hook") == "input" and chain.get("policy") == "drop" and name != TABLE:
            found.append(f"chain {chain['name']} of table {name} drops what it does not know")
    return found
