#!/usr/bin/python
"""Send a copy of an archive off site now and read it there, or read all that is there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite
short_description: Send a copy of an archive off site, or read what is there
description:
  - What the timer does by itself; it reads a part of the bucket's data each time.
  - Fails where it could not be sent, or where something is not as it was written. Then no older copy is pruned.
options:
  name: {description: Name of the archive., type: str, required: true}
  check: {description: "Whether to send nothing, and to read all data that is there.", type: bool, default: false}
author: [The Ferryman authors]
attributes:
  check_mode: {support: none, description: An act has no state that could be compared.}
"""

EXAMPLES = r"""
- name: Send a copy
  ferryman.ops.backup_offsite: {name: prod}
"""

RETURN = r"""
ferryman:
  description: >-
    Under C(copy), the C(repository), the C(record) of the copy that was sent or read, ids that were C(pruned), and
    C(notes).
  type: dict
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, copies, job, offsite, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive


def main() -> None:
    """Send or read; fail with all that is wrong."""
    module = AnsibleModule(argument_spec={"name": {"required": True}, "check": {"type": "bool", "default": False}})
    told: dict[str, Any] = {"pruned": [], "notes": []}
    try:
        own = Archive(module.params["name"])
        if module.params["check"]:
            told["record"] = offsite.check(own)
        else:
            told = offsite.copy(own, command.run_name())
        told["repository"] = (copies.settings(own.name) or {})["repository"]
    except (records.Trouble, OSError) as error:
        module.fail_json(msg=job.said(error), ferryman={"refused": True})
    wrong = offsite.problems(told["record"]) + told["notes"]
    if wrong:
        module.fail_json(msg="; ".join(wrong), changed=True, ferryman={"copy": told, "refused": False})
    module.exit_json(changed=not module.params["check"], ferryman={"copy": told})


if __name__ == "__main__":
    main()
