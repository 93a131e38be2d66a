#!/usr/bin/python
"""The archive's part of a full drill: what is there for a new host, bringing it there, and the record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_full
short_description: Bring all that an archive holds to a new host for practice, and record what came of it
description:
  - C(begin) refuses where a set has no good backup, and makes the key by which everything travels.
  - C(send) restores every set from the archive alone, finds the database whole, and brings all of it to the host.
  - C(record) writes down what came of the drill, and signs it, as M(ferryman.ops.backup_drill) does.
options:
  name: {description: Name of the archive., type: str, required: true}
  step: {description: What to do., type: str, required: true, choices: [begin, send, record]}
  run: {description: "Of C(send): the drill, as C(begin) has named it.", type: str, default: ''}
  host: {description: "Of C(send): the host as this one reaches it.", type: str, default: ''}
  port: {description: "Of C(send): its SSH port.", type: int, default: 22}
  host_keys: {description: "Of C(send): its public keys.", type: list, elements: str, default: []}
  into: {description: "Of C(send): the directory there that takes the database.", type: str, default: ''}
  told: {description: "Of C(record): what the drill is told of, as JSON in Base64.", type: str, default: ''}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Does nothing.}
"""

EXAMPLES = r"""
- name: See whether everything has a good backup
  ferryman.ops.backup_full: {name: prod, step: begin}
"""

RETURN = r"""
ferryman: {description: 'What the step has to tell, under C(full).', type: dict, returned: success}
"""

import base64
import json
import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    command,
    drill,
    full,
    full_send,
    job,
    metrics,
    travel,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble


def record(own: Archive, told: str) -> Record:
    """Write the record of a drill, and sign it; return it."""
    found = full.record(own.name, os.uname().nodename, json.loads(base64.b64decode(told)), time.time())
    drill.sign(own, own.write("drills", found))
    metrics.write(own)
    return found


def act(own: Archive, given: dict[str, Any]) -> dict[str, Any]:
    """Do the step; return what it has to tell."""
    if given["step"] == "begin":
        return full_send.begin(own, command.run_name())
    if given["step"] == "record":
        return record(own, given["told"])
    key = full_send.key(own.name, given["run"])
    way = travel.Way(given["host"], given["port"], given["host_keys"], given["into"], key)
    return full_send.send(own, given["run"], way)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "step": {"required": True, "choices": ["begin", "send", "record"]},
            "run": {"default": ""},
            "host": {"default": ""},
            "port": {"type": "int", "default": 22},
            "host_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "into": {"default": ""},
            "told": {"default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        found = act(Archive(given["name"]), given)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": given["step"] == "begin"})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=given["step"] != "begin", ferryman={"full": found})


if __name__ == "__main__":
    main()
