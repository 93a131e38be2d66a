#!/usr/bin/python
"""The documentation of ferryman.ops.release_kept; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_kept
short_description: Ask a host what it keeps of the releases that are compared
description:
  - >-
    Of two releases that C(release_between) names in the ledger, a host is asked for what the driver does not know: how
    they describe themselves, and their lists of files. Of several app hosts that keep one the first is asked.
  - Needs what M(ferryman.ops.release_look) has found in the same run. Changes nothing.
  - Runs over one session of the host's connection; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_work_dir), C(release_who), C(release_host_shared), C(release_between).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Ask for what is kept of both
  ferryman.ops.release_kept:
"""

RETURN = r"""
releases: {description: Those that this host was asked for., type: list, elements: str, returned: when it was asked}
skipped_here: {description: That there is nothing to ask this host for., type: bool, returned: otherwise}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_kept is an action: install the whole collection and call ferryman.ops.release_kept")


if __name__ == "__main__":
    main()
