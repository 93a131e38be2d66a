#!/usr/bin/python
"""The documentation of ferryman.ops.release_verify; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_verify
short_description: Go through the steps under verify of the live release
description:
  - >-
    From its hosts each step is asked at the live slot and through the entry, from the driver over HTTPS as a client
    asks. A step that failed is a result and no failure of the task.
  - Runs over one session of the host's connection, or two where steps need secrets; the host needs Python alone.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_domains), C(release_secrets), C(release_entry_port), C(release_public_port),
    C(release_ca), C(release_public_address), C(release_work_dir), C(release_host_shared), C(release_verify_from),
    C(release_verify_writes), C(release_verify_timeout_s), C(release_verify_junit).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Go through the steps
  ferryman.ops.release_verify:
  register: verified
"""

RETURN = r"""
good: {description: Whether no step failed., type: bool, returned: success}
bad:
  description: "Of each step that failed: where, what was expected and what came."
  type: list
  elements: str
  returned: success
maintenance:
  description: Whether this entry shows the maintenance page, which then answers what is asked through it.
  type: bool
  returned: success
release: {description: The live release., type: str, returned: success}
verify:
  description: >-
    By host, and C(driver) for what was asked from there, a list of name, request, vantage (slot, entry or driver),
    result (passed, failed or left out), reason and seconds.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(
        msg="release_verify is an action: install the whole collection and call ferryman.ops.release_verify"
    )


if __name__ == "__main__":
    main()
