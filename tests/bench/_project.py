"""A project of its own for a benchmark: an application with a history, and sandbox hosts that serve it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from tests.support import histories

from ferryman import paths, proving
from ferryman.sandbox.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

# What waits on purpose is not what is measured: all of it is off, and printed with the result.
WAITS = {"release_soak_s": 0, "release_watch_s": 0, "release_drain_s": 0, "release_worker_soak_s": 0}

# As env.new --sandbox fleet has it: where the hosts reach each other, once they are up.
ADDRESS = (
    "{{ (lookup('ansible.builtin.file', sandbox_addresses) | from_json)[inventory_hostname] "
    "if sandbox_addresses is file else '' }}"
)


@dataclass
class Host:
    """One sandbox host: its name in the inventory, its container, the way in."""

    name: str
    container: str
    ssh: list[str] = field(default_factory=list)

    def inside(self, script: str) -> str:
        """Run a script as root in the container, beside all that is measured."""
        words = ["podman", "exec", self.container, "sh", "-ec", script]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Project:
    """One environment `bench` with `count` app hosts, the first of which is the entry, and one application."""

    def __init__(self, root: Path, name: str, *, count: int, kind: str, sockets: Path) -> None:
        self.root, self.name, self.kind = root, name, kind
        self.sockets = sockets
        self.hosts = [Host(f"app{number}", f"{name}-app{number}") for number in range(1, count + 1)]
        self.files = root / ".ferryman" / "sandbox" / name
        self.repository: histories.Repository

    def make(self) -> None:
        """Write application and inventory; bring the hosts up and provision them."""
        if self.root.exists():
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True)
        self.repository = getattr(histories, self.kind)(self.root / self.kind, histories.good("v0"))
        values = self.root / "inventories" / "bench" / "group_vars" / "all"
        values.mkdir(parents=True)
        tree = self._inventory()
        (values.parents[1] / "hosts.yml").write_text(yaml.safe_dump(tree))
        for feature, told in self._values().items():
            (values / f"{feature}.yml").write_text(yaml.safe_dump(told))
        self.run("sandbox.up", "--env", "bench")
        for host in self.hosts:
            host.ssh = ["ssh", "-F", str(self.files / "ssh_config"), host.name]
        self.run("provision", "--env", "bench")
        for host in self.hosts:
            # Each connection and each session leaves a line: "Accepted ..." and "Starting session: ...".
            host.inside("echo LogLevel VERBOSE > /etc/ssh/sshd_config.d/01-bench.conf && systemctl reload ssh")

    def _inventory(self) -> dict[str, Any]:
        self.https = free_port()
        hosts: dict[str, Any] = {}
        for number, host in enumerate(self.hosts, 101):
            port = free_port()
            hosts[host.name] = {"ansible_host": "127.0.0.1", "ansible_port": port, "sandbox_image": "base",
                                "sandbox_number": number, "sandbox_publish": {port: port}}  # fmt: skip
        hosts["app1"]["sandbox_publish"][self.https] = 443
        hosts["app1"]["sandbox_domains"] = ["localhost"]
        port = free_port()
        acme = {"ansible_host": "127.0.0.1", "ansible_port": port, "sandbox_image": "acme",
                "sandbox_publish": {port: port}, "sandbox_aliases": ["acme.internal"]}  # fmt: skip
        groups = {"entry": {"app1": hosts["app1"]}, "app": hosts, "db": {}, "acme": {"bench-acme": acme}}
        return {"all": {"children": {name: {"hosts": members} for name, members in groups.items()}}}

    def _values(self) -> dict[str, dict[str, Any]]:
        files = "{{ inventory_dir }}/../../.ferryman/sandbox/{{ sandbox_name }}"
        ssh = f"-F '{files}/ssh_config'"
        return {
            "environment": {"environment_name": "bench"},
            "sandbox": {
                "sandbox_name": self.name,
                "ansible_user": "ops",
                "ansible_ssh_common_args": ssh,
                "sandbox_addresses": f"{files}/addresses.json",
                "release_address": ADDRESS,
            },
            "host": {"host_bans_enabled": False},  # ten of them are light on a machine with two cores
            "nginx": {"nginx_https_public_port": self.https},
            "certificate": {
                "certificate_acme_directory": "https://acme.internal:14000/dir",
                "certificate_acme_ca_file": f"{files}/acme-ca.pem",
                "certificate_terms_agreed": True,
            },
            "release": {"release_ca": f"{files}/ca.pem", **WAITS},
            "apps": {"apps": {self.kind: {"repository": self.kind, "domains": [f"{self.kind}.localhost"]}}},
        }

    @property
    def environment(self) -> dict[str, str]:
        """What every measured command is given: that of tests, and control sockets apart from all others."""
        return proving.environment(
            ANSIBLE_SSH_CONTROL_PATH_DIR=str(self.sockets),
            ANSIBLE_CONFIG=str(paths.CHECKOUT / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=str(paths.collections_path()),
        )

    def argv(self, *words: str) -> list[str]:
        """Return how a command of Ferryman is run in the project."""
        return [sys.executable, "-m", "ferryman", *words, "--json"]

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command of Ferryman in the project, and return what it prints with --json."""
        argv = self.argv(*words)
        done = subprocess.run(argv, cwd=self.root, env=self.environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def cold(self) -> None:
        """Close every connection and let the disk come to rest: what comes next has its own, and waits for nobody's."""
        os.sync()
        for socket in self.sockets.iterdir():
            words = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"]
            subprocess.run(words, check=False, capture_output=True)
            socket.unlink(missing_ok=True)

    def forget(self) -> None:
        """Become a fresh checkout: a new clone of the repository, and nothing of what earlier deploys kept here."""
        place = self.repository.path
        fresh = place.with_name(f"{place.name}.fresh")
        subprocess.run(["git", "clone", "-q", "--no-local", str(place), str(fresh)], check=True)
        shutil.rmtree(place)
        fresh.rename(place)
        for path in (self.root / ".ferryman").iterdir():
            if path.name not in ("sandbox", "provisioned", "vault", ".gitignore"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def changed_bytes(self) -> int:
        """Return the sizes of the files that the last commit changed."""
        names = self.repository.git("diff", "--name-only", "HEAD~1", "HEAD").splitlines()
        return sum((self.repository.path / name).stat().st_size for name in names)

    def down(self) -> None:
        """Leave nothing behind."""
        if (self.root / "inventories").is_dir():
            self.run("sandbox.down", "--env", "bench")
        shutil.rmtree(self.root, ignore_errors=True)
