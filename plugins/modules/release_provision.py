#!/usr/bin/python
"""The documentation of ferryman.ops.release_provision; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_provision
short_description: Bring a host to where releases can be staged on it
description:
  - >-
    Makes the service account and the directories, gives out the ports of both slots, and installs the guard: it
    undoes a switch that nobody confirms.
  - Ports that were given out once stay.
  - Runs over one session of the host's connection; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_work_dir), C(release_host_shared), C(release_baseline).
options:
  processes: {description: "Names of the processes of kind web.", type: list, elements: str, required: true}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Prepare the host
  ferryman.ops.release_provision:
    processes: [web]
  register: prepared
"""

RETURN = r"""
ports: {description: "The ports of each process: lists by slot.", type: dict, returned: success}
slots:
  description: "Where each slot answers, as the entry reaches it: lists of address:port by slot."
  type: dict
  returned: success
baseline:
  description: "Where a baseline answers: a list of address:port, empty where C(release_baseline) asks for none."
  type: list
  elements: str
  returned: success
changes: {description: What was changed on the host., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={"processes": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    module.fail_json(
        msg="release_provision is an action: install the whole collection and call ferryman.ops.release_provision"
    )


if __name__ == "__main__":
    main()
