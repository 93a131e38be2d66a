"""Another team: has the collection's tarball and a ten-line playbook, and never sees our Python.

Requirements: CI-2.
"""

import http.client
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import blocks

from ferryman import paths
from ferryman.sandbox import __main__ as sandbox
from ferryman.sandbox import hosts
from ferryman.sandbox.ports import free_port

pytestmark = pytest.mark.at_times(journey="two roles alone")
README = paths.CHECKOUT / "README.md"
GUIDE = paths.CHECKOUT / "docs" / "guides" / "one-role.md"
TOLD = {line.split()[-1]: line.split() for block in blocks(GUIDE, "text") for line in block.lines}
"""The guide's commands, by their last words."""
PLAYBOOK = next(block.text for block in blocks(README, "yaml") if "ferryman.ops.certificate" in block.text)
INVENTORY = """\
web:
  hosts:
    server:
      ansible_host: 127.0.0.1
      ansible_port: {port}
      ansible_user: ops
      ansible_ssh_common_args: -F '{files}/ssh_config'
  vars:
    nginx_https_public_port: {public_port}
    certificate_acme_directory: https://acme:14000/dir
    certificate_acme_ca_file: {files}/acme-ca.pem
"""


class Stranger:
    """A directory of its own, with the collection installed and nothing of the checkout in sight."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, program: str, *words: Any, cwd: Path | None = None) -> str:
        hidden = ("ANSIBLE_", "PYTHON", "MOLECULE_", "FERRYMAN_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *words],
            cwd=cwd or self.directory,
            env={**environment, "ANSIBLE_COLLECTIONS_PATH": str(self.directory / "collections"), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    found = Stranger(tmp_path_factory.mktemp("stranger"))
    clone = tmp_path_factory.mktemp("clean") / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-local", paths.CHECKOUT, clone], check=True, timeout=60)
    found.run(*TOLD["build"], cwd=clone)
    (tarball,) = clone.glob("ferryman-ops-*.tar.gz")
    found.run(*TOLD[tarball.name], cwd=clone)
    return found


@pytest.fixture(scope="module")
def server(stranger: Stranger) -> Iterator[int]:
    """A server and an ACME authority; what is yielded is the port by which the server's HTTPS is reached."""
    name, files, port = f"e2e-stranger-{os.getpid()}", stranger.directory / "sandbox", free_port()
    platforms: list[dict[str, Any]] = [
        {"name": "server", "domains": ["test"], "publish": {port: 443}},
        {"name": "acme", "image": "acme", "aliases": ["acme.internal"]},
    ]
    (reached, _) = sandbox.up(name, files, platforms)
    (stranger.directory / "hosts.yml").write_text(INVENTORY.format(port=reached["port"], public_port=port, files=files))
    (stranger.directory / "site.yml").write_text(PLAYBOOK)
    yield port
    hosts.down(name, files)


def get(port: int, path: str, trusted: Path) -> tuple[int, dict[str, str]]:
    """Return status and headers, as a visitor gets them who trusts the authority's root and no other."""
    context = ssl.create_default_context(cafile=str(trusted))
    plain = socket.create_connection(("127.0.0.1", port), timeout=5)
    with plain, context.wrap_socket(plain, server_hostname="shop.test") as channel:
        channel.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(channel)
        answer.begin()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_ten_lines_are_enough_for_a_site_with_a_certificate(stranger: Stranger, server: int) -> None:
    assert len(PLAYBOOK.splitlines()) <= 10
    said = stranger.run(*TOLD["site.yml"])
    assert "failed=0" in said
    status, headers = get(server, "/.well-known/ferryman/health", stranger.directory / "sandbox" / "ca.pem")
    assert status == 200
    assert headers["strict-transport-security"] == "max-age=86400"


def test_the_second_run_changes_nothing(stranger: Stranger, server: int) -> None:
    assert "changed=0" in stranger.run(*TOLD["site.yml"])


def test_a_dry_run_on_the_finished_host_changes_nothing(stranger: Stranger, server: int) -> None:
    assert "changed=0" in stranger.run("ansible-playbook", "--check", "--diff", "-i", "hosts.yml", "site.yml")
