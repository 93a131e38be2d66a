#!/usr/bin/python
"""Deny what comes in but for what is allowed; kept only when a new connection confirms it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_rules
short_description: Deny what comes in but for what is allowed, kept only when a new connection confirms it
description:
  - Loads one nftables table of its own, C(inet ferryman), and touches no other.
  - The rules are loaded but not yet those of the next boot; a timer on the host undoes them unless they are confirmed
    over a new connection. As a task, an action plugin of the same name makes that connection and waits for the outcome.
options:
  ssh_port:
    description: Port of SSH that stays open; 0 takes the one that this connection arrived on, or 22 without SSH.
    type: int
    default: 0
  ports:
    description: TCP ports that everybody may reach.
    type: list
    elements: int
    default: []
  allow:
    description: What else may come in.
    type: list
    elements: dict
    default: []
    options:
      port: {description: 'A port, or a range such as 8000-8010.', type: str, required: true}
      protocol: {description: Protocol of the port., type: str, choices: [tcp, udp], default: tcp}
      from:
        description: Addresses or networks that may; empty means everybody.
        type: list
        elements: str
        default: []
  interfaces:
    description: Interfaces from which everything may come in, such as bridges of containers; a name may end in C(*).
    type: list
    elements: str
    default: []
  adopt:
    description: Whether to take over from a firewall that is active on the host.
    type: bool
    default: false
  undo_after_s: {description: Seconds until the change is undone., type: int, default: 60}
  state:
    description: C(confirmed) keeps what is under trial; used by the action plugin over the new connection.
    type: str
    choices: [present, confirmed]
    default: present
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
  diff_mode: {support: full, description: Shows the rules before and after.}
"""

EXAMPLES = r"""
- name: Let the web in, and monitoring from one network
  ferryman.ops.firewall_rules:
    ports: [80, 443]
    allow:
      - {port: "9100", from: [192.0.2.0/24]}
"""

RETURN = r"""
pending: {description: Whether the change awaits its confirmation., type: bool, returned: success}
ssh_port: {description: The port of SSH that is open., type: int, returned: when rules were made}
"""

import hashlib
import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.firewall import rules
from ansible_collections.ferryman.ops.plugins.module_utils.host import trial

RULES = "/etc/ferryman/firewall.nft"
UNIT = "ferryman-firewall.service"
RIVALS = ("ufw.service", "firewalld.service")
# What is confirmed is what the next boot loads; where nothing is, the host was open before.
UNDO = f"if [ -e {RULES} ]; then nft -f {RULES}; else nft delete table {rules.TABLE}; fi"

ALLOW = {
    "port": {"type": "str", "required": True},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "from": {"type": "list", "elements": "str", "default": []},
}


def text_of(path: str) -> str:
    """Return what is in a file; nothing where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Firewall:
    """Our table and its trial."""

    def __init__(self, module: Any) -> None:
        self.module, self.wanted = module, module.params
        served = [{"port": str(port), "protocol": "tcp", "from": []} for port in self.wanted["ports"]]
        self.allow = [*served, *self.wanted["allow"]]
        self.nft = module.get_bin_path("nft", opt_dirs=["/usr/sbin"])
        self.trial = trial.Trial("firewall", UNDO, f"{UNIT} network-pre.target", self.run)

    def run(self, words: list[str]) -> None:
        """Run a program that must succeed."""
        self.module.run_command(words, check_rc=True)

    def listing(self) -> str:
        """Return a digest of the table as the kernel has it, counters apart; nothing where it is not loaded."""
        code, out, _ = self.module.run_command([self.nft, "-s", "list", "table", *rules.TABLE.split()])
        return "" if code else hashlib.sha256(out.encode()).hexdigest()

    def ssh_port(self, seen: str) -> int:
        """Return the port to keep open; a wrong one is refused here rather than found out by being cut off."""
        arrived = int(seen.split()[3]) if seen else 0
        port: int = self.wanted["ssh_port"] or arrived or 22
        if arrived and arrived != port and arrived not in rules.ports_of(self.allow):
            self.module.fail_json(
                msg=f"this connection arrived on port {arrived} of the host, which these rules would close "
                f"(firewall_ssh_port is {port}); nothing was changed: set it to {arrived}, or to 0"
            )
        return port

    def rivals(self) -> list[str]:
        """Return the known firewalls that are active."""
        found = []
        for name in RIVALS:
            code, _, _ = self.module.run_command(["systemctl", "is-active", "--quiet", name])
            # ufw's unit is active also where ufw itself was switched off.
            if code == 0 and (name != "ufw.service" or "ENABLED=yes" in text_of("/etc/ufw/ufw.conf")):
                found.append(name)
        return found

    def refuse_rivals(self) -> None:
        """Refuse a host where something else denies already, unless that was asked for."""
        _, out, _ = self.module.run_command([self.nft, "-j", "list", "ruleset"], check_rc=True)
        found = rules.foreign(json.loads(out), self.rivals())
        if found and not self.wanted["adopt"]:
            self.module.fail_json(
                msg=f"this host has a firewall of its own ({'; '.join(found)}): nothing was changed. "
                "firewall_adopt: true switches ufw and firewalld off once ours is confirmed, and leaves other tables "
                "beside ours, where packets must pass both"
            )

    def is_settled(self, text: str) -> bool:
        """Return whether the rules are on disk, in the kernel as they were confirmed, and loaded at boot."""
        loaded = self.listing()
        if text_of(RULES) != text or not loaded or text_of(self.trial.path("listing")) != loaded:
            return False
        return all(
            self.module.run_command(["systemctl", verb, "--quiet", UNIT])[0] == 0
            for verb in ("is-enabled", "is-active")
        )

    def bring(self) -> None:
        """Load the rules under trial, unless they are there."""
        try:
            port = self.ssh_port(trial.connection())
            text = rules.render(port, self.allow, self.wanted["interfaces"])
        except ValueError as error:
            self.module.fail_json(msg=str(error))
        answer = {
            "ssh_port": port,
            "diff": {"before_header": RULES, "after_header": RULES, "before": text_of(RULES), "after": text},
        }
        if not self.nft:
            if not self.module.check_mode:
                self.module.fail_json(msg="nft is not installed: install package nftables")
            self.module.exit_json(changed=True, pending=False, **answer)
        self.refuse_rivals()
        if not self.trial.is_pending() and self.is_settled(text) and not self.rivals():
            self.module.exit_json(changed=False, pending=False, ssh_port=port)
        if self.module.check_mode:
            self.module.exit_json(changed=True, pending=False, **answer)
        self.trial.abandon()
        candidate = self.trial.path("candidate.nft")
        os.makedirs(os.path.dirname(candidate), mode=0o700, exist_ok=True)
        trial.write(candidate, text, 0o600)
        self.run([self.nft, "-c", "-f", candidate])
        self.trial.begin(self.wanted["undo_after_s"])
        self.run([self.nft, "-f", candidate])
        self.module.exit_json(changed=True, pending=True, **answer)

    def settle(self) -> None:
        """Make the rules under trial those of every boot, and only now end the rival: one of the two always stands."""
        os.makedirs(os.path.dirname(RULES), mode=0o755, exist_ok=True)
        trial.write(RULES, text_of(self.trial.path("candidate.nft")))
        self.run(["systemctl", "--quiet", "enable", UNIT])
        # The undoing may wait for our lock right now, and is ordered before this unit: neither may wait for the other.
        self.run(["systemctl", "--job-mode=ignore-dependencies", "restart", UNIT])
        trial.write(self.trial.path("listing"), self.listing())
        if self.wanted["adopt"]:
            for name in self.rivals():
                if name == "ufw.service":
                    self.run(["ufw", "--force", "disable"])
                self.run(["systemctl", "disable", "--now", name])


def main() -> None:
    """Bring the rules to their state, or keep what is under trial."""
    module = AnsibleModule(
        argument_spec={
            "ssh_port": {"type": "int", "default": 0},
            "ports": {"type": "list", "elements": "int", "default": []},
            "allow": {"type": "list", "elements": "dict", "default": [], "options": ALLOW},
            "interfaces": {"type": "list", "elements": "str", "default": []},
            "adopt": {"type": "bool", "default": False},
            "undo_after_s": {"type": "int", "default": 60},
            "state": {"type": "str", "choices": ["present", "confirmed"], "default": "present"},
        },
        supports_check_mode=True,
    )
    firewall = Firewall(module)
    try:
        if module.params["state"] == "confirmed":
            firewall.trial.confirm(firewall.settle)
            module.exit_json(changed=True, pending=False)
        firewall.bring()
    except trial.NotOurs as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
