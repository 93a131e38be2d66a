#!/usr/bin/python
"""Write or verify the marker that says which environment a host belongs to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_marker
short_description: Say, or verify, which environment a host belongs to
description:
  - Keeps C(/etc/ferryman/host.json). Refuses a host that another environment owns, before anything is changed.
options:
  environment: {description: The environment that the inventory is for., type: str, required: true}
  state:
    description: C(present) writes the marker, C(verified) only looks.
    type: str
    choices: [present, verified]
    default: present
  shared: {description: Whether several environments may live on the host., type: bool, default: false}
  required:
    description: Whether C(verified) refuses a host that was never provisioned; else only what C(present) would refuse.
    type: bool
    default: true
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Refuses as it would, writes nothing.}
  diff_mode: {support: full, description: Shows the marker before and after.}
"""

EXAMPLES = r"""
- name: Stop where the host is not of this environment
  ferryman.ops.host_marker: {environment: prod, state: verified}
"""

RETURN = r"""
marker: {description: What the marker says; null where there is none., type: dict, returned: success}
"""

import datetime
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import marker as markers
from ansible_collections.ferryman.ops.plugins.module_utils.host import trial

SITES = "/etc/ferryman/sites"


def main() -> None:
    """Read the marker, decide, write."""
    module = AnsibleModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "verified"], "default": "present"},
            "shared": {"type": "bool", "default": False},
            "required": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        before = None
        if os.path.exists(markers.PATH):
            with open(markers.PATH, encoding="utf-8") as file:
                before = markers.read(file.read())
        verified = wanted["state"] == "verified"
        if verified and wanted["required"]:
            markers.verify(before, wanted["environment"])
            module.exit_json(changed=False, marker=before)
        after = markers.provision(
            before,
            wanted["environment"],
            shared=wanted["shared"],
            sites=sorted(os.listdir(SITES)) if os.path.isdir(SITES) else [],
            now=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        if verified:
            module.exit_json(changed=False, marker=before)
        if after != before and not module.check_mode:
            os.makedirs(os.path.dirname(markers.PATH), mode=0o755, exist_ok=True)
            trial.write(markers.PATH, json.dumps(after, indent=2) + "\n")
    except markers.Refusal as refusal:
        module.fail_json(msg=str(refusal))
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")
    diff = {"before": before or {}, "after": after, "before_header": markers.PATH, "after_header": markers.PATH}
    module.exit_json(changed=after != before, marker=after, diff=diff)


if __name__ == "__main__":
    main()
