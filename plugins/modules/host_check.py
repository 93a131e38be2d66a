#!/usr/bin/python
"""Read what a host is like; the action plugin of the same name judges it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Look whether a host is fit for what an inventory wants of it
description:
  - Reads everything in one session and changes nothing.
  - >-
    The action plugin of the same name asks on the driver what the domains lead to, compares the clocks, and judges:
    marker, clock, disk, memory, max_connections, ports, versions, way out, DNS. It fails at nothing that it finds.
  - >-
    Reads these variables of the role ferryman.ops.host: C(host_environment), C(host_shared), and all that begin with
    C(host_check_).
options:
  ports: {description: Ports that must be free or nginx's., type: list, elements: int, default: []}
  urls: {description: Addresses that must be reached from the host., type: list, elements: str, default: []}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Look at the host
  ferryman.ops.host_check:
    ports: [80, 443]
  register: __host_check
"""

RETURN = r"""
seen: {description: What was read, by the name of the reading., type: dict, returned: success}
ferryman:
  description: >-
    C(checked) holds, by host, a list of judgements, each with C(key), C(state) (good, wrong or unknown), C(said) and
    C(right).
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import survey


def main() -> None:
    """Read and answer."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "default": []},
            "urls": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, seen=survey.survey(module.params["ports"], module.params["urls"]))


if __name__ == "__main__":
    main()
