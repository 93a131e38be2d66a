#!/usr/bin/python
"""Show a site's maintenance page, or stop showing it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_maintenance
short_description: Turn a site's maintenance page on or off, without a reload
description:
  - The flag is a file that nginx looks for with each request. What is served afterwards is looked at.
options:
  site: {description: Name of the site., type: str, required: true}
  shown: {description: Whether the page is shown., type: bool, required: true}
  share_path: {description: The site's directory; by default the one below /var/lib/ferryman/sites., type: path}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Show the maintenance page
  ferryman.ops.nginx_maintenance: {site: shop, shown: true}
"""

RETURN = r"""
status: {description: Status of the site's first page afterwards., type: int, returned: when not in check mode}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host


def turn(flag: str, *, on: bool) -> None:
    if on:
        with open(os.open(flag, os.O_WRONLY | os.O_CREAT, 0o644), "a", encoding="ascii"):
            pass
    else:
        os.unlink(flag)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "shown": {"type": "bool", "required": True},
            "share_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    name, on = module.params["site"], module.params["shown"]
    flag = os.path.join(module.params["share_path"] or f"/var/lib/ferryman/sites/{name}", "maintenance")
    known = host.sites()
    if name not in known:
        module.fail_json(
            msg=f"nginx serves no site {name!r} on this host, only {', '.join(known) or 'none of ours'}: "
            "provision it first"
        )
    changed = os.path.exists(flag) != on
    if module.check_mode:
        module.exit_json(changed=changed)
    try:
        if changed:
            turn(flag, on=on)
        status, body, _ = host.get(known[name]["domains"][0], "/")
    except OSError as error:
        module.fail_json(
            msg=f"the page could not be turned {'on' if on else 'off'}: {error}; set that right, and do it again"
        )
    # The application may answer 503 itself; the page is known by its mark.
    if (status == 503 and b'content="ferryman-maintenance"' in body) != on:
        module.fail_json(
            msg=f"{flag} is {'there' if on else 'gone'}, but the site still answers otherwise (status {status})"
        )
    module.exit_json(changed=changed, status=status)


if __name__ == "__main__":
    main()
