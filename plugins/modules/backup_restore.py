#!/usr/bin/python
"""Restore a set into a place of its own, to a backup's point, a moment, or the last that was streamed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
short_description: Restore a set into a place of its own
description:
  - A server runs there afterwards, for people to look; the next restore, or C(end), takes it away.
  - Fails where it is not as it was.
options:
  name: {description: Name of the archive., type: str, required: true}
  set: {description: The set., type: str, required: true}
  to:
    description: A backup (its id or the beginning), a moment (RFC 3339), C(latest), or with O(lives) a release.
    type: str
    default: latest
  lives:
    description: "By release, C(spans) in which it was live (from, until), and C(point), its database's restore point."
    type: dict
    default: {}
  ready: {description: Whether it is then stopped and made ready to travel., type: bool, default: false}
  anew:
    description: "With C(end): whether the source has another history now, for the stream to follow."
    type: bool
    default: false
  end: {description: Whether to take away what an earlier restore left., type: bool, default: false}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Chooses the backup, and restores nothing.}
"""

EXAMPLES = r"""
- name: Restore what there was at noon
  ferryman.ops.backup_restore: {name: prod, set: database, to: '2026-11-26T12:00:00Z'}
"""

RETURN = r"""
ferryman: {description: The job under C(restore)., type: dict, returned: always}
socket: {description: Directory of the restored server's socket., type: str, returned: where one runs}
account: {description: System account that may reach it., type: str, returned: where one runs}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, job, restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import USER, Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "set": {"required": True},
            "to": {"default": "latest"},
            "lives": {"type": "dict", "default": {}},
            "ready": {"type": "bool", "default": False},
            "anew": {"type": "bool", "default": False},
            "end": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        own = Archive(given["name"])
        if given["end"] and not module.check_mode:
            restore.end(own)
            if given["anew"]:
                job.engine(own, given["set"]).begin_anew()
        if given["end"]:
            module.exit_json(changed=True, ferryman={"restore": {}})
        work = restore.Restore(own, given["set"], given["to"], command.run_name(), given["lives"])
        if module.check_mode:
            module.exit_json(changed=True, ferryman={"restore": work.job})
        told, changed = {"restore": work.into_scratch()}, True
        if told["restore"]["result"] != "passed":
            module.fail_json(msg=told["restore"]["reason"], changed=True, ferryman=told)
        if given["ready"]:
            module.exit_json(changed=True, ferryman=told, **work.ready())
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=changed, ferryman=told, socket=work.scratch.socket, account=USER)


if __name__ == "__main__":
    main()
