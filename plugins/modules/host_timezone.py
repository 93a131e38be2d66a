#!/usr/bin/python
"""Set a host's time zone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_timezone
short_description: Set a host's time zone
description:
  - Sets C(/etc/localtime) and C(/etc/timezone); running services keep the zone that they started with.
options:
  name: {description: 'Name of the zone, for example Europe/Lisbon.', type: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says whether the zone would change.}
  diff_mode: {support: full, description: Shows the zone before and after.}
"""

EXAMPLES = r"""
- name: Live in universal time
  ferryman.ops.host_timezone: {name: Etc/UTC}
"""

RETURN = r"""
previous: {description: The zone before., type: str, returned: success}
"""

import contextlib
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import trial

ZONES = "/usr/share/zoneinfo"


def main() -> None:
    """Compare the link, replace it in one rename."""
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    name = module.params["name"]
    target = f"{ZONES}/{name}"
    # A bare host has no zones before its packages are there, which a check must survive.
    if not os.path.isfile(target) and not (module.check_mode and not os.path.isdir(ZONES)):
        module.fail_json(msg=f"{name!r} is not a time zone; `timedatectl list-timezones` lists them")
    previous = (
        os.path.realpath("/etc/localtime").replace(f"{ZONES}/", "", 1) if os.path.exists("/etc/localtime") else "UTC"
    )
    changed = not os.path.exists("/etc/localtime") or os.path.realpath("/etc/localtime") != os.path.realpath(target)
    try:
        if changed and not module.check_mode:
            with contextlib.suppress(FileNotFoundError):
                os.unlink("/etc/localtime.ferryman-new")
            os.symlink(target, "/etc/localtime.ferryman-new")
            os.rename("/etc/localtime.ferryman-new", "/etc/localtime")
            trial.write("/etc/timezone", name + "\n")
    except OSError as error:
        module.fail_json(msg=f"cannot set the time zone: {error}; free /etc of what is in the way")
    module.exit_json(changed=changed, previous=previous, diff={"before": previous + "\n", "after": name + "\n"})


if __name__ == "__main__":
    main()
