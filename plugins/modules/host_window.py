#!/usr/bin/python
"""Say whether the window for updates of a host is open for long enough, and when it opens next."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_window
short_description: Say whether a host's window for updates is open
description:
  - Looks at the host's own clock and changes nothing.
  - What a window is, is what the program that lets updates install themselves has for one.
options:
  host:
    description: The host's name in the inventory, for whoever reads the answers of many.
    type: str
    required: true
  window:
    description: HH:MM-HH:MM in the host's local time, as C(host_updates_window) of the role host.
    type: str
    required: true
  days:
    description: Days on which it opens (Mon to Sun); none for every day.
    type: list
    elements: str
    default: []
  room_s:
    description: Seconds that must be left of it.
    type: float
    default: 0
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Looks all the same.}
"""

EXAMPLES = r"""
- name: See whether half an hour is left
  ferryman.ops.host_window:
    host: "{{ inventory_hostname }}"
    window: 02:00-05:00
    room_s: 1800
  register: __host_window
"""

RETURN = r"""
open: {description: Whether it is open for long enough., type: bool, returned: success}
left_s:
  description: Seconds until it shuts, 0 where it is shut; a week or more where it never shuts.
  type: float
  returned: success
opens:
  description: When it opens next, in the host's local time, such as Sun 2026-11-29 02:00 UTC.
  type: str
  returned: success
fits: {description: Whether it is open for long enough when it opens., type: bool, returned: success}
window: {description: The window., type: str, returned: success}
room_s: {description: Seconds that must be left of it., type: float, returned: success}
ferryman: {description: All of it by the host's name., type: dict, returned: success}
"""

import time
from datetime import datetime

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import updates_gate


def main() -> None:
    """Look at the clock."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "window": {"type": "str", "required": True},
            "days": {"type": "list", "elements": "str", "default": []},
            "room_s": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    window, days, room_s = module.params["window"], tuple(module.params["days"]), module.params["room_s"]
    now = datetime.now()
    opens = updates_gate.opens(window, days, now)
    left_s = updates_gate.left_s(window, days, now)
    told = {
        "open": 0 < left_s >= room_s,
        "left_s": left_s,
        "opens": f"{opens:%a %Y-%m-%d %H:%M} {time.strftime('%Z')}",
        "fits": updates_gate.left_s(window, days, opens) >= room_s,
        "window": window,
        "room_s": room_s,
    }
    module.exit_json(changed=False, **told, ferryman={"windows": {module.params["host"]: told}})


if __name__ == "__main__":
    main()
