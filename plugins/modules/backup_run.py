#!/usr/bin/python
"""Take a backup now, check it, and prune what may go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_run
short_description: Take a backup, check it, and prune what may go
description:
  - What the timer does by itself.
  - Fails where there is no room, where it could not be taken, or where its check found something.
  - Then nothing is pruned.
options:
  name: {description: Name of the archive., type: str, required: true}
  set: {description: The set., type: str, required: true}
  release: {description: 'The live release of each application, for the record.', type: dict, default: {}}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Asks whether there is room, and takes nothing.}
"""

EXAMPLES = r"""
- name: Take a backup
  ferryman.ops.backup_run: {name: prod, set: database}
"""

RETURN = r"""
ferryman: {description: 'The C(record), what was C(pruned), and C(notes).', type: dict, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, job, records, state
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "set": {"required": True},
            "release": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        own = Archive(given["name"])
        if module.check_mode:
            job.require_room(own, job.next_backup(own, job.engine(own, given["set"])))
            module.exit_json(changed=True, ferryman={"archive": state.look(own)})
        told, changed = job.take(own, given["set"], command.run_name(), given["release"]), True
        record = told["record"]
        findings = [each["said"] for each in (record["check"] or {}).get("findings", [])]
        if not records.has_passed(record):
            module.fail_json(msg="; ".join(findings) or record["reason"], changed=True, ferryman=told)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=changed, ferryman=told)


if __name__ == "__main__":
    main()
