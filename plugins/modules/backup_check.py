#!/usr/bin/python
"""Read backups again, and say what is not as it was written."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_check
short_description: Read backups again
description:
  - Reads every byte that a restore would read.
  - Fails where something is not as it was written.
options:
  name: {description: Name of the archive., type: str, required: true}
  set: {description: The set., type: str, required: true}
  backup: {description: 'An id or its beginning, or C(all); the newest if empty.', type: str, default: ''}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Reads all the same; what was found is written into the catalogue.}
"""

EXAMPLES = r"""
- name: Check all backups
  ferryman.ops.backup_check: {name: prod, set: database, backup: all}
"""

RETURN = r"""
ferryman: {description: The records under C(checked)., type: dict, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"required": True}, "set": {"required": True}, "backup": {"default": ""}},
        supports_check_mode=True,
    )
    given = module.params
    try:
        checked, changed = job.check(Archive(given["name"]), given["set"], given["backup"]), True
        told = {"checked": checked}
        bad = [one for one in checked if not records.has_passed(one)]
        if bad:
            said = "\n".join(f"{one['id']}: {each['said']}" for one in bad for each in one["check"]["findings"])
            module.fail_json(msg=said, changed=True, ferryman={**told, "refused": False})
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=changed, ferryman=told)


if __name__ == "__main__":
    main()
