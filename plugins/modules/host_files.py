#!/usr/bin/python
"""Put several small configuration files in place in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Put several small configuration files in place in one step
description:
  - Each file is replaced in one rename, with missing directories made.
  - Systemd is told of units that it has not read as they lie there, also of those that an earlier run wrote.
  - One run for all of them, since each task costs a third of a second a host.
options:
  files:
    description: What lies where; owner is root.
    type: list
    elements: dict
    required: true
    options:
      path: {description: Where the file lies., type: path, required: true}
      content: {description: The whole text., type: str, required: true}
      mode: {description: Permission bits in octal., type: str, default: "0644"}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
  diff_mode: {support: full, description: Shows each file before and after.}
"""

EXAMPLES = r"""
- name: Say when upgrades may run
  ferryman.ops.host_files:
    files:
      - path: /etc/apt/apt.conf.d/52example
        content: |
          APT::Periodic::Unattended-Upgrade "1";
"""

RETURN = r"""
paths: {description: The files that changed., type: list, elements: str, returned: success}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import trial, units

FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
}


def now(path: str) -> tuple[str, int]:
    """Return text and permission bits of what is at `path`; ("", -1) where nothing is."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(), os.fstat(file.fileno()).st_mode & 0o7777
    except FileNotFoundError:
        return "", -1


def put(module: Any, wanted: dict[str, Any]) -> dict[str, str] | None:
    """Bring one file to its state; return the difference, or nothing."""
    path, mode = wanted["path"], int(wanted["mode"], 8)
    text, bits = now(path)
    if (text, bits) == (wanted["content"], mode):
        return None
    if not module.check_mode:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        trial.write(path, wanted["content"], mode)
        os.chmod(path, mode)
    return {"before_header": path, "after_header": path, "before": text, "after": wanted["content"]}


def unread(module: Any, paths: list[str]) -> list[str]:
    """Return the units of `paths` that systemd has not read as they lie there.

    It is asked, since a run may have ended between writing and telling: that a file is as it should be says nothing.
    """
    # A template is no unit that could be asked about; each instance of it is read from the disk as it begins.
    drop_ins = {name: found for name, found in units.of_files(paths).items() if "@." not in name}
    if not drop_ins:
        return []
    words = ["systemctl", "show", "--property=LoadState,NeedDaemonReload,DropInPaths", *drop_ins]
    _, out, _ = module.run_command(words, check_rc=True)
    return [name for name, state in units.states([*drop_ins], out).items() if units.is_unread(state, drop_ins[name])]


def main() -> None:
    """Put all files, then tell systemd once."""
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": FILE}},
        supports_check_mode=True,
    )
    try:
        diffs = [diff for diff in (put(module, wanted) for wanted in module.params["files"]) if diff]
    except OSError as error:
        module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    paths = [diff["after_header"] for diff in diffs]
    stale = unread(module, [wanted["path"] for wanted in module.params["files"]])
    if not module.check_mode and (stale or units.of_files(paths)):
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    module.exit_json(changed=bool(paths or stale), paths=paths, diff=diffs)


if __name__ == "__main__":
    main()
