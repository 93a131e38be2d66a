#!/usr/bin/python
"""The documentation of ferryman.ops.release_leave; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_leave
short_description: Decide which app hosts a run goes on without
description:
  - >-
    Those that M(ferryman.ops.release_look) found away (its option O(ferryman.ops.release_look#module:away)),
    C(release_partial) at most.
  - Where they are more, or all, the run is refused, and the lock let go of. Nothing is changed on a host.
  - Entries fence them off before a client is moved (step V(leave_out) of M(ferryman.ops.release_step)).
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment), C(release_hosts),
    C(release_domains), C(release_entry_port), C(release_work_dir), C(release_who), C(release_host_shared),
    C(release_partial), C(release_stop_file).
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Decide who is left out
  ferryman.ops.release_leave:
"""

RETURN = r"""
left_out: {description: The app hosts that are left out., type: list, elements: str, returned: on the arbiter}
skipped_here: {description: That another host decides., type: bool, returned: otherwise}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_leave is an action: install the whole collection and call ferryman.ops.release_leave")


if __name__ == "__main__":
    main()
