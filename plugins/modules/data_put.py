#!/usr/bin/python
"""Put a file that was written from a database in the place of another database, or go back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: data_put
short_description: Put a copy in the place of a database, or go back
description:
  - Makes a new database from what M(ferryman.ops.data_dump) wrote, beside the one that serves, and counts its rows.
  - Then ends all connections, and renames both in one transaction. Who may connect, and what was set for the database,
    stays. What served before is kept as C(NAME_ferryman_before), to which nobody can connect, until the next time.
  - With O(back), that serves again, and the copy is gone.
options:
  database: {description: Name of the database., type: str, required: true}
  owner: {description: "Role that owns it; needed unless O(back).", type: str}
  port: {description: Port of its server., type: int, default: 5432}
  file: {description: "The file; needed unless O(back).", type: path}
  rows: {description: "How many rows each table must have; needed unless O(back).", type: dict}
  extensions:
    description: Extensions to create before, each with its schema.
    type: list
    elements: list
    default: []
  database_bytes: {description: Refused where there is less room., type: int, default: 0}
  back: {description: Whether to go back to what served before., type: bool, default: false}
author: [The Ferryman authors]
attributes:
  check_mode: {support: partial, description: Refuses what is refused for certain; fills and exchanges nothing.}
"""

EXAMPLES = r"""
- name: Let staging have the masked copy
  ferryman.ops.data_put: {database: notes, owner: notes, file: /root/notes.copy, rows: {users: 1200}}
"""

RETURN = r"""
ferryman: {description: "Under C(placed): where what served before lies now (C(aside)).", type: dict, returned: success}
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.data import copying
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Trouble


def main() -> None:
    """Exchange, or go back."""
    module = AnsibleModule(
        {
            "database": {"type": "str", "required": True},
            "owner": {"type": "str"},
            "port": {"type": "int", "default": 5432},
            "file": {"type": "path"},
            "rows": {"type": "dict"},
            "extensions": {"type": "list", "elements": "list", "default": []},
            "database_bytes": {"type": "int", "default": 0},
            "back": {"type": "bool", "default": False},
        },
        required_if=[("back", False, ("owner", "file", "rows"))],
        supports_check_mode=True,
    )
    given, state = module.params, {"refused": True}
    try:
        here = copying.Exchange(given["database"], given["port"])
        if module.check_mode:
            here.require(0)
            module.exit_json(changed=True)
        if given["back"]:
            state = {}
            here.back()
        else:
            here.tidy()
            here.require(given["database_bytes"])
            state = {"returned": True}
            put(here, given)
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman=state)
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename}: {error.strerror}", ferryman=state)
    module.exit_json(changed=True, ferryman={"placed": {"aside": "" if given["back"] else here.aside}})


def put(here: copying.Exchange, given: Mapping[str, Any]) -> None:
    """Fill and exchange; what fails leaves what served, and nothing beside it."""
    try:
        rows = {name: int(count) for name, count in given["rows"].items()}
        here.fill(given["file"], given["owner"], rows, given["extensions"])
        here.swap()
    except (Trouble, OSError):
        with suppress(Trouble):  # the first failure is the one to be told
            here.drop(here.fresh)
        raise


if __name__ == "__main__":
    main()
