#!/usr/bin/python
"""Restore for practice: check, measure, tear down, record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_drill
short_description: Restore for practice, and record what came of it
description:
  - Restores the newest good backup, and what was streamed since, into a server of its own.
  - Compares it with its manifest, and has PostgreSQL look at every table and index.
  - Fails where something is not as it was.
options:
  name: {description: Name of the archive., type: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Restores nothing.}
"""

EXAMPLES = r"""
- name: Make a drill
  ferryman.ops.backup_drill: {name: prod}
"""

RETURN = r"""
ferryman: {description: The record under C(drill)., type: dict, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, drill, job
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"required": True}},
        supports_check_mode=True,
    )
    given = module.params
    try:
        if module.check_mode:
            module.exit_json(changed=True)
        told, changed = {"drill": drill.Drill(Archive(given["name"]), command.run_name()).go()}, True
        if told["drill"]["result"] != "passed":
            wrong = [f"{one['name']}: {one['said']}" for one in told["drill"]["checks"] if one["result"] != "passed"]
            module.fail_json(msg=told["drill"]["reason"] or "; ".join(wrong), changed=True, ferryman=told)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=changed, ferryman=told)


if __name__ == "__main__":
    main()
