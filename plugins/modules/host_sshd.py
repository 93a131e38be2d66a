#!/usr/bin/python
"""Set what sshd allows; kept only when a new connection confirms it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_sshd
short_description: Set what sshd allows, kept only when a new connection confirms it
description:
  - Writes a drop-in, tested beside first, and reloads. A timer on the host undoes it unless it is confirmed over a new
    connection; after a reboot without confirmation it is undone before sshd starts.
  - As a task, an action plugin of the same name makes that connection and waits for the outcome.
options:
  settings: {description: Keywords of sshd_config and their values., type: dict, required: true}
  undo_after_s: {description: Seconds until the change is undone., type: int, default: 60}
  state:
    description: C(confirmed) keeps what is under trial; used by the action plugin over the new connection.
    type: str
    choices: [present, confirmed]
    default: present
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
  diff_mode: {support: full, description: Shows the drop-in before and after.}
"""

EXAMPLES = r"""
- name: Let keys in and nothing else
  ferryman.ops.host_sshd:
    settings: {PasswordAuthentication: "no", PermitRootLogin: "no"}
"""

RETURN = r"""
pending: {description: Whether the change awaits its confirmation., type: bool, returned: success}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.host import sshd, trial

DROP_IN = "/etc/ssh/sshd_config.d/00-ferryman.conf"
MAIN = "/etc/ssh/sshd_config"
# The reload must not be waited for: its job is ordered after the unit that runs this.
UNDO = f"""\
if [ -e {trial.ROOT}/sshd/previous ]; then
  cp {trial.ROOT}/sshd/previous {DROP_IN}.ferryman-new && mv {DROP_IN}.ferryman-new {DROP_IN}
else
  rm -f {DROP_IN}
fi
if systemctl is-active --quiet ssh.service; then systemctl --no-block reload ssh.service; fi
# Whoever tried to confirm may look like somebody who guesses.
read -r client _ < {trial.ROOT}/sshd/pending || :
if [ -n "$client" ] && [ -S /run/fail2ban/fail2ban.sock ]; then fail2ban-client unban "$client" > /dev/null || :; fi"""


class Sshd:
    """The drop-in and its trial."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.settings = {str(key): str(value) for key, value in module.params["settings"].items()}
        self.program = module.get_bin_path("sshd", required=True, opt_dirs=["/usr/sbin"])
        self.trial = trial.Trial("sshd", UNDO, "ssh.service ssh.socket", self.run)

    def run(self, words: list[str]) -> None:
        """Run a program that must succeed."""
        self.module.run_command(words, check_rc=True)

    def now(self) -> str:
        """Return the drop-in as it is."""
        if not os.path.exists(DROP_IN):
            return ""
        with open(DROP_IN, encoding="utf-8") as file:
            return file.read()

    def unheard(self, *options: str) -> list[str]:
        """Return what sshd would do otherwise than told, by its files."""
        _, out, _ = self.module.run_command([self.program, "-T", *options], check_rc=True)
        return sshd.unheard(self.settings, out)

    def test_beside(self, wanted: str) -> None:
        """Let sshd read the new text in front of the whole configuration, at a place where nobody else reads it."""
        beside = self.trial.path("candidate")
        os.makedirs(os.path.dirname(beside), mode=0o700, exist_ok=True)
        with open(MAIN, encoding="utf-8") as file:
            trial.write(beside, wanted + file.read(), 0o600)
        code, _, err = self.module.run_command([self.program, "-t", "-f", beside])
        os.unlink(beside)
        if code:
            self.module.fail_json(
                msg=f"sshd would not start with these settings, so nothing was changed: {err.strip()}"
            )

    def bring(self) -> None:
        """Put the drop-in in place under trial, unless it is there and heard."""
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        wanted, before = sshd.render(self.settings), self.now()
        diff = {"before_header": DROP_IN, "after_header": DROP_IN, "before": before, "after": wanted}
        abandoned = self.trial.is_pending()
        if before == wanted and not abandoned:
            unheard = self.unheard()
            if unheard:
                self.module.fail_json(
                    msg=f"sshd does not heed {DROP_IN}: {'; '.join(unheard)}; another file says so first: "
                    "remove the line there"
                )
            self.module.exit_json(changed=False, pending=False)
        if self.module.check_mode:
            self.module.exit_json(changed=True, pending=False, diff=diff)
        self.trial.abandon()
        self.test_beside(wanted)
        self._save_previous()
        self.trial.begin(self.module.params["undo_after_s"])
        trial.write(DROP_IN, wanted)
        unheard = self.unheard()
        if unheard:
            self.trial.abandon()
            self.module.fail_json(
                msg=f"sshd would not heed {DROP_IN}, so it was taken back: {'; '.join(unheard)}; "
                "remove what says so first"
            )
        self.run(["systemctl", "reload", "ssh.service"])
        self.module.exit_json(changed=True, pending=True, diff=diff)

    def _save_previous(self) -> None:
        previous = self.trial.path("previous")
        if os.path.exists(DROP_IN):
            trial.write(previous, self.now(), 0o600)
        elif os.path.exists(previous):
            os.unlink(previous)


def main() -> None:
    """Bring sshd to its state, or keep what is under trial."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "undo_after_s": {"type": "int", "default": 60},
            "state": {"type": "str", "choices": ["present", "confirmed"], "default": "present"},
        },
        supports_check_mode=True,
    )
    daemon = Sshd(module)
    try:
        if module.params["state"] == "confirmed":
            daemon.trial.confirm(lambda: None)
            module.exit_json(changed=True, pending=False)
        daemon.bring()
    except trial.NotOurs as error:
        module.fail_json(msg=str(error), not_ours=True)
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
