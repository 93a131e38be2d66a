#!/usr/bin/python
"""Read the record of every certificate of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_info
short_description: Read names, issuer, validity and last renewal of every certificate
description:
  - Reads the records; whether a certificate is near expiry is told as of now.
options:
  warn_days: {description: Days before the end at which a certificate is called near expiry., type: int, default: 14}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Read the certificates
  ferryman.ops.certificate_info:
  register: __certificates
"""

RETURN = r"""
certificates:
  description: For each its names, issuer, validity, last_attempt, last_renewal, near_expiry and what was served.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_facts as facts
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host


def main() -> None:
    module = AnsibleModule(argument_spec={"warn_days": {"type": "int", "default": 14}}, supports_check_mode=True)
    try:
        records = host.records()
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename}: {error.strerror}")
    for record in records:
        if "not_after" in record:
            record["near_expiry"] = facts.near_expiry(
                record["not_before"], record["not_after"], host.now(), warn_days=module.params["warn_days"]
            )
    module.exit_json(changed=False, certificates=records)


if __name__ == "__main__":
    main()
