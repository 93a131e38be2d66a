#!/usr/bin/python
"""Refuse, before anything is installed, what can't work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_preflight
short_description: Check the wanted certificates before anything is installed
description:
  - Reads only. Fails with everything that is wrong at once.
options:
  certificates: {description: The list as the role takes it., type: list, elements: dict, required: true}
  directory: {description: Address of the ACME directory., type: str, required: true}
  terms_agreed: {description: Whether the authority's terms are agreed to., type: bool, required: true}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Refuse what can't work
  ferryman.ops.certificate_preflight:
    certificates: "{{ certificate_list }}"
    directory: "{{ certificate_acme_directory }}"
    terms_agreed: true
"""

RETURN = r"""
python: {description: Version of the host's own Python., type: str, returned: success}
"""

import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_settings

SINCE = (3, 10)  # certbot 5


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            # The keys of provided certificates are in it: nothing of it may be shown.
            "certificates": {"type": "list", "elements": "dict", "required": True, "no_log": True},
            "directory": {"type": "str", "required": True},
            "terms_agreed": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    wrong = certificate_settings.errors(
        wanted["certificates"], directory=wanted["directory"], terms_agreed=wanted["terms_agreed"]
    )
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info[:2] < SINCE and any((one.get("mode") or "acme") == "acme" for one in wanted["certificates"]):
        wrong.append(f"this host has Python {python}, and certbot needs 3.10 or newer")
    if wrong:
        module.fail_json(msg="\n".join(wrong))
    module.exit_json(changed=False, python=python)


if __name__ == "__main__":
    main()
