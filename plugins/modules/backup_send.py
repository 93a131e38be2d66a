#!/usr/bin/python
"""Bring a restored cluster, which was found whole, to the host where it is to serve."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_send
short_description: Bring a restored cluster to the host where it is to serve
description:
  - Sends what M(ferryman.ops.backup_restore) made ready, by the key that M(ferryman.ops.backup_place) let in.
options:
  name: {description: Name of the archive., type: str, required: true}
  host: {description: The host as this one reaches it., type: str, required: true}
  port: {description: Its SSH port., type: int, required: true}
  host_keys: {description: Its public keys., type: list, elements: str, required: true}
  into: {description: The directory there., type: path, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Sends nothing.}
"""

EXAMPLES = r"""
- name: Bring it there
  ferryman.ops.backup_send: {name: prod, host: db1, port: 22, host_keys: ["ssh-ed25519 AAAA"], into: /var/lib/x}
"""

RETURN = r"""
seconds: {description: How long it took., type: float, returned: success}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"required": True},
            "host": {"required": True},
            "port": {"type": "int", "required": True},
            "host_keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "into": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given, began = dict(module.params), time.monotonic()
    if module.check_mode:
        module.exit_json(changed=True, seconds=0.0)
    try:
        restore.send(Archive(given.pop("name")), **given)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=True, seconds=round(time.monotonic() - began, 3))


if __name__ == "__main__":
    main()
