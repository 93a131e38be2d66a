#!/usr/bin/python
"""The documentation of ferryman.ops.release_build; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_build
short_description: Build the artifact of the commit, once, and plan the release
description:
  - >-
    Packs exactly the files of one commit and, for Python, the wheels that its lock names; an equal artifact is
    built once and kept.
  - Needs what M(ferryman.ops.release_source) and M(ferryman.ops.release_look) have found in the same run.
  - >-
    Judges the SQL migrations that a description names (C(migrations.sql)) and that the live release has not got, by
    squawk, before anything is built, and refuses what would lock tables or break what is live.
  - Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_work_dir), C(release_who), C(release_host_shared), C(release_serial),
    C(release_hotfix); with O(as_planned) also C(release_plan_file), and the settings that a plan writes down.
options:
  as_planned:
    description: >-
      Whether to refuse, before anything is sent to a host, what is no longer as the plan in C(release_plan_file) says;
      where that is empty, nothing is compared.
    type: bool
    default: false
  plan:
    description: >-
      Whether this is for M(ferryman.ops.release_plan), which tells what is refused among all else: SQL that would harm,
      and with C(release_hotfix) what is more than a hotfix.
    type: bool
    default: false
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Build the artifact
  ferryman.ops.release_build:
  register: plan
  run_once: true
"""

RETURN = r"""
release: {description: Id of the release., type: str, returned: success}
previous: {description: The release that is live now; empty for none., type: str, returned: success}
slot: {description: The slot that the release goes to., type: str, returned: success}
migrate: {description: Whether its migrations have to be asked for., type: bool, returned: success}
hotfix: {description: That it is a hotfix., type: bool, returned: for a hotfix}
left_out: {description: The app hosts that this run goes on without., type: list, elements: str, returned: success}
nobodys: {description: Steps (mend) that concern no host., type: list, elements: str, returned: success}
throttle:
  description: On how many hosts at once the steps of app hosts are done, by C(release_serial); 0 is all of them.
  type: int
  returned: success
digest: {description: SHA-256 over the artifact's list of files., type: str, returned: success}
bytes: {description: Size of its files in bytes., type: int, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={name: {"type": "bool", "default": False} for name in ("as_planned", "plan")},
        supports_check_mode=True,
    )
    module.fail_json(msg="release_build is an action: install the whole collection and call ferryman.ops.release_build")


if __name__ == "__main__":
    main()
