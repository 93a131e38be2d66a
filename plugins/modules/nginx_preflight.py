#!/usr/bin/python
"""Refuse, before anything is installed, what can't work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_preflight
short_description: Check sites and ports before nginx is installed
description:
  - Reads only. Fails with everything that is wrong with the sites at once.
  - Fails where another program listens on port 80 or 443, and names it.
options:
  sites:
    description: The sites as the role takes them.
    type: list
    elements: dict
    required: true
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Refuse what can't work
  ferryman.ops.nginx_preflight:
    sites: "{{ nginx_sites }}"
"""

RETURN = r"""
listeners: {description: Who listens on ports 80 and 443., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_listeners, nginx_sites


def main() -> None:
    module = AnsibleModule(
        argument_spec={"sites": {"type": "list", "elements": "dict", "required": True}}, supports_check_mode=True
    )
    _, errors = nginx_sites.complete(module.params["sites"])
    if errors:
        module.fail_json(msg="\n".join(errors))
    found = nginx_listeners.listeners({80, 443})
    foreign = [str(one) for one in found if not nginx_listeners.is_nginx(one)]
    if foreign:
        module.fail_json(
            msg="nginx needs the ports 80 and 443, and others listen there; nothing was changed. "
            "Stop and disable them, or move them to other ports, then run again: " + "; ".join(foreign)
        )
    module.exit_json(changed=False, listeners=[str(one) for one in found])


if __name__ == "__main__":
    main()
