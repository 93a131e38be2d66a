#!/usr/bin/python
"""Put a file that was written from a database in the place of another database, or go back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: data_put
short_description: Put a copy in the place of a database, or go back
description:
  - Makes a new database from what M(ferryman.ops.data_dump) wrote, beside the one that serves, and counts its rows.
  - Then sends everybody away, and exchanges the two in one transaction. Who may connect, and what was set for the
    database, stays. What served before is kept as C(NAME_before), to which nobody can connect, until the next time.
  - With O(back), that serves again, and the copy is gone.
options:
  database: {description: Name of the database., type: str, required: true}
  owner: {description: "Role that owns it; needed unless O(back).", type: str}
  port: {description: Port of its server., type: int, default: 5432}
  file: {description: "The file; needed unless O(back).", type: path}
  rows: {description: How many rows each table must have., type: dict, default: {}}
  database_bytes: {description: Refused where there is less room., type: int, default: 0}
  back: {description: Whether to go back to what served before., type: bool, default: false}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Does nothing.}
"""

EXAMPLES = r"""
- name: Let staging have the masked copy
  ferryman.ops.data_put: {database: notes, owner: notes, file: /root/notes.copy, rows: {public.users: 1200}}
"""

RETURN = r"""
ferryman: {description: "Under C(placed): where what served before lies now (C(aside)).", type: dict, returned: success}
"""

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
            "rows": {"type": "dict", "default": {}},
            "database_bytes": {"type": "int", "default": 0},
            "back": {"type": "bool", "default": False},
        },
        required_if=[("back", False, ("owner", "file"))],
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        here = copying.Exchange(given["database"], given["port"])
        if given["back"]:
            here.back()
        else:
            here.require_room(given["database_bytes"])
            here.fill(given["file"], given["owner"], {name: int(count) for name, count in given["rows"].items()})
            here.swap()
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename}: {error.strerror}")
    module.exit_json(changed=True, ferryman={"placed": {"aside": "" if given["back"] else here.aside}})


if __name__ == "__main__":
    main()
