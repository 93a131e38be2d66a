#!/usr/bin/python
"""Write the paper copy of an archive's keys into a file that is fetched and removed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_paper
short_description: Write the paper copy of an archive's keys
description:
  - "Writes what a person types in again where no server is left: the key of each repository as borg prints it for"
  - paper, the passphrase, what opens the database's archive, and how to restore by hand.
  - It goes into a new file in memory that root alone may read; whoever asked fetches it, and removes it.
  - An archive of the database alone that lies in clear, and goes nowhere else, has no key, and gets no file.
options:
  name: {description: Name of the archive., type: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Writes nothing.}
"""

EXAMPLES = r"""
- name: Write the paper copy
  ferryman.ops.backup_paper: {name: prod}
  register: paper
"""

RETURN = r"""
path: {description: The file; empty where there is no key., type: str, returned: success}
ferryman:
  description: >-
    Under C(paper), C(fingerprints) by set, the SHA-256 of each exported key; of the database, of the file that holds
    its key; of copies off site, where they are. No secret is among them.
  type: dict
  returned: success
"""

import glob
import os
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, paper, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import Archive
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Place
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

MEMORY = "/run"
FETCHED_S = 600  # by then whoever asked has it, or is gone


def written(own: Archive, found: list[paper.Key], database: paper.Opening | None, away: Place | None) -> str:
    """Write the paper into a new file; return its path. What a run that was cut off has left there goes."""
    for left in glob.glob(f"{MEMORY}/ferryman-paper-{glob.escape(own.name)}-????????"):
        if time.time() - os.stat(left).st_mtime > FETCHED_S:
            os.unlink(left)
    descriptor, path = tempfile.mkstemp(prefix=f"ferryman-paper-{own.name}-", dir=MEMORY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        secret = paper.passphrase(own) if found else ""
        file.write(paper.text(own.name, found, secret, database, away, time.time()))
    return path


def main() -> None:
    module = AnsibleModule(argument_spec={"name": {"required": True}}, supports_check_mode=True)
    try:
        own = Archive(module.params["name"])
        found = [] if module.check_mode else paper.keys(own)
        database = None if module.check_mode else paper.opening(own)
        away = None if module.check_mode else paper.off_site(own)
        path = written(own, found, database, away) if found or database or away else ""
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": True})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    fingerprints = {key.kind: key.fingerprint for key in found}
    fingerprints |= {"database": database.fingerprint} if database else {}
    fingerprints |= {records.OFFSITE: away.repository} if away else {}
    module.exit_json(changed=bool(path), path=path, ferryman={"paper": {"fingerprints": fingerprints}})


if __name__ == "__main__":
    main()
