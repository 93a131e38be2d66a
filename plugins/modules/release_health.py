#!/usr/bin/python
"""The documentation of ferryman.ops.release_health; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_health
short_description: Ask everything that a host serves whether it is well
description:
  - Each process is asked on its own port, the entry as a client would ask it, each within its own time.
  - >-
    Behind a maintenance page nothing but the entry itself is asked through the entry, and the host is not well.
  - Runs over one session of the host's connection; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_domains), C(release_entry_port), C(release_work_dir), C(release_host_shared).
options:
  within_s:
    description: >-
      Ask again until everything that answers is well, for so many seconds at most; then fail. Without it, ask once.
    type: float
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Ask everything
  ferryman.ops.release_health:
  register: asked
"""

RETURN = r"""
good: {description: "Whether everything is well, and clients get it.", type: bool, returned: success}
maintenance: {description: Whether this entry shows the maintenance page., type: bool, returned: success}
health:
  description: By unit or name of the check, whether it is C(good) and what it C(said).
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(argument_spec={"within_s": {"type": "float"}}, supports_check_mode=True)
    module.fail_json(
        msg="release_health is an action: install the whole collection and call ferryman.ops.release_health"
    )


if __name__ == "__main__":
    main()
