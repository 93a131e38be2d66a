#!/usr/bin/python
"""The documentation of ferryman.ops.host_bounds; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_bounds
short_description: Refuse values of a role that no type forbids
description:
  - >-
    Reads C(meta/bounds.yml) of the role that it stands in, which gives numbers their bounds and texts their form,
    and refuses every value that does not keep to them.
  - Values are not shown; their names are.
  - Runs on the driver and asks no host.
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Main | Refuse values out of bounds
  ferryman.ops.host_bounds:
"""

RETURN = r""""""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="host_bounds is an action: install the whole collection and call ferryman.ops.host_bounds")


if __name__ == "__main__":
    main()
