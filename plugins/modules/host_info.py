#!/usr/bin/python
"""Look at what a host already carries, so that a role adds to it rather than replaces it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Look at what a host already carries
description:
  - One look instead of all facts, which cost up to a second a host.
options: {}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Changes nothing ever.}
"""

EXAMPLES = r"""
- name: Look at the host
  ferryman.ops.host_info:
  register: __host_info
"""

RETURN = r"""
distribution: {description: ID and version as in C(/etc/os-release)., type: str, returned: success, sample: debian-12}
time_service: {description: The unit of the time service; empty where none is installed., type: str, returned: success}
ssh_ports: {description: The ports that sshd is configured for., type: list, elements: int, returned: success}
"""

import os

from ansible.module_utils.basic import AnsibleModule

# By preference: whichever is found first keeps the clock, and Debian lets only one be installed.
TIME_SERVICES = {
    "/usr/sbin/chronyd": "chrony.service",
    "/usr/sbin/ntpsec": "ntpsec.service",
    "/usr/sbin/ntpd": "ntp.service",
    "/usr/sbin/openntpd": "openntpd.service",
    "/lib/systemd/systemd-timesyncd": "systemd-timesyncd.service",
}
UNITS = ("/etc/systemd/system", "/lib/systemd/system")


def time_service() -> str:
    """Return the unit of the time service that is there; its name differs between packages, so the unit must exist."""
    for program, unit in TIME_SERVICES.items():
        if os.path.exists(program) and any(os.path.exists(f"{directory}/{unit}") for directory in UNITS):
            return unit
    for unit in TIME_SERVICES.values():
        if any(os.path.exists(f"{directory}/{unit}") for directory in UNITS):
            return unit
    return ""


def distribution() -> str:
    """Return for example debian-12."""
    values = {}
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.strip().partition("=")
            values[key] = value.strip("\"'")
    return f"{values.get('ID', 'unknown')}-{values.get('VERSION_ID', '')}"


def main() -> None:
    """Look and answer."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    ports = []
    sshd = module.get_bin_path("sshd", opt_dirs=["/usr/sbin"])
    if sshd:
        _, out, _ = module.run_command([sshd, "-T"])
        ports = sorted({int(line.split()[1]) for line in out.splitlines() if line.startswith("port ")})
    try:
        module.exit_json(changed=False, distribution=distribution(), time_service=time_service(), ssh_ports=ports)
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
