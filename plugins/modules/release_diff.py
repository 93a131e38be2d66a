#!/usr/bin/python
"""The documentation of ferryman.ops.release_diff; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_diff
short_description: Say what differs between two releases
description:
  - >-
    Commits (from the repository, with release notes of their subjects), files, configuration, migrations; between two
    releases of the ledger, or between one and what is live.
  - Needs what M(ferryman.ops.release_look) and M(ferryman.ops.release_kept) have found in the same run.
  - Runs on the driver and asks no host. What nobody knows any more it says.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_work_dir), C(release_host_shared), C(release_between), C(release_repository),
    C(release_root), C(release_path).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Say what differs
  ferryman.ops.release_diff:
"""

RETURN = r"""
diff:
  description: How the first becomes the second.
  type: dict
  returned: success
  contains:
    from: {description: "The first: release, commit, ref, subject, at, who, digests.", type: dict, returned: success}
    to: {description: The second., type: dict, returned: success}
    commits: {description: "Those that come, and those that go.", type: dict, returned: success}
    notes: {description: "Release notes, one a subject.", type: list, elements: str, returned: success}
    files: {description: "Files added, changed and removed, with bytes.", type: dict, returned: success}
    configuration:
      description: Differences of how they describe themselves.
      type: list
      elements: dict
      returned: success
    migrations: {description: "Both schemas, and which files of migrations differ.", type: dict, returned: success}
    unknown: {description: "What nobody knows any more, each with the reason.", type: dict, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_diff is an action: install the whole collection and call ferryman.ops.release_diff")


if __name__ == "__main__":
    main()
