"""The filter by which playbooks know where the hosts of an environment reach each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: release_addresses
short_description: Where the hosts of an environment reach each other
description:
  - Each host's C(release_address), else its C(ansible_host), else its name; an address, and not the loopback.
  - Names are refused, since firewall and nginx take them once, when they start, and a name leads elsewhere one day.
positional: hostvars, strict
options:
  _input: {description: Names of hosts., type: list, elements: str, required: true}
  hostvars: {description: The variables of all hosts., type: dict, required: true}
  strict: {description: Whether a host without one is an error; else it is left out., type: bool, default: true}
"""
EXAMPLES = """
- debug: {msg: "{{ groups.entry | ferryman.ops.release_addresses(hostvars) }}"}  # {entry1: 10.0.0.11}
"""
RETURN = """
_value: {description: Addresses by host., type: dict}
"""


class FilterModule:
    """ferryman.ops.release_addresses"""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"release_addresses": release_addresses}


def release_addresses(
    hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], strict: bool = True
) -> dict[str, str]:
    """Return the address of each host for the others, by name in the order of names; all that is wrong is said at once.

    What `difference` leaves has another order in every run, and what is written of it would differ each time.
    """
    found: dict[str, str] = {}
    wrong = []
    for host in sorted(hosts):
        told = hostvars[host]
        given = str(told.get("release_address") or told.get("ansible_host") or host)
        try:
            loopback = ipaddress.ip_address(given).is_loopback
        except ValueError:
            wrong.append(f"{host}: {given!r} is a name")
            continue
        if loopback:
            wrong.append(f"{host}: {given} leads to no other host")
        else:
            found[str(host)] = given
    if wrong and strict:
        raise AnsibleFilterError(
            f"{'; '.join(wrong)}; give each host its `release_address`: the address at which the other hosts of the "
            "environment reach it"
        )
    return found
