#!/usr/bin/python
"""The documentation of ferryman.ops.release_hand_over; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_hand_over
short_description: Have the host that keeps the lock drive a deploy from here on
description:
  - >-
    Sends the run and what was built, and where the host lacks it, what Ansible needs there: packages of the toolkit's
    own lock, and this collection.
  - >-
    Starts a unit that goes on with the steps (entry C(drive) of the role), under the run's name and lock. What it is
    told, the application's secrets among it, systemd reads from the memory of this session, and gives to that unit
    alone as a credential.
  - Needs what M(ferryman.ops.release_look) and M(ferryman.ops.release_build) have found in the same run.
  - Runs over two sessions of the host's connection; the host needs Python 3.11 and C(python3-venv).
  - "Reads all variables of the role ferryman.ops.release, and hands them on as they are now."
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Hand it over to the host that keeps the lock
  ferryman.ops.release_hand_over:
"""

RETURN = r"""
unit: {description: The unit that drives it., type: str, returned: success}
host: {description: The host that it is a unit of., type: str, returned: success}
run: {description: "The run, as journals and ledger have it.", type: str, returned: success}
sent_bytes: {description: How many bytes were sent., type: int, returned: success}
skipped_here: {description: That nothing was done., type: bool, returned: in check mode}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(
        msg="release_hand_over is an action: install the whole collection and call ferryman.ops.release_hand_over"
    )


if __name__ == "__main__":
    main()
