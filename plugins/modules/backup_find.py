#!/usr/bin/python
"""Choose a backup of files by the catalogue: one that passed its check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_find
short_description: Choose a backup of files by the catalogue
description:
  - The newest that passed its check, the newest before a moment, or the one of those that is named.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  set: {description: The set of files., type: str, choices: [media, config, cache], required: true}
  to:
    description: A backup (its id or the beginning), a moment (RFC 3339), C(latest), or with O(lives) a release.
    type: str
    default: latest
  lives:
    description: "By release, C(spans) in which it was live (from, until), and C(point), its database's restore point."
    type: dict
    default: {}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Reads and changes nothing.}
"""

EXAMPLES = r"""
- name: Find the newest media of prod
  ferryman.ops.backup_find: {name: prod, set: media}
"""

RETURN = r"""
record: {description: 'Its record (docs/decisions/0014-backup.md).', type: dict, returned: success}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.choosing import chosen


def main() -> None:
    """Answer with the one record; fail with what is there instead."""
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "set": {"choices": list(records.FILES), "required": True},
            "to": {"default": "latest"},
            "lives": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        record, _ = chosen(Archive(given["name"]).records(), given["set"], given["to"], time.time(), given["lives"])
    except records.Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    module.exit_json(changed=False, record=record)


if __name__ == "__main__":
    main()
