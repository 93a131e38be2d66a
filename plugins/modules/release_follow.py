#!/usr/bin/python
"""The documentation of ferryman.ops.release_follow; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_follow
short_description: Follow a deploy that its host drives itself, to its end
description:
  - Prints each line of the driver's, from the first one on, until it has ended; changes nothing.
  - On other hosts than the arbiter nothing is done. Refuses where no deploy was handed over, or another one since.
  - Runs over sessions of the host's connection, each of a few seconds; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_domains), C(release_work_dir), C(release_entry_port), C(release_host_shared),
    C(release_ca).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Follow the run
  ferryman.ops.release_follow:
"""

RETURN = r"""
run: {description: The run that was followed., type: str, returned: on the arbiter}
log: {description: What its unit said last beside that., type: list, elements: str, returned: on the arbiter}
skipped_here: {description: That this host drives nothing., type: bool, returned: otherwise}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(
        msg="release_follow is an action: install the whole collection and call ferryman.ops.release_follow"
    )


if __name__ == "__main__":
    main()
