#!/usr/bin/python
"""The documentation of ferryman.ops.release_source; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_source
short_description: Read what is to be deployed, and check it
description:
  - >-
    Finds the commit that C(release_ref) names, reads its C(ferryman.yml), and lays the inventory's sizes and
    settings over it.
  - >-
    Everything that is wrong with the description is said at once, each with its file and line, before any host
    is asked.
  - Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_repository), C(release_path), C(release_ref), C(release_root), C(release_allow_dirty),
    C(release_env), C(release_secrets), C(release_processes), C(release_work_dir), C(release_host_shared).
options:
  any_state:
    description: Whether changes that are in no commit are no matter, since the description is only read.
    type: bool
    default: false
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Read the source
  ferryman.ops.release_source:
  register: source
  run_once: true
"""

RETURN = r"""
run: {description: Name of this run; every later task of the same playbook belongs to it., type: str, returned: success}
commit: {description: The full id of the commit., type: str, returned: success}
subject: {description: The first line of the commit's message., type: str, returned: success}
processes: {description: Names of the processes of kind web., type: list, elements: str, returned: success}
instances: {description: How many instances each process has., type: dict, returned: success}
runtime: {description: "The kind of the runtime, as in ferryman.yml.", type: str, returned: success}
packages: {description: Packages of the system that hosts need for it., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(
        msg="release_source is an action: install the whole collection and call ferryman.ops.release_source"
    )


if __name__ == "__main__":
    main()
