#!/usr/bin/python
"""Refuse a host whose port something else has, and keep the package from starting a server that nobody asked for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_prepare
short_description: Make sure that a cache can be installed beside what is there
description:
  - Says whether this host gets Valkey or Redis, by its Debian and by what it has already.
  - Refuses a port on which something else listens, naming it.
  - Masks the server that Debian's package starts by itself, where the package is not there yet. One that is there is
    somebody's, and left alone.
options:
  port: {description: "The port that the cache is to listen on; 0 where none is to run here.", type: int, default: 0}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Refuse a foreign listener
  ferryman.ops.cache_prepare: {port: 6379}
"""

RETURN = r"""
engine: {description: valkey or redis., type: str, returned: success}
packages: {description: Debian's packages of it., type: list, elements: str, returned: success}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.cache import engines
from ansible_collections.ferryman.ops.plugins.module_utils.nginx_listeners import listeners


def main() -> None:
    """Look first, then mask."""
    module = AnsibleModule(argument_spec={"port": {"type": "int", "default": 0}}, supports_check_mode=True)
    port, engine = module.params["port"], engines.of_host()
    others = [each for each in (listeners({port}) if port else []) if each.unit != engine.unit]
    if others:
        module.fail_json(msg=f"{others[0]} is there already: stop it, or choose another port (cache_port)")
    mask = f"/etc/systemd/system/{engine.unit_of_package}"
    changed = not os.path.exists(engine.program) and not os.path.lexists(mask)
    if changed and not module.check_mode:
        os.symlink("/dev/null", mask)
    module.exit_json(changed=changed, engine=engine.name, packages=[engine.package])


if __name__ == "__main__":
    main()
