#!/usr/bin/python
"""The documentation of ferryman.ops.release_check; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_check
short_description: Judge how an application describes itself against the inventory
description:
  - >-
    Finds the commit that C(release_ref) names, reads its C(ferryman.yml), and tells everything that does not fit:
    what is wrong in it, secrets that only one of the two names, sizes of processes that there are not, shared paths
    that cannot be.
  - >-
    Judges the SQL migrations that it names (C(migrations.sql)) as a deploy would, against what this machine saw live
    last; where it has not seen that, what is found is a note.
  - Fails at nothing that it finds. Runs on the driver and asks no host.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_repository), C(release_path), C(release_ref), C(release_root), C(release_env), C(release_secrets),
    C(release_processes), C(release_database), C(release_hosts), C(release_work_dir), C(release_host_shared).
options: {}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Judge the application
  ferryman.ops.release_check:
  register: found
  run_once: true
"""

RETURN = r"""
ferryman:
  description: >-
    C(described) holds, by application, C(problems) (each with file and line, or with the inventory's keys), C(notes)
    and C(needs): C(memory_bytes), C(processes) and C(unlimited), for both slots, and for a baseline where
    C(release_baseline) asks for one.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.fail_json(msg="release_check is an action: install the whole collection and call ferryman.ops.release_check")


if __name__ == "__main__":
    main()
