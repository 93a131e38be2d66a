#!/usr/bin/python
"""Take, restore and take back the files of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_source
short_description: Take, restore and take back the files of this host
description:
  - take sends a backup with its manifest; restore gives one back, compared with it before anything is in place.
  - back puts back what a restore in place had put aside; end takes away a server that a restore of the cache left.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  act: {description: What to do., type: str, choices: [take, restore, back, end], required: true}
  set: {description: The set of files., type: str, choices: [media, config, cache], default: media}
  run: {description: 'Of back: the restore, the last if empty; else a name for this run.', type: str, default: ""}
  backup: {description: 'Of restore: its id; the newest if empty.', type: str, default: ""}
  engine_id: {description: 'Of restore: as the catalogue has it.', type: str, default: ""}
  manifest: {description: 'Of restore: as the catalogue has it.', type: str, default: ""}
  into:
    description: 'Of restore: an empty directory (of the cache any, it has one place); in place if empty.'
    type: str
    default: ""
  release: {description: 'Of take: the releases by application.', type: dict, default: {}}
author: [The Ferryman authors]
attributes:
  check_mode: {support: none, description: An act has no state that could be compared.}
"""

EXAMPLES = r"""
- name: Take the media of prod
  ferryman.ops.backup_source: {name: prod, act: take, set: media}
"""

RETURN = r"""
ferryman:
  description:
    - Of take C(record), of restore C(files) (what it did, and where the old lies), of back C(back) (directories).
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records, source, source_restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source_command import run_name

WORDS = ("run", "backup", "engine_id", "manifest", "into")


def act(given: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked; return the answer, or raise Trouble with what failed."""
    own = source.Source(given["name"])
    run = given["run"] or run_name()
    if given["act"] == "take":
        record = source.take(own, given["set"], run, given["release"])
        if not records.is_whole(record):
            raise records.Trouble(record["reason"])
        return {"record": record}
    if given["act"] == "restore":
        wanted = {"id": given["backup"], "engine_id": given["engine_id"], "manifest": given["manifest"]}
        job = source_restore.restore(own, given["set"], wanted, given["into"], run, lambda line: None)
        if job["result"] != "restored":
            raise records.Trouble(job["reason"])
        return {"files": job}
    if given["act"] == "end":
        source_restore.end(own, given["set"])
        return {"files": {}}
    return {"back": source_restore.back(own, given["set"], given["run"])}


def main() -> None:
    """Act, and say in one sentence what went wrong."""
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "act": {"choices": ["take", "restore", "back", "end"], "required": True},
            "set": {"choices": list(records.FILES), "default": "media"},
            "release": {"type": "dict", "default": {}},
            **{word: {"default": ""} for word in WORDS},
        },
    )
    try:
        answer = act(module.params)
    except (records.Trouble, OSError) as error:
        module.fail_json(msg=source.said(error))
    module.exit_json(changed=True, ferryman=answer)


if __name__ == "__main__":
    main()
