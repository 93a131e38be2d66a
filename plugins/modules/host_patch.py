#!/usr/bin/python
"""Install what unattended upgrades would, now, and say whether the host wants to be started again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_patch
short_description: Install security updates now
description:
  - >-
    Runs unattended-upgrade, so that what is installed is what the host's own policy allows (C(50unattended-upgrades)),
    on lists of packages that are as new as they can be. What it leaves although it should not is a failure.
  - Nothing is started again but what packages start themselves; processes that hold an old library need a reboot.
options:
  host:
    description: The host's name in the inventory, for whoever reads the answers of many.
    type: str
    required: true
  does:
    description: What it does, by names that mean something to whoever reads the answers.
    type: list
    elements: str
    default: []
author: [The Ferryman authors]
attributes:
  check_mode:
    support: partial
    description: Says what would be installed; the lists of packages are made new all the same.
"""

EXAMPLES = r"""
- name: Install security updates
  ferryman.ops.host_patch: {host: "{{ inventory_hostname }}"}
  register: __host_patch
"""

RETURN = r"""
packages: {description: What was installed, type: list, elements: str, returned: success}
reboot: {description: Whether something that was installed asks for a reboot., type: bool, returned: success}
ferryman: {description: "Both by the host's name, and what it does.", type: dict, returned: success}
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

PROGRAM = "/usr/bin/unattended-upgrade"
WANTS = "/run/reboot-required"  # of Debian's packages, whose /var/run is /run
LISTED = re.compile(r"^Packages that will be upgraded: *(.*)$", re.MULTILINE)
LISTS = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update")


def listed(said: str) -> list[str]:
    """Return the packages that unattended-upgrade says it will upgrade, sorted."""
    found = LISTED.search(said)
    return sorted(found.group(1).split()) if found else []


def run(module: AnsibleModule, *words: str) -> str:
    """Run a program and return what it said; a failure says its last words."""
    code, out, err = module.run_command([*words], environ_update={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    if code:
        last = (out + err).strip().splitlines()[-5:]
        said = "\n".join([f"{' '.join(words)} failed ({code}):", *last])
        module.fail_json(msg=f"{said}; mend that on the host, and do it again")
    return str(out) + str(err)


def main() -> None:
    """Patch, and look what is left."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "does": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    packages: list[str] = []
    if os.path.exists(PROGRAM):
        run(module, *LISTS)
        packages = listed(run(module, PROGRAM, "--verbose", "--dry-run"))
    elif not module.check_mode:
        module.fail_json(msg=f"there is no {PROGRAM} on this host: install unattended-upgrades")
    if packages and not module.check_mode:
        run(module, PROGRAM, "--verbose")
        left = listed(run(module, PROGRAM, "--verbose", "--dry-run"))
        if left:
            said = f"these security updates were not installed: {', '.join(left)}"
            module.fail_json(msg=f"{said}; look into /var/log/unattended-upgrades for the reason")
    told = {"packages": packages, "reboot": os.path.exists(WANTS)}
    about = {module.params["host"]: {**told, "does": module.params["does"]}}
    module.exit_json(changed=bool(packages), **told, ferryman={"patched": about})


if __name__ == "__main__":
    main()
