#!/usr/bin/python
"""Restore for practice: check, measure, tear down, record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_drill
short_description: Restore for practice, and record what came of it
description:
  - Restores the newest good backup of each set into a place of its own, and compares it with its manifest.
  - "Of the database: with what was streamed since, in a server; and PostgreSQL looks at every table and index."
  - Fails where something is not as it was. One set's failure stops no other's drill.
options:
  name: {description: Name of the archive., type: str, required: true}
  sets:
    description: The sets; all that the archive keeps if empty.
    type: list
    elements: str
    default: []
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Restores nothing.}
"""

EXAMPLES = r"""
- name: Make a drill
  ferryman.ops.backup_drill: {name: prod}

- name: Make one of the media files alone
  ferryman.ops.backup_drill: {name: prod, sets: [media]}
"""

RETURN = r"""
ferryman: {description: 'The records under C(drills), one a set.', type: dict, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, drills, job
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"required": True}, "sets": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
    )
    given = module.params
    try:
        if module.check_mode:
            module.exit_json(changed=True)
        made = drills.make(Archive(given["name"]), given["sets"], command.run_name())
        told = {"drills": made.records}
        if made.wrong:
            module.fail_json(msg="; ".join(made.wrong), changed=True, ferryman={**told, "refused": False})
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=True, ferryman=told)


if __name__ == "__main__":
    main()
