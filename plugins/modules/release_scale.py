#!/usr/bin/python
"""The documentation of ferryman.ops.release_scale; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_scale
short_description: Decide how many instances of processes run from now on
description:
  - >-
    Holds C(release_scale) against the bounds that are declared (C(instances_min), C(instances_max)) and against the
    hosts, by what M(ferryman.ops.release_look) has found in the same run. Says everything that is wrong at once.
  - >-
    Steps V(grow), V(members), V(shrink) and V(scaled) of M(ferryman.ops.release_step) then go there, in this order, or
    with O(ferryman.ops.release_step#module:back) back to what the ledger has.
  - Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment), C(release_hosts),
    C(release_scale), C(release_processes), C(release_work_dir), C(release_who), C(release_host_shared),
    C(release_stop_file).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Decide how many run
  ferryman.ops.release_scale:
  register: scale
  run_once: true
"""

RETURN = r"""
counts: {description: How many instances of each named process run on each app host., type: dict, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_scale is an action: install the whole collection and call ferryman.ops.release_scale")


if __name__ == "__main__":
    main()
