#!/usr/bin/python
"""Reload nginx and look at what it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_reload
short_description: Take up changed certificates and reload nginx, verified by what is served
description:
  - Tests the configuration first, points each site at its certificate where there is one now, reloads,
    and waits until clients get both.
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Reload nginx
  ferryman.ops.nginx_reload:
"""

RETURN = r"""
relinked: {description: Sites whose certificate was changed for another., type: list, elements: str, returned: success}
action: {description: 'What was done: reloaded or started.', type: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=True, relinked=[], action="nothing")
    try:
        with host.locked():
            done = host.take_up()
    except host.Problem as problem:
        module.fail_json(msg=str(problem))
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")
    else:
        module.exit_json(changed=True, **done)


if __name__ == "__main__":
    main()
