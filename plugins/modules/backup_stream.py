#!/usr/bin/python
"""Wait until an archive gets what its source writes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_stream
short_description: Wait until an archive gets what its source writes
description:
  - Asks the source whether the stream is there, for some seconds.
options:
  name: {description: Name of the archive., type: str, required: true}
  let_in:
    description: Networks that the database's firewall lets in. Where no stream comes, ways from others are told.
    type: list
    elements: str
    default: []
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Asks nothing.}
"""

EXAMPLES = r"""
- name: See that the stream is there
  ferryman.ops.backup_stream: {name: prod}
"""

RETURN = r"""
stream: {description: How it is., type: dict, returned: when not in check mode}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, way_in
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def _shut(archive: Archive, let_in: list[str]) -> str:
    """Say from where the database's firewall does not let this host in; libpq tries every address of a name."""
    database = archive.settings["database"]
    if not let_in:
        return ""
    return way_in.said(database["host"], way_in.shut(way_in.ways(database["host"], database["port"]), let_in))


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"required": True}, "let_in": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        archive = Archive(module.params["name"])
        try:
            works = job.engine(archive, "database")
            works.require_stream()
        except Trouble as trouble:
            module.fail_json(msg="; ".join(filter(None, [str(trouble), _shut(archive, module.params["let_in"])])))
        module.exit_json(changed=False, stream=works.state())
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=job.said(error))


if __name__ == "__main__":
    main()
