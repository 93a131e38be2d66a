#!/usr/bin/python
"""The documentation of ferryman.ops.release_wait; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_wait
short_description: Wait for the lock, in line with others
description:
  - >-
    The arbiter gives this run a place in the line of those who wait, and the lock when it is its turn; whoever dies
    while it waits is passed over. On other hosts nothing is done, and in check mode nobody waits.
  - Prints a line whenever somebody else holds the lock than before, or fewer come before this run.
  - Refuses when C(release_wait_s) is over, with nothing touched.
  - Runs over sessions of the host's connection; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_domains), C(release_work_dir), C(release_entry_port), C(release_who),
    C(release_host_shared), C(release_stop_file), C(release_wait_s), C(release_stages), C(release_hotfix),
    C(release_hotfix_stages); with O(source) those of
    M(ferryman.ops.release_source) too.
options:
  purpose: {description: "What the lock is for, as others will read it.", type: str, required: true}
  source:
    description: Read first what is to be deployed, once in a run; what is wrong with it is said before anybody waits.
    type: bool
    default: false
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Wait for the lock
  ferryman.ops.release_wait:
    source: true
    purpose: deploy
  when: release_wait_s | float > 0
"""

RETURN = r"""
waited_s: {description: How long it waited (seconds)., type: float, returned: when somebody else held the lock}
waited_for: {description: "Who held it at first, and for what.", type: str, returned: when somebody else held the lock}
skipped_here: {description: That this host keeps no lock., type: bool, returned: otherwise}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={
            "purpose": {"type": "str", "required": True},
            "source": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="release_wait is an action: install the whole collection and call ferryman.ops.release_wait")


if __name__ == "__main__":
    main()
