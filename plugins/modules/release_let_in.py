#!/usr/bin/python
"""The documentation of ferryman.ops.release_let_in; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_let_in
short_description: Let the host that is to drive a deploy come to the other hosts of that run
description:
  - >-
    The arbiter makes a key for this run, which leaves it never. On each other host the key runs one command, whatever
    is asked: the steps of this run, under its token. It opens nothing else, from no other address, and not for long.
  - >-
    It goes into the file of keys of the account that this session came by, and where that becomes root by sudo, a rule
    of sudo for that one command.
  - Needs what M(ferryman.ops.release_look) has found in the same run; M(ferryman.ops.release_hand_over) comes after it.
  - >-
    Runs over one session of each host's connection; the hosts need Python and their SSH server, the arbiter an SSH
    client.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_addresses), C(release_domains), C(release_work_dir), C(release_entry_port),
    C(release_host_shared), C(release_who), C(release_stages), C(release_hotfix),
    C(release_hotfix_stages), C(release_stop_file), and compares the others.
options:
  step:
    description:
      - V(key) has the arbiter make the key, and see that it can drive at all.
      - V(open) lets it in on every other host.
      - >-
        V(close) takes it back on all hosts. On one that is not reached then, the next run that changes something there
        does, and the key ends by itself.
    type: str
    required: true
    choices: [key, open, close]
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Have a key to the other hosts
  ferryman.ops.release_let_in: {step: key}

- name: Let it in
  ferryman.ops.release_let_in: {step: open}
"""

RETURN = r"""
skipped_here: {description: That this host has no work in it., type: bool, returned: "otherwise, and in check mode"}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={"step": {"type": "str", "required": True, "choices": ["key", "open", "close"]}},
        supports_check_mode=True,
    )
    module.fail_json(
        msg="release_let_in is an action: install the whole collection and call ferryman.ops.release_let_in"
    )


if __name__ == "__main__":
    main()
