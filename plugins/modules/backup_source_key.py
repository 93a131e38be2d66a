#!/usr/bin/python
"""Have the SSH keys by which this host reaches its archive; they never leave it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_source_key
short_description: Have the SSH keys by which a host reaches its archive
description:
  - One may append to the archive's repositories, the other may ask how much room there is. Made on the host, once.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says that keys would be made.}
"""

EXAMPLES = r"""
- name: Have keys for the archive of prod
  ferryman.ops.backup_source_key: {name: prod}
"""

RETURN = r"""
public: {description: 'The public keys by what they may do: append, room.', type: dict, returned: success}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import SETTINGS
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.source import KEYS, secrets


def main() -> None:
    """Make the keys that are not there; answer with their public halves."""
    module = AnsibleModule(argument_spec={"name": {"required": True}}, supports_check_mode=True)
    own, place, keys = secrets(module.params["name"]), Placing(module.check_mode), {}
    place.directory(SETTINGS)
    place.directory(own, 0o700)
    for what in KEYS:
        path = f"{own}/{what}"
        if not os.path.exists(f"{path}.pub"):
            place.paths.append(path)
            if module.check_mode:
                continue
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"ferryman-{what}", "-f", path]
            module.run_command(words, check_rc=True, data="y\n")
        with open(f"{path}.pub", encoding="ascii") as file:
            keys[what] = file.read().strip()
    module.exit_json(changed=bool(place.paths), public=keys)


if __name__ == "__main__":
    main()
