#!/usr/bin/python
"""Have a database's host put files of WAL into an archive, beside the stream."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_wal
short_description: Have a database's host put files of WAL into an archive, beside the stream
description:
  - C(key), on the database's host, has a key of the server's account.
  - C(open), on the archive's host, lets that key put files of WAL into the archive, and do nothing else; C(close) takes
    it back.
  - C(reach), on the database's host, has the program that PostgreSQL calls, and sees that the archive takes files;
    C(leave) removes what it needs.
options:
  step: {description: What to do., type: str, required: true, choices: [key, open, close, reach, leave]}
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  host: {description: "Of C(open) and C(close): the database's host, by its name.", type: str, default: ''}
  public_key: {description: "Of C(open): the key to let in.", type: str, default: ''}
  address: {description: "Of C(reach): name or address of the archive's host.", type: str, default: ''}
  port: {description: "Of C(reach): TCP port of its SSH server.", type: int, default: 22}
  host_keys: {description: "Of C(reach): the public keys of that server.", type: list, elements: str, default: []}
  keep:
    description: "Of C(reach): what files that wait may hold back on the disk, as max_slot_wal_keep_size takes it."
    type: str
    default: ''
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change; reaches for nothing.}
"""

EXAMPLES = r"""
- name: Have the key of the database's host
  ferryman.ops.backup_wal: {step: key, name: prod}
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
public_key: {description: The key., type: str, returned: by key}
host_keys: {description: The public keys of this host's SSH server., type: list, elements: str, returned: by open}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records, wal_way
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing


def main() -> None:
    required = {"required": True}
    module = AnsibleModule(
        argument_spec={
            "step": {"choices": ["key", "open", "close", "reach", "leave"], **required},
            "name": required,
            "host": {"default": ""},
            "public_key": {"default": "", "no_log": False},
            "address": {"default": ""},
            "port": {"type": "int", "default": 22},
            "host_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "keep": {"default": ""},
        },
        supports_check_mode=True,
    )
    place = Placing(module.check_mode)
    try:
        more = wal_way.STEPS[module.params["step"]](place, module.params)
    except records.Trouble as trouble:
        module.fail_json(msg=str(trouble), changed=bool(place.paths))
    except OSError as error:
        module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    module.exit_json(changed=bool(place.paths), paths=place.paths, **more)


if __name__ == "__main__":
    main()
