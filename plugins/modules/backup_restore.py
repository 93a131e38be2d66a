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
  begin:
    description: Whether to restore nothing yet, and to say what the host must know that is to let this restore in.
    type: bool
    default: false
  away:
    description:
      - The host that has let it in. What is restored here is brought there, and its server here stopped.
      - The backup travels while it is looked at; what lies there is what was found whole once this module succeeds.
    type: dict
    default: {}
    options:
      run: {description: The restore's name, as C(begin) gave it., type: str, required: true}
      host: {description: The host as this one reaches it., type: str, required: true}
      port: {description: Its SSH port., type: int, required: true}
      host_keys: {description: Its public keys., type: list, elements: str, required: true}
      into: {description: The directory there., type: path, required: true}
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
run: {description: The restore's name., type: str, returned: by begin}
public_key: {description: The key to let in., type: str, returned: by begin}
bytes: {description: What it brings., type: int, returned: by begin}
socket: {description: Directory of the restored server's socket., type: str, returned: where one runs}
account: {description: System account that may reach it., type: str, returned: where one runs}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import command, job, restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import USER, Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

REQUIRED = {"required": True}
AWAY = {
    "run": REQUIRED,
    "host": REQUIRED,
    "port": {"type": "int", **REQUIRED},
    "host_keys": {"type": "list", "elements": "str", "no_log": False, **REQUIRED},
    "into": {"type": "path", **REQUIRED},
}


def main() -> None:
    """Choose, restore, and say where it is; or take away what an earlier one left."""
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "set": {"required": True},
            "to": {"default": "latest"},
            "lives": {"type": "dict", "default": {}},
            "begin": {"type": "bool", "default": False},
            "away": {"type": "dict", "options": AWAY},
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
        away = dict(given["away"] or {})
        run = away.pop("run", "") or command.run_name()
        work = restore.Restore(own, given["set"], given["to"], run, given["lives"])
        if module.check_mode:
            module.exit_json(changed=True, ferryman={"restore": work.job})
        if given["begin"]:
            module.exit_json(changed=True, run=run, **work.begin())
        told = {"restore": work.away(**away) if away else work.into_scratch()}
        if told["restore"]["result"] != "passed":
            module.fail_json(msg=told["restore"]["reason"], changed=True, ferryman=told)
        if away:
            module.exit_json(changed=True, ferryman=told)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=True, ferryman=told, socket=work.scratch.socket, account=USER)


if __name__ == "__main__":
    main()
