#!/usr/bin/python
"""The documentation of ferryman.ops.release_take_up; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_take_up
short_description: Take up a deploy that was handed over
description:
  - Says again what was found and planned where the run began, for the steps that follow, and for whoever follows it.
  - Needs what M(ferryman.ops.release_hand_over) has left on the host that drives.
  - Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_work_dir), C(release_run), C(release_serial).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Take up the run
  ferryman.ops.release_take_up:
  register: plan
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
stale: {description: "Why the host was not as wanted, when it was looked at.", type: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(
        msg="release_take_up is an action: install the whole collection and call ferryman.ops.release_take_up"
    )


if __name__ == "__main__":
    main()
