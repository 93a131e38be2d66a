#!/usr/bin/python
"""Have several units enabled and running, in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_units
short_description: Have several units enabled and running
description:
  - Unmasks, enables and starts. A unit whose own conditions forbid it to run here is left as it is, such as a time
    service in a container.
options:
  units: {description: Full names of the units., type: list, elements: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change, also where a unit's package is not there yet.}
"""

EXAMPLES = r"""
- name: Keep the clock right
  ferryman.ops.host_units: {units: [systemd-timesyncd.service]}
"""

RETURN = r"""
acts: {description: What was done to which unit., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import units


def main() -> None:
    """Ask systemd once about all units, then do what is missing."""
    module = AnsibleModule(
        argument_spec={"units": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    names = module.params["units"]
    show = ["systemctl", "show", f"--property={','.join(units.PROPERTIES)}", *names]
    _, out, _ = module.run_command(show, check_rc=True)
    states = units.states(names, out)
    missing = [name for name in names if states[name]["LoadState"] == "not-found"]
    if missing and not module.check_mode:
        module.fail_json(
            msg=f"this host has no unit {', '.join(missing)}: install the package that brings it, or rename it"
        )
    acts = [(act, name) for name in names for act in units.acts(states[name])]
    if not module.check_mode:
        for act, name in acts:
            module.run_command(["systemctl", "--quiet", act, name], check_rc=True)
        _, out, _ = module.run_command(show, check_rc=True)
        down = [name for name, state in units.states(names, out).items() if units.is_down(state)]
        if down:
            module.fail_json(msg=f"{', '.join(down)} did not stay up: `journalctl -u {down[0]}` says why")
    module.exit_json(changed=bool(acts), acts=[f"{act} {name}" for act, name in acts])


if __name__ == "__main__":
    main()
