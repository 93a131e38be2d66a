#!/usr/bin/python
"""Have the operators' accounts, with their keys and their sudo rule."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_accounts
short_description: Have the operators' accounts, with their keys and their sudo rule
description:
  - Accounts that are not named are never touched. In C(authorized_keys) only a block of our own is kept.
options:
  operators:
    description: Who operates the host.
    type: list
    elements: dict
    required: true
    options:
      name: {description: Name of the account., type: str, required: true}
      keys: {description: 'Public SSH keys, one a line as in authorized_keys.', type: list, elements: str, default: []}
      sudo:
        description: Whether the account may become root, and whether it is asked for its password.
        type: str
        choices: [none, password, nopasswd]
        default: none
      password_hash:
        description: Hash (crypt) of the password for sudo; empty leaves the password alone.
        type: str
        default: ''
      shell: {description: Login shell of an account that is made now., type: str, default: /bin/bash}
      state:
        description: C(absent) shuts the account (expired, without our keys and sudo rule) and keeps its files.
        type: str
        choices: [present, absent]
        default: present
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Let two people in
  ferryman.ops.host_accounts:
    operators:
      - name: ada
        keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb4TlZ4nRhUPTmGPv9SdMtjp4cNNB6JpeLKIKJrBmhk ada]
        sudo: nopasswd
      - {name: bob, state: absent}
"""

RETURN = r"""
acts: {description: What was done., type: list, elements: str, returned: success, sample: [make account ada]}
"""

import os
import pwd
import time
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import keys, trial

OPERATOR = {
    "name": {"type": "str", "required": True},
    "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "sudo": {"type": "str", "choices": ["none", "password", "nopasswd"], "default": "none"},
    "password_hash": {"type": "str", "default": "", "no_log": True},
    "shell": {"type": "str", "default": "/bin/bash"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


class Accounts:
    """Brings accounts to their state and remembers what that took; in check mode only the latter."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.acts: list[str] = []

    def act(self, text: str, do: Callable[[], object]) -> None:
        """Do one thing, or only say it."""
        self.acts.append(text)
        if not self.module.check_mode:
            do()

    def run(self, *words: str, data: str | None = None) -> None:
        """Run a program that must succeed; secrets go by `data`, never by words that `ps` shows."""
        self.module.run_command(list(words), check_rc=True, data=data)

    def bring(self, wanted: dict[str, Any]) -> None:
        """Bring one account to its state."""
        name = wanted["name"]
        there = any(entry.pw_name == name for entry in pwd.getpwall())
        if there and pwd.getpwnam(name).pw_uid < 1000:
            self.module.fail_json(
                msg=f"{name} is an account of the system, which cannot be an operator: take another name"
            )
        present = wanted["state"] == "present"
        if present and not there:
            self.act(f"make account {name}", lambda: self.run("useradd", "-m", "-U", "-s", wanted["shell"], name))
        if (present or there) and not (there and self._has_keys(name, wanted["keys"] if present else [])):
            self.act(f"write keys of {name}", lambda: self._as_owner(name, wanted["keys"] if present else []))
        self._sudo(name, wanted["sudo"] if present else "none")
        if there or present:
            self._shadow(wanted, present)

    def _keys_path(self, name: str) -> str:
        return os.path.join(pwd.getpwnam(name).pw_dir, ".ssh", "authorized_keys")

    def _has_keys(self, name: str, wanted: list[str]) -> bool:
        try:
            with open(self._keys_path(name), encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return not wanted
        return keys.merge(text, wanted) == text

    def _as_owner(self, name: str, wanted: list[str]) -> None:
        """Write the keys as their owner: root would follow whatever link somebody put into his own home."""
        account = pwd.getpwnam(name)
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            if status:
                self.module.fail_json(
                    msg=f"cannot write {self._keys_path(name)} as {name}: give that directory to its owner"
                )
            return
        # The child must leave by _exit: everything else would run Ansible's own way out a second time.
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            path = self._keys_path(name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            text = ""
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    text = file.read()
            trial.write(path, keys.merge(text, wanted), 0o600)
        except BaseException:  # noqa: BLE001  # whatever it was, the parent reports it
            os._exit(1)
        os._exit(0)

    def _sudo(self, name: str, rule: str) -> None:
        path = f"/etc/sudoers.d/ferryman-{name}"
        if rule == "none":
            if os.path.exists(path):
                self.act(f"take sudo from {name}", lambda: os.unlink(path))
            return
        text = keys.SUDO[rule].format(name=name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if file.read() == text:
                    return
        self.act(f"give sudo to {name}", lambda: self._write_sudo(path, text))

    def _write_sudo(self, path: str, text: str) -> None:
        # Tested elsewhere first: a broken file in sudoers.d ends sudo for everyone.
        self.run("visudo", "-c", "-q", "-f", "/dev/stdin", data=text)
        os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
        trial.write(path, text, 0o440)

    def _shadow(self, wanted: dict[str, Any], present: bool) -> None:
        name, wished = wanted["name"], wanted["password_hash"]
        stored, expiry = shadow(name)
        if present and wished and wished != stored:
            self.act(f"set password of {name}", lambda: self.run("chpasswd", "-e", data=f"{name}:{wished}\n"))
        shut = expiry is not None and expiry <= time.time() / 86400
        if shut == present:
            self.act(
                f"{'open' if present else 'shut'} account {name}",
                lambda: self.run("usermod", "-e", "" if present else "1", name),
            )


def shadow(name: str) -> tuple[str, int | None]:
    """Return hash and day of expiry of an account; nothing of one that is not there (yet)."""
    with open("/etc/shadow", encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split(":")
            if fields[0] == name:
                return fields[1], int(fields[7]) if fields[7] else None
    return "", None


def main() -> None:
    """Check all operators first, so that nothing is changed for a list with a mistake in it."""
    module = AnsibleModule(
        argument_spec={"operators": {"type": "list", "elements": "dict", "required": True, "options": OPERATOR}},
        supports_check_mode=True,
    )
    operators = module.params["operators"]
    problems = keys.problems(operators)
    if problems:
        module.fail_json(msg="; ".join(problems))
    accounts = Accounts(module)
    try:
        for operator in operators:
            accounts.bring(operator)
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")
    module.exit_json(changed=bool(accounts.acts), acts=accounts.acts)


if __name__ == "__main__":
    main()
