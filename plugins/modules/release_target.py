#!/usr/bin/python
"""The documentation of ferryman.ops.release_target; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_target
short_description: Decide what a rollback goes back to
description:
  - >-
    Takes the newest release before the live one that once passed its gate and was never rolled back from, or
    the one that C(release_to) names. With C(release_with_database) also the restore point that leads back to its data.
  - Needs no repository, no build and no registry, only what M(ferryman.ops.release_look) has found in the same run.
  - Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_hosts), C(release_to),
    C(release_accept_schema), C(release_with_database), C(release_restore_point), C(release_database),
    C(release_work_dir), C(release_who), C(release_serial).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Decide where to go back to
  ferryman.ops.release_target:
  register: plan
  run_once: true
"""

RETURN = r"""
release: {description: Id of the release to go back to., type: str, returned: success}
previous: {description: The release that is live now., type: str, returned: success}
slot: {description: The slot that it goes to., type: str, returned: success}
left_out:
  description: The app hosts that this run goes on without; so it does without those that were left out and have it not.
  type: list
  elements: str
  returned: success
nobodys: {description: Steps (mend) that concern no host., type: list, elements: str, returned: success}
throttle:
  description: On how many hosts at once the steps of app hosts are done, by C(release_serial); 0 is all of them.
  type: int
  returned: success
point:
  description: "The restore point: C(path) and C(sha256) of the dump, and whose deploy took it (C(before), C(at))."
  type: dict
  returned: with release_with_database
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(
        msg="release_target is an action: install the whole collection and call ferryman.ops.release_target"
    )


if __name__ == "__main__":
    main()
