#!/usr/bin/python
"""The documentation of ferryman.ops.host_packages; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_packages
short_description: Install Debian packages, without what they recommend
description:
  - >-
    Runs M(ansible.builtin.apt), with lists of packages that are at most a day old; not where all are installed and
    none is there for other packages alone.
  - >-
    In check mode a host without any lists, as images of providers often are, is no failure: what is not installed
    there would be, once a run has brought the lists.
options:
  names: {description: Names of the packages., type: list, elements: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would be installed, and brings no lists.}
"""

EXAMPLES = r"""
- name: Install nginx
  ferryman.ops.host_packages: {names: [nginx]}
"""

RETURN = r"""
diff: {description: "What apt says of it, under C(prepared).", type: dict, returned: when asked for with --diff}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={"names": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    module.fail_json(msg="host_packages is an action: install the whole collection and call ferryman.ops.host_packages")


if __name__ == "__main__":
    main()
