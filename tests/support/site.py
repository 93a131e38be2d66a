"""A whole project for tests that deploy: real hosts of its own, with `tiny` on them, driven by the command line.

    site.deploy(site.repository.commit(good("v2")))     # an Answer: exit code, the JSON, what was said meanwhile
    with Prober(site) as prober: ...                    # a client that never stops asking

Settings of a test go into the environment's own files: `with site.settings(release_confirm_s=5)`.
"""

import http.client
import json
import os
import shlex
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.support import histories
from tests.support.driving import READY_S, Answer, Driver

from ferryman.paths import CHECKOUT
from ferryman.sandbox import command, hosts, inventory
from ferryman.sandbox.model import DEFAULT_DEBIAN, Sandbox
from ferryman.sandbox.ports import free_port
from ferryman.sandbox.probing import probe

ENV = "dev"
HOST = "web1"
PREFIX = "faults"
PYTHONS = {12: "3.11", 13: "3.13"}
"""What each Debian brings."""
SHORT = {
    "release_soak_s": 0.3,
    "release_watch_s": 0.3,
    "release_confirm_s": 15,
    "release_drain_s": 0,
    "release_start_timeout_s": 15,
}
"""Times that keep tests short where they are not about them."""


@dataclass
class Site:
    """A project with its sandbox; `repository` is the application's history."""

    root: Path
    name: str
    repository: histories.Repository
    ports: dict[str, int]
    app: str = "tiny"
    extra: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    """What the command line runs on."""
    host: str = HOST
    """The host that keeps lock and ledger; of one host there is no other."""

    # The command line

    def begin(self, *words: str, wrap: tuple[str, ...] = (), **environment: str) -> Driver:
        """Start a command in the project's directory; `wrap` goes before it."""
        argv = [*wrap, self.python, "-m", "ferryman", *words]
        return Driver(argv, self.root, {**os.environ, "NO_COLOR": "1", **self.extra, **environment})

    def run(self, *words: str, timeout_s: float = 120, wrap: tuple[str, ...] = (), **environment: str) -> Answer:
        """Run a command of this environment with --json."""
        return self.begin(*words, "--env", ENV, "--json", wrap=wrap, **environment).wait(timeout_s)

    def deploy(self, ref: str, *words: str, **more: Any) -> Answer:
        """Deploy a commit."""
        return self.run("deploy", "--app", self.app, "--ref", ref, *words, **more)

    def rollback(self, *words: str, **more: Any) -> Answer:
        """Go back."""
        return self.run("rollback", "--app", self.app, *words, **more)

    def playbook(self, name: str, *words: str) -> Answer:
        """Run a playbook of the collection as a stranger does: no command line, and as talkative as Ansible can be."""
        programs = Path(sys.executable).parent
        more = {
            "PATH": f"{programs}:{os.environ['PATH']}", "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible/collections"), "ANSIBLE_NOCOLOR": "1",
        }  # fmt: skip
        argv = ["ansible-playbook", "-vvvv", "--diff", "-i", f"inventories/{ENV}", f"ferryman.ops.{name}"]
        argv += ["-e", f"release_app={self.app}", *words]
        return Driver(argv, self.root, {**os.environ, **self.extra, **more}).wait()

    def status(self) -> dict[str, Any]:
        """Return what `status` says."""
        answer = self.run("status", "--app", self.app)
        assert answer.said, str(answer)
        return answer.said

    def arbiter(self) -> dict[str, Any]:
        """Return what `status` says of the host that keeps lock and ledger."""
        told = self.status()
        assert "hosts" in told, told
        return next(seen for seen in told["hosts"].values() if "arbiter" in seen["roles"])

    def good(self, text: str) -> str:
        """Deploy a new good version that shows `text`, and return its release."""
        answer = self.deploy(self.repository.commit(histories.good(text)))
        assert answer.code == 0, str(answer)
        assert answer.said["status"] == "live", str(answer)
        return str(answer.said["release"])

    # Its files

    @contextmanager
    def settings(self, **values: Any) -> Iterator[None]:
        """Give the environment other values for a while."""
        path = self.root / "inventories" / ENV / "group_vars" / "all" / "zz-test.yml"
        before = path.read_text() if path.exists() else "{}"
        path.write_text(yaml.safe_dump({**yaml.safe_load(before), **values}))
        try:
            yield
        finally:
            path.write_text(before)

    @contextmanager
    def inventory(self, **values: Any) -> Iterator[None]:
        """Say more of the application in the inventory for a while."""
        path = self.root / "inventories" / ENV / "group_vars" / "all" / "apps.yml"
        before = path.read_text()
        told = yaml.safe_load(before)
        told["apps"][self.app].update(values)
        path.write_text(yaml.safe_dump(told))
        try:
            yield
        finally:
            path.write_text(before)

    # Its host

    @property
    def container(self) -> str:
        """The container that is the host."""
        return f"{self.name}-{self.host}"

    def reached(self, script: str, *, host: str = "") -> list[str]:
        """Return the command that runs a script as root on the host."""
        argv = ["ssh", "-F", str(self.root / ".ferryman" / "sandbox" / self.name / "ssh_config"), "-o", "BatchMode=yes"]
        return [*argv, host or self.host, f"sudo bash -c {shlex.quote(script)}"]

    def ssh(self, script: str, *, host: str = "", check: bool = True, timeout_s: float = 60, given: str = "") -> str:
        """Run a script as root on the host, with `given` on its standard input, and return what it printed."""
        done = subprocess.run(
            self.reached(script, host=host), check=False, capture_output=True, text=True, timeout=timeout_s, input=given
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def reboot(self, timeout_s: float = 30) -> None:
        """Start the host again as a power cut would: at once, and nothing gets the time to tidy up."""
        self.cut(self.host)
        self.back(self.host, timeout_s)

    def cut(self, host: str) -> None:
        """Take a host's power away."""
        probe().run("kill", "--signal", "KILL", f"{self.name}-{host}")

    def back(self, host: str, timeout_s: float = 30) -> None:
        """Give a host its power back, and wait until it is up."""
        engine, container = probe(), f"{self.name}-{host}"
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            # Whether the engine brings a killed host back by itself differs; one that is there is not started twice.
            engine.run("start", container, check=False)
            up = ("exec", container, "systemctl", "is-system-running", "--wait")
            if engine.run(*up, check=False).strip() in ("running", "degraded"):
                return
            time.sleep(0.2)
        raise AssertionError(f"{container} did not come back")

    @property
    def journal_path(self) -> str:
        """Where the host writes its journal."""
        return f"/var/lib/ferryman/sites/{self.app}/journal.jsonl"

    def journal(self) -> list[dict[str, Any]]:
        """Return the host's journal."""
        text = self.ssh(f"cat {self.journal_path}")
        return [json.loads(line) for line in text.splitlines()]

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger."""
        text = self.ssh(f"cat /var/lib/ferryman/sites/{self.app}/arbiter/ledger.jsonl")
        return [json.loads(line) for line in text.splitlines()]

    # Its clients

    @property
    def domain(self) -> str:
        """The name that it is served under."""
        return f"{self.app}.localhost"

    def tls(self) -> ssl.SSLContext:
        """Return what a client needs to believe the site's certificate."""
        ca = self.root / ".ferryman" / "sandbox" / self.name / "ca.pem"
        return ssl.create_default_context(cafile=str(ca))

    @property
    def port(self) -> int:
        """The published port that the next client takes."""
        return self.ports["https"]

    def connect(self, timeout_s: float = 5) -> http.client.HTTPConnection:
        """Return a new connection through the published port, with the site's name in TLS."""
        port = self.port
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        connection = http.client.HTTPConnection(f"{self.domain}:{port}")
        connection.sock = self.tls().wrap_socket(raw, server_hostname=self.domain)
        return connection

    def get(self, path: str = "/version", timeout_s: float = 5) -> tuple[int, str]:
        """Ask once, on a new connection."""
        connection = self.connect(timeout_s)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def version(self) -> dict[str, Any]:
        """Return what the application says of itself to clients."""
        status, text = self.get()
        assert status == 200, text
        return dict(json.loads(text))

    def served(self) -> str:
        """Return the release that answers clients now."""
        return str(self.version()["release"])


# Making and removing


def _hosts(ports: dict[str, int], debian: int) -> dict[str, Any]:
    web = {
        "ansible_host": "127.0.0.1",
        "ansible_port": ports["ssh"],
        "sandbox_image": "base",
        "sandbox_debian": debian,
        "sandbox_publish": {ports["ssh"]: ports["ssh"], ports["http"]: 80, ports["https"]: 443},
        "sandbox_domains": ["localhost"],
    }
    acme = {
        "ansible_host": "127.0.0.1",
        "ansible_port": ports["acme"],
        "sandbox_image": "acme",
        "sandbox_publish": {ports["acme"]: ports["acme"]},
        "sandbox_aliases": ["acme.internal"],
    }
    groups = {"entry": {HOST: web}, "app": {HOST: {}}, "db": {}, "acme": {"acme1": acme}}
    return {"all": {"children": {group: {"hosts": members} for group, members in groups.items()}}}


def lay_out(root: Path, name: str, *, app: str = "tiny", debian: int = DEFAULT_DEBIAN) -> Site:
    """Write a project to `root`: inventory, settings, and a repository with one good commit."""
    ports = {what: free_port() for what in ("ssh", "http", "https", "acme")}
    directory = root / "inventories" / ENV
    variables = directory / "group_vars" / "all"
    variables.mkdir(parents=True)
    (directory / "hosts.yml").write_text(yaml.safe_dump(_hosts(ports, debian)))
    values: dict[str, dict[str, Any]] = {
        "environment": {"environment_name": ENV},
        # Not called sandbox.yml: to Ferryman these are servers of one's own, provisioned only when the test says so.
        "reach": {
            "sandbox_files": "{{ inventory_dir }}/../../.ferryman/sandbox/" + name,
            "ansible_user": "ops",
            "ansible_ssh_common_args": "-F '{{ sandbox_files }}/ssh_config'",
        },
        "nginx": {"nginx_https_public_port": ports["https"]},
        "certificate": {
            "certificate_acme_directory": "https://acme.internal:14000/dir",
            "certificate_acme_ca_file": "{{ sandbox_files }}/acme-ca.pem",
            "certificate_terms_agreed": True,
        },
        "apps": {"apps": {app: {"repository": app, "domains": [f"{app}.localhost"]}}},
        "release": {**SHORT, "release_ca": "{{ sandbox_files }}/ca.pem"},
    }
    for file, content in values.items():
        (variables / f"{file}.yml").write_text(yaml.safe_dump(content))
    repository = histories.tiny(root / app, histories.good("v1"), name=app, python=PYTHONS[debian])
    return Site(root, name, repository, ports, app)


def found(root: Path, *, app: str = "tiny") -> Site:
    """Return a project that an earlier run laid out."""
    told = yaml.safe_load((root / "inventories" / ENV / "group_vars" / "all" / "reach.yml").read_text())
    name = str(told["sandbox_files"]).rpartition("/")[2]
    told = yaml.safe_load((root / "inventories" / ENV / "hosts.yml").read_text())["all"]["children"]
    publish = told["entry"]["hosts"][HOST]["sandbox_publish"]
    ports = {
        what: next(out for out, inside in publish.items() if inside == port)
        for what, port in (("http", 80), ("https", 443))
    }
    repository = histories.Repository(root / app, "tiny")
    repository.commits += repository.git("rev-list", "--reverse", "HEAD").split()
    return Site(root, name, repository, ports, app)


def up(site: Site) -> None:
    """Bring hosts up, provision them, and deploy the first version."""
    tree = yaml.safe_load((site.root / "inventories" / ENV / "hosts.yml").read_text())
    directory = site.root / ".ferryman" / "sandbox" / site.name
    hosts.up(Sandbox(site.name, directory, tuple(inventory.from_tree(tree))), lambda line: print(line, file=sys.stderr))
    answer = site.run("provision", timeout_s=READY_S)
    assert answer.code == 0, str(answer)
    answer = site.deploy(site.repository.commits[-1])
    assert answer.code == 0, str(answer)


def is_whole(site: Site) -> bool:
    """Say whether a release is live and well, and nobody is at work."""
    state = f"/var/lib/ferryman/sites/{site.app}"
    quiet = f"grep -q '\"held\": false' {state}/arbiter/lock.json && test ! -e /var/lib/ferryman/pending/{site.app}"
    with suppress(OSError):
        return site.ssh(f"{quiet} && echo quiet", check=False) == "quiet" and site.get()[0] == 200
    return False


def mend(site: Site) -> None:
    """Bring the site back to a good release after a test that failed in the middle."""
    site.run("unlock", "--app", site.app, "--yes")
    site.good("mended")


def down(site: Site) -> None:
    """Remove its hosts, with all that is on them."""
    hosts.down(site.name, site.root / ".ferryman" / "sandbox" / site.name)


def leftovers(name: str) -> list[str]:
    """Return whatever the engine still has of a sandbox."""
    engine = probe()
    label = f"label={command.SANDBOX}={name}"
    return [
        *engine.run("ps", "--all", "--quiet", "--filter", label).split(),
        *engine.run("network", "ls", "--quiet", "--filter", label).split(),
    ]


def sweep(prefix: str = PREFIX) -> None:
    """Remove the hosts of test runs that were killed: theirs is the process id in the name, and it is gone."""
    engine = probe()
    ids = engine.run("ps", "--all", "--quiet", "--filter", f"label={command.SANDBOX}").split()
    told = json.loads(engine.run("inspect", *ids, check=False) or "[]") if ids else []
    every = {
        (labels[command.SANDBOX], labels[command.DIRECTORY]) for labels in (one["Config"]["Labels"] for one in told)
    }
    for name, directory in (each for each in every if each[0].startswith(f"{prefix}-")):
        owner = name.rsplit("-", 1)[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            hosts.down(name, Path(directory))
