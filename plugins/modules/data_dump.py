#!/usr/bin/python
"""Write a database to a file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: data_dump
short_description: Write a database to a file, and say what it holds
description:
  - Writes what C(pg_dump) calls the custom format, without owners, privileges, comments and subscriptions, for
    M(ferryman.ops.data_put). Nobody else may write to the database meanwhile.
  - The file belongs to whom its directory belongs to, and nobody else may read it. It must not be there yet.
options:
  database: {description: Name of the database., type: str, required: true}
  port: {description: Port of its server., type: int, default: 5432}
  socket: {description: Directory of the server's socket, where it is not the packaged one., type: str, default: ''}
  account: {description: System account that may reach the server as C(postgres)., type: str, default: postgres}
  file: {description: The file to write., type: path, required: true}
  marked:
    description: The C(mark) that M(ferryman.ops.data_mask) left; a database without it is another one, and is refused.
    type: str
    default: ''
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Writes nothing.}
"""

EXAMPLES = r"""
- name: Write the masked copy
  ferryman.ops.data_dump: {database: notes_copy, file: /root/notes.copy}
"""

RETURN = r"""
ferryman:
  description: "Under C(copied): C(rows) by table, C(bytes) of the file, C(database_bytes), C(extensions)."
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.data import copying
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Database, Trouble


def main() -> None:
    """Write it."""
    module = AnsibleModule(
        {
            "database": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "socket": {"type": "str", "default": ""},
            "account": {"type": "str", "default": "postgres"},
            "file": {"type": "path", "required": True},
            "marked": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        database = Database(given["database"], given["port"], given["socket"], given["account"])
        told = copying.write(database, given["file"], given["marked"])
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=f"cannot write {given['file']}: {error.strerror}")
    module.exit_json(changed=True, ferryman={"copied": told})


if __name__ == "__main__":
    main()
