#!/usr/bin/python
"""Have the database's archive encrypted on its disk, and open."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_seal
short_description: Have the database's archive encrypted on its disk, and open
description:
  - Base backups, WAL as it comes, and what is restored of them lie encrypted by gocryptfs, and are seen in clear
    where they were before.
  - What lay there in clear is copied while all goes on, read back, and removed; the stream stops for what is new
    meanwhile.
  - A passphrase that does not open what is there is refused before anything is written, and so is a disk without room
    for the copy.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  path: {description: Directory below which archives lie., type: path, required: true}
  passphrase: {description: What opens it., type: str, required: true}
  keep_free_bytes: {description: Bytes that must stay free., type: int, required: true}
  unit: {description: Text of the systemd unit that opens it., type: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Encrypt the archive of prod
  ferryman.ops.backup_seal:
    name: prod
    path: /srv/backups
    passphrase: "{{ backup_database_passphrase }}"
    keep_free_bytes: 5368709120
    unit: "{{ lookup('ansible.builtin.template', 'open.service.j2') }}"
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, sealing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    """Refuse what is wrong, then encrypt, move and open."""
    required = {"required": True}
    module = AnsibleModule(
        argument_spec={
            "name": required,
            "path": {"type": "path", **required},
            "passphrase": {"no_log": True, **required},
            "keep_free_bytes": {"type": "int", **required},
            "unit": required,
        },
        supports_check_mode=True,
    )
    place = Placing(module.check_mode)
    wanted = sealing.Sealing(module.params, place)
    try:
        wanted.require()
        wanted.run()
    except sealing.NotOpening as trouble:
        module.fail_json(msg=str(trouble), ferryman={"setting": "backup_database_passphrase", "refused": True})
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), changed=bool(place.paths))
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=bool(place.paths), paths=place.paths)


if __name__ == "__main__":
    main()
