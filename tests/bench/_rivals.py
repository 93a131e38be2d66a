"""What Ferryman is compared with: a bare script, a playbook that does nothing, Capistrano."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench._project import Host, Project

INSTALL = ">/dev/null 2>&1 apt-get install -y -qq --no-install-recommends"
NOTHING = """\
- hosts: app
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.command: "true"
      changed_when: false
"""


class Bare:
    """The least that could be called a deploy: check out, send what differs into a new directory, move a link.

    No lock, no health, no service, no way back: a floor, not a rival. It takes exactly what the commit holds, and one
    connection for all that it does to a host. It checks out into memory where it can: by the state of a disk, two
    thousand files take it from 0.2 to 1.4 s, and a floor moves for nobody.
    """

    def __init__(self, project: Project, place: str, *, at_once: bool = True) -> None:
        self.project, self.place = project, f"/home/ops/{place}"
        self.width = len(project.hosts) if at_once else 1
        memory = Path("/dev/shm")
        self.checkout = Path(tempfile.mkdtemp(prefix="ferryman-bench-", dir=memory if memory.is_dir() else None))
        for host in project.hosts:
            host.inside(f"command -v rsync >/dev/null || {INSTALL} rsync")
        self.count = 0
        atexit.register(shutil.rmtree, self.checkout, ignore_errors=True)

    def deploy(self, commit: str) -> float:
        """Deploy a commit to every host and return the seconds that it took."""
        self.count += 1
        tree = self.checkout / str(self.count)
        began = time.monotonic()
        tree.mkdir()
        archive = f"git -C {self.project.repository.path} archive {commit} | tar -x -C {tree}"
        subprocess.run(["sh", "-c", archive], check=True)
        with ThreadPoolExecutor(self.width) as pool:
            list(pool.map(self._send, self.project.hosts))
        with ThreadPoolExecutor(self.width) as pool:
            list(pool.map(self._switch, self.project.hosts))
        seconds = time.monotonic() - began
        shutil.rmtree(tree)
        return seconds

    def _ssh(self, host: Host) -> list[str]:
        socket = self.project.sockets / f"{Path(self.place).name}-{host.name}"
        return [*host.ssh[:-1], "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", f"ControlPath={socket}"]

    def _send(self, host: Host) -> None:
        rsync = ["rsync", "-rlpc", "--mkpath", "--link-dest=../../current/", "-e", " ".join(self._ssh(host)),
                 f"{self.checkout}/{self.count}/", f"{host.name}:{self.place}/releases/{self.count}/"]  # fmt: skip
        subprocess.run(rsync, check=True)

    def _switch(self, host: Host) -> None:
        script = f"cd {self.place} && ln -s releases/{self.count} next && mv -T next current"
        subprocess.run([*self._ssh(host), host.name, script], check=True)


class Nothing:
    """An ansible-playbook with one task that does nothing: what Ansible costs by itself, on an open road."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.playbook = project.root / "nothing.yml"
        self.playbook.write_text(NOTHING)

    def run(self) -> float:
        """Run it and return the seconds that it took."""
        words = ["ansible-playbook", "-i", "inventories/bench", str(self.playbook)]
        began = time.monotonic()
        subprocess.run(words, cwd=self.project.root, env=self.project.environment, check=True, capture_output=True)
        return time.monotonic() - began


class Capistrano:
    """Debian's Capistrano as its own guide sets it up; git is on the host, as it wants it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = project.root / "rivals" / "capistrano"
        if not shutil.which("cap"):
            subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "capistrano"], check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip
        host = project.hosts[0]
        host.inside(f"{INSTALL} git; mkdir -p /srv/cap /srv/source; chown ops: /srv/cap")
        (self.root / "config" / "deploy").mkdir(parents=True)
        ssh = dict(line.split(None, 1) for line in self._settings(host))
        (self.root / "Capfile").write_text(
            'require "capistrano/setup"\nrequire "capistrano/deploy"\nrequire "capistrano/scm/git"\n'
            "install_plugin Capistrano::SCM::Git\n"
        )
        (self.root / "config" / "deploy.rb").write_text(
            'set :application, "bulk"\nset :repo_url, "file:///srv/source/bulk.git"\nset :deploy_to, "/srv/cap"\n'
            'set :branch, ENV["REF"]\nset :keep_releases, 5\n'
        )
        (self.root / "config" / "deploy" / "bench.rb").write_text(
            f'server "{ssh["hostname"]}", user: "ops", port: {ssh["port"]}, roles: %w{{app}}, '
            f'ssh_options: {{keys: ["{project.files}/id_ed25519"], '
            f'user_known_hosts_file: "{project.files}/known_hosts"}}\n'
        )

    def _settings(self, host: Host) -> list[str]:
        words = [*host.ssh[:-1], "-G", host.name]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()

    def deploy(self, commit: str) -> float:
        """Deploy a commit and return the seconds; its repository lies on the host itself: none can be nearer."""
        host = self.project.hosts[0]
        bundle = self.root / "all.bundle"
        self.project.repository.git("bundle", "create", "-q", str(bundle), "main")
        subprocess.run(["podman", "cp", str(bundle), f"{host.container}:/srv/source/all.bundle"], check=True)
        host.inside(
            "cd /srv/source && { test -d bulk.git || git init -q --bare -b main bulk.git; }"
            " && git -c safe.directory='*' -C bulk.git fetch -q ../all.bundle +main:main && chown -R ops: /srv/source"
        )
        words = ["cap", "bench", "deploy", f"REF={commit}"]
        began = time.monotonic()
        done = subprocess.run(words, cwd=self.root, check=False, capture_output=True, text=True)
        seconds = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"cap: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return seconds
