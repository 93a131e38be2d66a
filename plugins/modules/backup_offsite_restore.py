#!/usr/bin/python
"""Bring an archive back from off site, to a host that has none."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite_restore
short_description: Bring an archive back from off site
description:
  - Writes all of it beside its place, reads it again there, and renames it into its place.
  - Refused, with nothing touched, where an archive lies there already, or where there is no room.
  - One that was cut off goes on when it is called again.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  path: {description: Directory below which archives lie., type: path, required: true}
  to:
    description: The copy, by its id or the beginning of it; the last up to a moment (RFC 3339); or latest.
    type: str
    default: latest
  keep_free_bytes: {description: Bytes that must stay free., type: int, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: none, description: An act has no state that could be compared.}
"""

EXAMPLES = r"""
- name: Bring the archive of prod back
  ferryman.ops.backup_offsite_restore: {name: prod, path: /srv/backups, keep_free_bytes: 5368709120}
"""

RETURN = r"""
ferryman:
  description: Under C(brought), the job; its C(holds) are the ids of the backups that are there again.
  type: dict
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    archive,
    command,
    copies,
    job,
    offsite_restore,
    records,
    sealed,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Restic
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing


def prepare(home: str, name: str) -> None:
    """Have the places that an archive comes into; where its database is encrypted, that place is there and open."""
    place = Placing(pretend=False)
    place.directory(home)
    if not os.path.isdir(sealed.Place(name, home).kept):
        place.directory(f"{home}/database", 0o700, archive.USER)


def main() -> None:
    """Bring it back, or say why not."""
    required = {"required": True}
    module = AnsibleModule(
        argument_spec={
            "name": required,
            "path": {"type": "path", **required},
            "to": {"default": "latest"},
            "keep_free_bytes": {"type": "int", **required},
        }
    )
    wished = offsite_restore.Wished(**module.params)
    try:
        prepare(wished.home, wished.name)
        works = Restic(copies.place(wished.name, copies.settings(wished.name) or {}), wished.name)
        told = offsite_restore.bring(works, wished, command.run_name())
    except (records.Trouble, OSError) as error:
        module.fail_json(msg=job.said(error), ferryman={"refused": True})
    module.exit_json(changed=True, ferryman={"brought": told})


if __name__ == "__main__":
    main()
