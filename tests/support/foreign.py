"""Applications that nobody here wrote, deployed as their own documentation has them, with a ferryman.yml beside it."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.support.prober import Prober
from tests.support.site import Site

from ferryman.proving import environment

KINTO: dict[str, Any] = {
    "format": 1,
    "name": "records",
    "runtime": {"kind": "python", "version": "3.11"},
    "processes": {
        "web": {
            "kind": "web",
            "command": "pserve kinto.ini http_host={host} http_port={port}",
            "health": {"path": "/v1/__heartbeat__"},
        }
    },
    # Kinto brings its schema along: it can change when its version does, and that stands in the lock.
    "migrations": {"command": "kinto migrate --ini kinto.ini", "paths": ["uv.lock"], "timeout_s": 60},
    "secret_env": ["KINTO_STORAGE_URL", "KINTO_PERMISSION_URL", "KINTO_CACHE_URL", "KINTO_USERID_HMAC_SECRET"],
}
PROJECT = """\
[project]
name = "records"
version = "1.0.0"
requires-python = ">=3.11"
dependencies = ["kinto[postgresql]==26.5.0"]
"""
INI = """\
[server:main]
use = egg:waitress#main
host = %(http_host)s
port = %(http_port)s

[app:main]
use = egg:kinto
kinto.project_name = TEXT
kinto.storage_backend = kinto.core.storage.postgresql
kinto.permission_backend = kinto.core.permission.postgresql
kinto.cache_backend = kinto.core.cache.postgresql
kinto.includes = kinto.plugins.MODULE
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated
"""


def commit(path: Path, files: dict[str, str]) -> str:
    """Commit files to the repository at `path` and return the commit's id."""
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
        (path / name).chmod(0o755 if text.startswith("#!") else 0o644)
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "--quiet", str(path)], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "change"], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def new(repository: Path, files: dict[str, str], locks: str) -> None:
    """Begin a repository, and have its lock written as a user would."""
    shutil.rmtree(repository, ignore_errors=True)  # a host that is kept from run to run keeps them, too
    commit(repository, files)
    done = subprocess.run(
        locks.split(), cwd=repository, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Foreign:
    """One of them where it is deployed: its repository, how a version of it is written, and how a client tells it."""

    site: Site
    file: str
    template: str
    modules: tuple[str, str]
    """What is there to be loaded, and what is not."""
    path: str
    told: Any

    def version(self, text: str, *, good: bool = True) -> None:
        """Commit a version that shows `text`; one that is not good asks for a module that nobody has."""
        written = self.template.replace("TEXT", text).replace("MODULE", self.modules[0 if good else 1])
        commit(self.site.root / self.site.app, {self.file: written})

    def deploy(self, text: str) -> str:
        """Deploy a good version."""
        self.version(text)
        answer = self.site.run("deploy", "--app", self.site.app, timeout_s=300)
        assert answer.code == 0, str(answer)
        return str(answer.said["release"])

    def prober(self) -> Prober:
        """A client that counts answers by the text that the version shows."""
        return Prober(self.site, path=self.path, told=self.told)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask as a client does, and return status and what the JSON or the text says."""
        connection = self.site.connect(timeout_s=10)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(
                method, path, text, {"Content-Type": "application/json", "Connection": "close", **headers}
            )
            reply = connection.getresponse()
            said = reply.read().decode()
        finally:
            connection.close()
        return reply.status, json.loads(said) if said.startswith(("{", "[")) else said

    def exposure(self) -> float:
        """Return how exposed its web process is, from 0 to 10."""
        unit = f"{self.site.app}-web@{self.site.arbiter()['shift']['stable']}-1.service"
        return float(re.findall(r"\d+\.\d", self.site.ssh(f"systemd-analyze security --no-pager {unit} | tail -1"))[0])


def kinto_in(project: Path, *, several: bool = False) -> dict[str, Any]:
    """Make Kinto's repository in a project, with its description alone; return what an inventory says of it.

    Its heartbeat writes and removes one key of the cache, which `several` processes share: asked at the same time they
    see each other's. Those are asked for what it has for balancers.
    """
    web = {**KINTO["processes"]["web"], **({"health": {"path": "/v1/__lbheartbeat__"}} if several else {})}
    described = {**KINTO, "processes": {"web": web}}
    new(project / "records", {"ferryman.yml": yaml.safe_dump(described), "pyproject.toml": PROJECT}, "uv lock")
    url = "postgresql+psycopg2://records:planted@127.0.0.1/records"
    names = ("KINTO_STORAGE_URL", "KINTO_PERMISSION_URL", "KINTO_CACHE_URL")
    return {
        "repository": "records",
        "domains": ["records.localhost"],
        "database": {"name": "records", "owner": "records", "password": "planted"},
        "secrets": {**dict.fromkeys(names, url), "KINTO_USERID_HMAC_SECRET": "planted hmac"},
    }


def kinto(site: Site) -> Foreign:
    """Return Kinto where it is deployed, as `records`."""

    def told(body: bytes) -> str:
        return str(json.loads(body)["project_name"])

    return Foreign(site, "kinto.ini", INI, ("default_bucket", "no_such"), "/v1/", told)
