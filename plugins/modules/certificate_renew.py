#!/usr/bin/python
"""Renew certificates now, as the timer does."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_renew
short_description: Renew certificates now and look at what is served
description:
  - What the timer does by itself; with force also what is not due, as after a lost key.
  - Fails as M(ferryman.ops.certificate_ensure) does.
options:
  name: {description: 'Only this certificate; empty for all.', type: str, default: ''}
  force: {description: Whether what is not due is renewed too., type: bool, default: false}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Renew after a lost key
  ferryman.ops.certificate_renew: {name: shop, force: true}
"""

RETURN = r"""
certificates: {description: The record of each certificate., type: list, elements: dict, returned: always}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_renewal as renewal


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "default": ""}, "force": {"type": "bool", "default": False}},
        supports_check_mode=True,
    )
    name, force = module.params["name"], module.params["force"]
    if module.check_mode:
        module.exit_json(changed=force, certificates=host.records())
    records: list[dict[str, Any]] = []
    try:
        with host.locked():
            for settings in host.all_settings():
                records += renewal.ensure(settings, only=name, force=force)
    except host.Problem as problem:
        module.fail_json(msg=str(problem))
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")
    if name and not records:
        module.fail_json(msg=f"no certificate {name!r} is configured on this host: provision it first")
    failed = [
        f"{one['name']}: {one['last_attempt']['reason']}"
        for one in records
        if one["last_attempt"]["result"] == "failed"
    ]
    changed = any(one["changed"] for one in records)
    if failed:
        module.fail_json(msg="\n".join(failed), changed=changed, certificates=records)
    module.exit_json(changed=changed, certificates=records)


if __name__ == "__main__":
    main()
