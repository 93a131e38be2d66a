"""The guide to a first server, followed to the letter: from a server that knows root's key alone to a service.

Requirements: REL-1, SEC-6.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import histories
from tests.support import site as sites
from tests.support.newcomer import Newcomer, clone
from tests.support.pages import blocks

from ferryman import paths
from ferryman.sandbox import __main__ as sandbox
from ferryman.sandbox import hosts
from ferryman.sandbox.ports import free_port
from ferryman.sandbox.probing import probe

pytestmark = pytest.mark.at_times(journey="a first server by its guide")
PAGE = paths.CHECKOUT / "docs" / "guides" / "first-server.md"
NAME = "e2e-first"
# As a provider hands a server over: root's key, and nobody else; no lists of packages.
BARE = """
mkdir -p /root/.ssh && cp /home/ops/.ssh/authorized_keys /root/.ssh/
sed -i 's/PermitRootLogin no/PermitRootLogin prohibit-password/' /etc/ssh/sshd_config.d/10-sandbox.conf
systemctl reload ssh && rm /etc/sudoers.d/ops && userdel --remove ops
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
"""


@dataclass
class Server:
    """The reader with the guide's files in a clone, and the server that they mean."""

    reader: Newcomer
    files: Path
    https: int
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What commands of the guide answered, by their name."""

    @property
    def variables(self) -> Path:
        """Where the guide's files are."""
        return self.reader.root / "inventories" / "prod" / "group_vars" / "all"

    def log_in(self, user: str) -> str:
        """Try to log in, and return what came of it."""
        argv: list[Any] = ["ssh", "-F", self.files / "ssh_config", "-o", "BatchMode=yes", f"{user}@server", "id -un"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        return done.stdout.strip() or done.stderr.strip()

    def replace(self, name: str, before: str, after: str) -> None:
        """Edit a file of the inventory, as the guide says."""
        path = self.reader.root / "inventories" / "prod" / name
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("first")
    name, files, https = f"{NAME}-{os.getpid()}", place / "sandbox", free_port()
    platforms: list[dict[str, Any]] = [
        {"name": "server", "domains": ["localhost"], "publish": {https: 443}},
        {"name": "acme", "image": "acme", "aliases": ["acme.internal"]},
    ]
    sites.sweep(NAME)
    clone(place / "ferryman")
    histories.tiny(place / "shop", histories.good("the first", secrets=["SESSION_KEY"]), name="shop")
    try:
        (reached, _) = sandbox.up(name, files, platforms)
        probe().run("exec", f"{name}-server", "sh", "-ec", BARE)
        found = Server(Newcomer(place / "ferryman", name, {}), files, https)
        copy_files(found, port=reached["port"])
        yield found
    finally:
        hosts.down(name, files)


def copy_files(server: Server, *, port: int) -> None:
    """Write the guide's files, with this server's address, and what only a sandbox needs beside them."""
    key = next(server.files.glob("*.pub")).read_text().strip()
    ours = {"192.0.2.10": "127.0.0.1", "ssh-ed25519 AAAA... you@laptop": key, "shop.example.org": "shop.localhost"}
    for block in blocks(PAGE, "yaml"):
        text = block.text
        for theirs, mine in ours.items():
            text = text.replace(theirs, mine)
        (server.reader.root / block.file).write_text(text)
    here = {
        "ansible_port": port,
        "ansible_ssh_common_args": f"-F '{server.files}/ssh_config'",
        "certificate_acme_directory": "https://acme.internal:14000/dir",
        "certificate_acme_ca_file": f"{server.files}/acme-ca.pem",
        "nginx_https_public_port": server.https,
        "host_bans_never": ["10.0.0.0/8"],
    }
    (server.variables / "zz-sandbox.yml").write_text(yaml.safe_dump(here))


def test_the_guide_leads_from_roots_key_to_a_service(server: Server) -> None:
    secrets, provision, again, deploy = blocks(PAGE, "sh")
    assert server.log_in("root") == "root"
    for line in secrets.lines:
        server.reader.type(line)
    key = server.reader.root / ".ferryman" / "vault" / "prod.key"
    made = key.read_text()
    for line in secrets.lines[:-1]:  # once more: the vault's key is the one that its secrets need
        server.reader.type(line)
    assert key.read_text() == made
    for line in ["./invoke plan --env prod", *provision.lines]:
        server.said[line.split()[1]] = server.reader.type(f"{line} --json").said
    assert (server.log_in("root"), server.log_in("ops")) == ("root", "ops")
    server.replace("hosts.yml", "ansible_user: root", "ansible_user: ops")
    server.replace("group_vars/all/host.yml", "host_ssh_root_login: true", "")
    for line in again.lines:
        server.reader.type(line)
    assert "Permission denied (publickey)" in server.log_in("root")
    for line in deploy.lines:
        server.said[line.split()[1]] = server.reader.type(f"{line} --json").said
    url = f"https://shop.localhost:{server.https}/version"
    assert '"release"' in server.reader.type(f"curl -sS --cacert {server.files}/ca.pem {url}").out


def test_what_a_plan_announced_for_the_bare_server_is_what_was_then_done(server: Server) -> None:
    plan, provisioned, deployed = (server.said[name] for name in ("plan", "provision", "deploy"))
    assert [host["provisioned"] for host in plan["hosts"]] == [False]
    announced, changed = (
        [(each["host"], each["role"], each["task"]) for each in told["changes"]]
        for told in (plan["provision"], provisioned)
    )
    assert announced == changed
    place = f"/srv/shop/releases/{deployed['release']}"
    words = ("exec", f"{server.reader.name}-server", "cat", f"{place}/release.json")
    made = json.loads(probe().run(*words))
    same = ("commit", "digest", "configuration", "environment_key")
    assert {key: plan["wanted"][key] for key in same} == {key: made[key] for key in same}
    assert plan["secrets"] == {"SESSION_KEY": "new"}
    assert [(each["step"], each["hosts"]) for each in plan["steps"]] == [
        (step["step"], [step["host"]]) for step in deployed["steps"]
    ]


def test_provisioning_again_changes_nothing(server: Server) -> None:
    assert server.reader.type("./invoke provision --env prod --json").said["changed"] is False


def test_the_vault_can_be_committed_and_its_key_cannot(server: Server) -> None:
    vault = (server.variables / "vault.yml").read_text()
    assert vault.startswith("vault_shop_session_key: !vault")
    ignored = server.reader.type("git check-ignore .ferryman/vault/prod.key inventories/prod/group_vars/all/vault.yml")
    assert ignored.out.split() == [".ferryman/vault/prod.key"]


def test_a_secret_that_is_new_in_the_files_keeps_nobody_from_a_look_at_what_is_live(server: Server) -> None:
    path = server.variables / "apps.yml"
    before = path.read_text()
    path.write_text(before.replace("secrets: {", 'secrets: {MAIL_KEY: "{{ vault_shop_mail_key }}", '))
    try:
        assert "vault_shop_mail_key" in path.read_text()
        seen = server.reader.type("./invoke status --env prod --json").said
        assert any(host.get("live") for host in seen["hosts"].values())
        assert server.reader.type("./invoke health --env prod --json").said["good"] is True
        assert server.reader.type("./invoke logs --env prod --lines 1 --json").said["lines"]
    finally:
        path.write_text(before)
