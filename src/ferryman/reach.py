"""How a host is reached, as people type it: what the inventory says to Ansible, said to ssh."""

import shlex
from pathlib import Path

from ferryman.variables import Loaded, Unfilled

ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")


def command(loaded: Loaded, host: str) -> str:
    """Return the ssh command that reaches a host with its own address, user, port, key and jump host."""
    words = ["ssh", *(word for name in ARGUMENTS for word in shlex.split(_said(loaded, host, name)))]
    if port := _said(loaded, host, "ansible_port", "ansible_ssh_port"):
        words += ["-p", port]
    if key := _said(loaded, host, "ansible_private_key_file", "ansible_ssh_private_key_file"):
        words += ["-i", str(Path(key).expanduser())]
    user = _said(loaded, host, "ansible_user", "ansible_ssh_user")
    address = _said(loaded, host, "ansible_host", "ansible_ssh_host") or host
    return shlex.join([*words, f"{user}@{address}" if user else address])


def _said(loaded: Loaded, host: str, *names: str) -> str:
    """Return the first of these variables that a host has; nothing where it has none, or none that can be filled in."""
    given = next((value for name in names if (value := loaded.hosts[host].get(name)) is not None), "")
    try:
        return str(loaded.fill(host, given))
    except Unfilled:
        return ""
