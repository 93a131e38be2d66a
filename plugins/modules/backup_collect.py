#!/usr/bin/python
"""Enter into the catalogue what hosts have sent, check it, and prune by rule."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_collect
short_description: Enter, check and keep by rule what hosts have sent
description:
  - Reads every byte of what is new, and compares it with its manifest.
  - Fails, and prunes nothing of a set, where a backup went that this host did not drop.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  awaited:
    description: "A backup that was just sent, by its id: of its set alone, which is waited for; of all sets if empty."
    type: str
    default: ""
author: [The Ferryman authors]
attributes:
  check_mode: {support: none, description: An act has no state that could be compared.}
"""

EXAMPLES = r"""
- name: Enter what came
  ferryman.ops.backup_collect: {name: prod}
"""

RETURN = r"""
ferryman:
  description: The records that were C(entered), C(record) of what was awaited, what was C(pruned), and C(notes).
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect_command, job, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive


def main() -> None:
    """Collect sets of files of an archive; fail with all that is wrong."""
    module = AnsibleModule(argument_spec={"name": {"required": True}, "awaited": {"default": ""}})
    awaited, found = module.params["awaited"], {}
    try:
        own = Archive(module.params["name"])
        kinds = [awaited.rpartition("-")[2]] if awaited else records.FILES
        told = collect_command.whole(own, kinds, wait=bool(awaited))
        if awaited:
            found = {"record": records.find(own.records(), awaited, *kinds)}
    except (records.Trouble, OSError) as error:
        module.fail_json(msg=job.said(error) if isinstance(error, OSError) else str(error))
    if told["notes"]:
        module.fail_json(msg="; ".join(told["notes"]), ferryman={**told, **found})
    module.exit_json(changed=bool(told["entered"] or told["pruned"]), ferryman={**told, **found})


if __name__ == "__main__":
    main()
