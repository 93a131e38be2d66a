#!/usr/bin/python
"""Say where copies of an archive go off site, and open or make the repository there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite_setup
short_description: Say where copies of an archive go off site
description:
  - Writes settings and secrets, each secret into a file that root alone may read.
  - What is new is tried first; a repository is made where there is none. What does not open the one that is there is
    refused, and nothing is written.
  - Without a repository no copies are sent any more; those that are there stay.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  repository: {description: "Where to, as C(s3:https://host/bucket/path); nowhere if empty.", type: str, default: ""}
  access_key: {description: "The bucket's access key.", type: str, default: ""}
  secret_key: {description: Its secret., type: str, default: ""}
  password: {description: What encrypts all that is sent., type: str, default: ""}
  certificate: {description: Certificate of a private authority (PEM)., type: str, default: ""}
  region: {description: "The bucket's region.", type: str, default: ""}
  keep_days: {description: Days that copies are kept., type: int, required: true}
  every_s: {description: Seconds between two copies., type: int, required: true}
  parts: {description: In how many turns all data is read., type: int, required: true}
  make: {description: Whether to make a repository where there is none., type: bool, default: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change; reaches for nothing.}
"""

EXAMPLES = r"""
- name: Send copies of prod off site
  ferryman.ops.backup_offsite_setup:
    name: prod
    repository: s3:https://s3.example.org/backups/prod
    access_key: "{{ backup_offsite_access_key }}"
    secret_key: "{{ backup_offsite_secret_key }}"
    password: "{{ backup_offsite_password }}"
    keep_days: 30
    every_s: 86400
    parts: 28
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import job, offsite_setup, records
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import Unusable
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing


def main() -> None:
    """Refuse what is wrong, try what is new, then write."""
    required, text, secret = {"required": True}, {"default": ""}, {"default": "", "no_log": True}
    integer = {"type": "int", **required}
    module = AnsibleModule(
        argument_spec={
            "name": required,
            "repository": text,
            "access_key": secret,
            "secret_key": secret,
            "password": secret,
            "certificate": text,
            "region": text,
            **dict.fromkeys(("keep_days", "every_s", "parts"), integer),
            "make": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    place = Placing(module.check_mode)
    wrong = offsite_setup.problems(module.params)
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    try:
        offsite_setup.write(module.params, place)
    except Unusable as trouble:
        facts = {"setting": trouble.setting, "refused": True} if trouble.setting else {"refused": True}
        module.fail_json(msg=str(trouble), ferryman=facts)
    except (records.Trouble, OSError) as error:
        module.fail_json(msg=job.said(error), changed=bool(place.paths))
    module.exit_json(changed=bool(place.paths), paths=place.paths)


if __name__ == "__main__":
    main()
