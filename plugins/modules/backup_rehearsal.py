#!/usr/bin/python
"""Let drills of an archive ask the applications whether they are well on what was restored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_rehearsal
short_description: Let drills ask the applications whether they are well on what was restored
description:
  - C(key), on the archive's host, has the key by which it reaches the applications' host.
  - C(open), on the applications' host, lets that key reach sockets there, and nothing else; C(close) takes it back.
  - C(reach), on the archive's host, says where the applications are.
options:
  step: {description: What to do., type: str, required: true, choices: [key, open, close, reach]}
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  public_key: {description: "Of C(open): the key to let in.", type: str, default: ''}
  sites: {description: "Of C(reach): the applications to ask.", type: list, elements: str, default: []}
  wanted: {description: "Of C(reach): whether they are to be asked.", type: bool, default: true}
  host: {description: "Of C(reach): name or address of their host; empty if it is not reached.", type: str, default: ''}
  port: {description: "Of C(reach): TCP port of its SSH server.", type: int, default: 22}
  host_keys: {description: "Of C(reach): the public keys of that server.", type: list, elements: str, default: []}
  database_port: {description: "Of C(reach): TCP port on which they look for the database.", type: int, default: 5432}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Have the key of the archive of prod
  ferryman.ops.backup_rehearsal: {step: key, name: prod}
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
public_key: {description: The key., type: str, returned: by key}
host_keys: {description: The public keys of this host's SSH server., type: list, elements: str, returned: by open}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import reaching, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing


def main() -> None:
    required = {"required": True}
    module = AnsibleModule(
        argument_spec={
            "step": {"choices": ["key", "open", "close", "reach"], **required},
            "name": required,
            "public_key": {"default": "", "no_log": False},
            "sites": {"type": "list", "elements": "str", "default": []},
            "wanted": {"type": "bool", "default": True},
            "host": {"default": ""},
            "port": {"type": "int", "default": 22},
            "host_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "database_port": {"type": "int", "default": 5432},
        },
        supports_check_mode=True,
    )
    place = Placing(module.check_mode)
    try:
        more = reaching.STEPS[module.params["step"]](place, module.params)
    except records.Trouble as trouble:
        module.fail_json(msg=str(trouble), changed=bool(place.paths))
    except OSError as error:
        module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    module.exit_json(changed=bool(place.paths), paths=place.paths, **more)


if __name__ == "__main__":
    main()
