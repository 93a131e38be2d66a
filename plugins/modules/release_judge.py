#!/usr/bin/python
"""The documentation of ferryman.ops.release_judge; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_judge
short_description: Say of the live release what a verdict on it would be now
description:
  - >-
    Goes by what clients got lately from the live release, on all entries: what step V(recent) of
    M(ferryman.ops.release_step) has brought in the same run. Nothing is changed, and nobody is sent anywhere.
  - >-
    Requests count that began since the release serves everyone, for up to C(release_judge_s). There is no other release
    to compare it with: the bounds of C(release_limits) hold. Its metrics, its steps under C(verify) that write nothing,
    and who waits for an answer count, too; of counters, what they increase by in the few seconds that this takes.
  - >-
    Where the old release is still warm, and is what one would go back to, it is asked the same, and whether it is well:
    what is as bad there speaks against neither.
  - Runs on the driver and asks no host.
  - >-
    Reads C(release_hosts), C(release_limits), C(release_judge_s), C(release_verify), C(release_verify_timeout_s),
    C(release_secrets), C(release_warm_s), C(release_drain_s) and C(release_work_dir) of the role ferryman.ops.release.
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Read what clients got lately
  ferryman.ops.release_step:
    steps: [recent]

- name: Judge by that
  ferryman.ops.release_judge:
  run_once: true
"""

RETURN = r"""
judged:
  description: >-
    The verdict as the ledger has those of stages, with C(release), C(rollback_to), what a rollback would go to (empty
    where that is nothing), and C(since), from when on requests were counted (in seconds since 1970). C(verdict) is
    C(promote) where nothing speaks against it, C(no_data) where too few requests came to say so (C(rule) is
    C(few_requests)), C(hold) where both are ill or somebody must decide (C(ask)), C(rollback) where it is worth going
    back. C(rule) is C(stalled) where requests wait and none was answered.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_judge is an action: install the whole collection and call ferryman.ops.release_judge")


if __name__ == "__main__":
    main()
