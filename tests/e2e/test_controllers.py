"""Two machines that share a provisioning by ansible-runner's own commands, as the guide tells it.

Requirements: CI-1.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.pages import blocks

from ferryman import paths
from ferryman.sandbox import __main__ as sandbox
from ferryman.sandbox import hosts

pytestmark = pytest.mark.at_times(journey="several controllers")
GUIDE = paths.CHECKOUT / "docs" / "guides" / "many-hosts.md"
ONCE, PREPARED = blocks(GUIDE, "text")
(PLAYBOOK,) = blocks(GUIDE, "yaml")
SHARED = blocks(GUIDE, "sh")[0].text.replace("app[0:14]", "app[0]").replace("app[15:]", "app[1:]")
"""The guide's script, for a fleet of two instead of thirty."""
CONTROLLERS, APPS = ("ops1", "ops2"), ("app1", "app2")
PLANTED = "a-word-that-only-the-vault-knows"
WORDS = f"of a test|{PLANTED}|ANSIBLE_VAULT"
LEFT = f"ls -A /dev/shm; grep -rlE '{WORDS}' /tmp /dev/shm /home 2>/dev/null | grep -v /ansible/ || true"
"""Prints what a worker still holds of the job: anything in memory, the vault's key, a file that the vault encrypted."""


class Estate:
    """A project with two app hosts, and two machines beside them; `ssh NAME` reaches each, with an agent."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name, self.files = root, name, root / "files"
        self.agent: dict[str, str] = {}

    def up(self) -> None:
        sandbox.up(self.name, self.files, [{"name": each} for each in (*CONTROLLERS, *APPS)])
        self._ssh()
        self._project()

    def _ssh(self) -> None:
        (self.root / "bin").mkdir()
        program = self.root / "bin" / "ssh"
        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.files}/ssh_config "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        agent = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
        self.agent = dict(line.split(";")[0].split("=") for line in agent.splitlines() if "=" in line)
        self.bash(f"ssh-add -q {self.files}/id_ed25519")

    def _project(self) -> None:
        told = yaml.safe_load((self.files / "addresses.json").read_text())
        ports = yaml.safe_load((self.files / "ports.json").read_text())
        at: dict[str, Any] = {each: {"ansible_host": told[each], "ansible_port": ports[each]} for each in APPS}
        prod = self.root / "inventories" / "prod"
        (prod / "group_vars" / "all").mkdir(parents=True)
        (prod / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"app": {"hosts": at}}}}))
        values = {"ansible_user": "ops", "environment_name": "prod"}
        (prod / "group_vars" / "all" / "environment.yml").write_text(yaml.safe_dump(values))
        (self.root / "group_vars" / "all").mkdir(parents=True)
        (self.root / "group_vars" / "all" / "host.yml").write_text("host_bans_enabled: false\n")
        (prod / "group_vars" / "all" / "00-shared").symlink_to("../../../../group_vars/all")
        (self.root / "site.yml").write_text(PLAYBOOK.text)
        (self.root / ".ferryman" / "vault").mkdir(parents=True)
        (self.root / ".ferryman" / "vault" / "prod.key").write_text("of a test")
        # It is asked for on the way to each host: without the vault's key nothing is reached.
        secret = self.bash(
            f"ansible-vault encrypt_string --vault-id prod@.ferryman/vault/prod.key {PLANTED} --name vault_sudo"
        )
        asked = f'{secret}\nansible_become_password: "{{{{ vault_sudo }}}}"\n'
        (prod / "group_vars" / "all" / "vault.yml").write_text(asked)
        keys = "".join(
            f"[{told[each]}]:{ports[each]} {' '.join(line.split()[1:])}\n"
            for each in APPS
            for line in (self.files / "known_hosts").read_text().splitlines()
            if f":{ports[each]} " in line
        )
        for each in CONTROLLERS:
            self.bash(f"ssh {each} 'cat > .ssh/known_hosts'", given=keys)

    def bash(self, script: str, *, given: str = "", code: int = 0) -> str:
        """Type a script where the project is; return what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "FERRYMAN_"))}
        programs = f"{self.root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.root,
            env={**kept, **self.agent, "PATH": programs, "NO_COLOR": "1"},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def down(self) -> None:
        hosts.down(self.name, self.files)
        if self.agent:
            self.bash('kill "$SSH_AGENT_PID"')


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    found = Estate(tmp_path_factory.mktemp("estate"), f"e2e-controllers-{os.getpid()}")
    try:
        found.up()
        clone = tmp_path_factory.mktemp("clean") / "clone"
        found.bash(
            f"git clone --quiet --no-local {paths.CHECKOUT} {clone}; cd {clone}; ansible-galaxy collection build"
        )
        found.bash(f"cp {clone}/ferryman-ops-*.tar.gz .")
        venv = "sudo apt-get -qq update && sudo apt-get -qq install -y python3-venv"
        for each, line in zip(CONTROLLERS, ONCE.lines, strict=True):
            found.bash(f"ssh {each} '{venv}' && {line}")
        for line in PREPARED.lines:
            found.bash(line)
        yield found
    finally:
        found.down()


def test_each_takes_its_half_and_leaves_nothing_of_what_it_was_sent(estate: Estate) -> None:
    assert PLANTED not in estate.bash(SHARED)
    for controller, app in zip(CONTROLLERS, APPS, strict=True):
        stdout = (estate.root / ".ferryman" / "job" / "artifacts" / controller / "stdout").read_text()
        recap = stdout.rpartition("PLAY RECAP")[2]
        assert f"{app} " in recap
        assert "unreachable=0    failed=0" in recap
        assert not any(other in recap for other in APPS if other != app)
        assert '"prod"' in estate.bash(f"ssh {app} cat /etc/ferryman/host.json")
        bans = f"ssh {app} systemctl is-enabled fail2ban.service 2>&1 || true"
        assert "enabled" not in estate.bash(bans), "what all environments share was brought along"
        assert estate.bash(f"ssh {controller} sudo sh", given=LEFT) == ""


def test_a_host_with_another_key_is_refused_by_a_worker_too_and_that_is_the_exit_code(estate: Estate) -> None:
    # A connection that is still open asks for no key.
    estate.bash("ssh ops2 'rm -rf .ansible/cp; mv .ssh/known_hosts .ssh/known_hosts.kept'")
    try:
        said = estate.bash(SHARED, code=1)
    finally:
        estate.bash("ssh ops2 'mv .ssh/known_hosts.kept .ssh/known_hosts'")
    assert "Host key verification failed" in said
    recaps = [(estate.root / ".ferryman/job/artifacts" / each / "rc").read_text() for each in CONTROLLERS]
    assert recaps == ["0", "4"], "the other share went through"
