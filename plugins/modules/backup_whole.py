#!/usr/bin/python
"""Begin and end a restore of every set: which backups, of one time, and what became of each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_whole
short_description: Begin and end a restore of every set as one job
description:
  - begin chooses a backup of every set so that nothing is from after one moment, and writes the job down.
  - last answers with the job that is in place; end writes down what became of one.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  step: {description: What to do., type: str, choices: [begin, last, end], required: true}
  to:
    description: A backup (its id or the beginning), a moment (RFC 3339), C(latest), or with O(lives) a release.
    type: str
    default: latest
  lives:
    description: "By release, C(spans) in which it was live (from, until), and C(point), its database's restore point."
    type: dict
    default: {}
  into: {description: 'Of begin: scratch or place.', type: str, default: scratch}
  files: {description: 'Of begin: sets of files whose hosts are there.', type: list, elements: str, default: []}
  run: {description: 'Of end: the job.', type: str, default: ""}
  result: {description: 'Of end: how it ended.', type: str, default: restored}
  reason: {description: 'Of end: why it failed.', type: str, default: ""}
  sets: {description: 'Of end: what the restore of each set said.', type: dict, default: {}}
author: [The Ferryman authors]
attributes:
  check_mode: {support: none, description: An act has no state that could be compared.}
"""

EXAMPLES = r"""
- name: Choose what there was at noon
  ferryman.ops.backup_whole: {name: prod, step: begin, to: '2026-11-26T12:00:00Z'}
"""

RETURN = r"""
job: {description: The job with its C(sets)., type: dict, returned: success}
ferryman: {description: By end the job under C(whole)., type: dict, returned: by end}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, job, whole
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

TEXTS = {"to": "latest", "into": "scratch", "run": "", "result": "restored", "reason": ""}


def act(own: Archive, given: dict[str, Any]) -> Record:
    """Do the step; return the job."""
    if given["step"] == "begin":
        return whole.begin(own, given["to"], given["lives"], given["into"], given["files"], command.run_name())
    if given["step"] == "last":
        return whole.read(own, "")
    return whole.end(own, given["run"], given["result"], given["reason"], given["sets"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "step": {"required": True, "choices": ["begin", "last", "end"]},
            "lives": {"type": "dict", "default": {}},
            "sets": {"type": "dict", "default": {}},
            "files": {"type": "list", "elements": "str", "default": []},
            **{key: {"default": default} for key, default in TEXTS.items()},
        },
    )
    given = module.params
    try:
        told = act(Archive(given["name"]), given)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": given["step"] != "end"})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    said = {"ferryman": {"whole": told}} if given["step"] == "end" else {}
    module.exit_json(changed=given["step"] != "last", job=told, **said)


if __name__ == "__main__":
    main()
