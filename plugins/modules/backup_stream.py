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
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


def main() -> None:
    module = AnsibleModule(argument_spec={"name": {"required": True}}, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        works = job.engine(Archive(module.params["name"]), "database")
        works.require_stream()
        module.exit_json(changed=False, stream=works.state())
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=job.said(error))


if __name__ == "__main__":
    main()
