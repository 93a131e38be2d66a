#!/usr/bin/python
"""Say what an archive holds, why it is kept, and what is wrong."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_look
short_description: Say what an archive holds, and what is wrong
description:
  - Reads the catalogue, asks the source how the stream is, and judges.
  - It changes nothing.
options:
  name: {description: Name of the archive., type: str, required: true}
  drilled:
    description: Look only at the last drill of each set, and fail where one is missing, failed or is too old.
    type: bool
    default: false
  judge:
    description: Name of this host in the inventory; with it, look only at drills, and answer with judgements.
    type: str
    default: ""
  required:
    description: With O(judge), whether a drill that is missing, failed or too old is wrong; else it is a note.
    type: bool
    default: false
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: It changes nothing.}
"""

EXAMPLES = r"""
- name: Look at the archive
  ferryman.ops.backup_look: {name: prod}

- name: Go on only where a drill has shown lately that all of it can be restored
  ferryman.ops.backup_look: {name: prod, drilled: true}
"""

RETURN = r"""
ferryman:
  description: >-
    Under C(archive) sets with their last drills, stream, space, C(backups) with C(why), and what is C(wrong).
    With O(judge) instead C(drilled), by host a list with C(key), C(state) (good, wrong, note or unknown), C(said)
    and C(right).
  type: dict
  returned: success, without O(drilled)
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, state
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def judged(given: dict[str, Any]) -> list[dict[str, str]]:
    """Return the judgements on drills; a host that keeps no archive yet is unknown, and stops nothing."""
    try:
        return state.drilled(Archive(given["name"]), required=given["required"])
    except (Trouble, OSError) as error:
        return [{"key": "drills", "state": "unknown", "said": job.said(error), "right": ""}]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "drilled": {"type": "bool", "default": False},
            "judge": {"default": ""},
            "required": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    if given["judge"]:
        module.exit_json(changed=False, ferryman={"drilled": {given["judge"]: judged(given)}})
    try:
        own = Archive(given["name"])
        if given["drilled"]:
            state.require_drill(own)
            module.exit_json(changed=False)
        told = {"archive": state.look(own)}
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=False, ferryman=told)


if __name__ == "__main__":
    main()
