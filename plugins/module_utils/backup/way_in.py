"""From which of its addresses this host comes to the database, and whether the database's firewall lets it in."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import closing

Way = tuple[str, str]
"""An address of the database, and the one of this host that packets to it come from."""


def ways(host: str, port: int) -> list[Way]:
    """Return every way from here to a name or address; nothing is sent: the kernel says which address it would take."""
    found = []
    try:
        targets = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError:  # whoever connects says it better
        return []
    for family, kind, _, _, target in targets:
        with closing(socket.socket(family, kind)) as asked:
            try:
                asked.connect(target)
            except OSError:  # no route: nobody goes that way
                continue
            found.append((str(target[0]), str(asked.getsockname()[0])))
    return found


def shut(found: list[Way], let_in: list[str]) -> list[Way]:
    """Return the ways on which this host is not let in: from an address that is in none of the networks `let_in`."""
    networks = [ipaddress.ip_network(network, strict=False) for network in let_in]
    return [way for way in found if not _is_in(ipaddress.ip_address(way[1].partition("%")[0]), networks)]


def _is_in(
    own: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    """Say whether an address is let in; a host lets itself in."""
    return own.is_loopback or any(own in network for network in networks)


def said(host: str, found: list[Way]) -> str:
    """Return what to do about ways that are shut, in words; empty where there is none."""
    if not found:
        return ""
    there = ", ".join(f"{own} (to {address})" for address, own in found)
    return f"this host comes to {host} from {there}, which backup_from does not let in: name it there, and provision"
