#!/usr/bin/python
"""Let a restored cluster in, put it in the place of the one that serves, or go back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_place
short_description: Put a restored cluster in the place of the one that serves, or go back
description:
  - Runs on the database's host. C(open) lets one key in for some hours, where there is room.
  - C(switch) takes the key back, stops the cluster, lets the restored one take its directory's name, and starts it.
  - Where it does not start, what served before serves again, and the module fails.
  - C(close) takes back the key and what came by it; C(back) lets what served before serve again.
options:
  step: {description: What to do., type: str, required: true, choices: [open, switch, close, back]}
  run: {description: Name of the restore., type: str, required: true}
  port: {description: TCP port of the cluster., type: int, default: 5432}
  public_key: {description: "Of C(open): the key to let in.", type: str, default: ''}
  bytes: {description: "Of C(open): what it brings.", type: int, default: 0}
  keep_free_bytes: {description: "Of C(open): what must stay free.", type: int, default: 0}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Does nothing.}
"""

EXAMPLES = r"""
- name: Go back to what served before
  ferryman.ops.backup_place: {step: back, run: 20261126T023107Z-9f31ab}
"""

RETURN = r"""
into: {description: The directory to send to., type: str, returned: by open}
host_keys: {description: The host's public keys., type: list, elements: str, returned: by open}
takes: {description: "Whether it has rsync, which files travel by.", type: bool, returned: by open}
ferryman:
  description:
    - "By switch and back, under C(placed): where the other cluster lies now (C(aside); empty where its disk was lost)."
  type: dict
  returned: by switch and back
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, place
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.postgresql_server import Trouble as ServerTrouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {"required": True, "choices": ["open", "switch", "close", "back"]},
            "run": {"required": True},
            "port": {"type": "int", "default": 5432},
            "public_key": {"default": "", "no_log": False},
            "bytes": {"type": "int", "default": 0},
            "keep_free_bytes": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        here = place.Place(given["port"], given["run"])
        if given["step"] == "open":
            module.exit_json(changed=True, **here.open(given["public_key"], given["bytes"], given["keep_free_bytes"]))
        if given["step"] == "close":
            here.close(everything=True)
            module.exit_json(changed=True)
        here.close()
        placed = here.switch() if given["step"] == "switch" else here.back()
    except (Trouble, ServerTrouble) as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=True, ferryman={"placed": placed})


if __name__ == "__main__":
    main()
