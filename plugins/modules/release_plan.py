#!/usr/bin/python
"""The documentation of ferryman.ops.release_plan; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_plan
short_description: Say what a deploy would change
description:
  - >-
    Compares what is live with what is wanted: commits, files, what is rendered, secrets by name, migrations; and says
    which host would do which step, what would be pruned, and why a deploy would be refused.
  - >-
    Needs what M(ferryman.ops.release_look), M(ferryman.ops.release_build) and M(ferryman.ops.release_step) have found
    in the same run with O(ferryman.ops.release_look#module:plan=true).
  - Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_database), C(release_work_dir), C(release_who), C(release_host_shared),
    C(release_plan_file); and the settings that it writes down.
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Say what would change
  ferryman.ops.release_plan:
  register: planned
  run_once: true
"""

RETURN = r"""
plan:
  description: The plan, in the format of C(docs/decisions/0001-formats.md).
  type: dict
  returned: success
  contains:
    conditions: {description: What must still be so for it to be true., type: dict, returned: success}
    change: {description: Whether a deploy would change anything., type: bool, returned: success}
    against: {description: What is live, and the ledger's head., type: dict, returned: success}
    wanted: {description: "The commit, the artifact's digest, the configuration's.", type: dict, returned: success}
    refused: {description: Why a deploy would be refused now., type: list, elements: dict, returned: success}
    commits: {description: "Those that come, and those that go.", type: dict, returned: success}
    files: {description: "Files added, changed and removed, with bytes.", type: dict, returned: success}
    configuration: {description: "Differences of launchers and units.", type: list, elements: dict, returned: success}
    secrets: {description: "Secrets that would be written, by name: new or changed.", type: dict, returned: success}
    migrations: {description: "Whether they run, why, and which are new.", type: dict, returned: success}
    steps: {description: "The steps in their order, with their hosts.", type: list, elements: dict, returned: success}
    pruned: {description: "Paths that would be removed, by host.", type: dict, returned: success}
differences:
  description: What is no longer as it was when the plan in C(release_plan_file) was made.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_plan is an action: install the whole collection and call ferryman.ops.release_plan")


if __name__ == "__main__":
    main()
