"""How hosts are reached: user `ops` with a key, host keys that are really checked, sudo with or without a password."""

import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ferryman.errors import Stop
from ferryman.sandbox import machine
from ferryman.sandbox.model import Host, Sandbox
from ferryman.sandbox.probing import Engine

USER = "ops"
KNOWN_HOSTS = "known_hosts"
SSH_CONFIG = "ssh_config"
PASSWORD = "sudo-password"  # noqa: S105  # a file's name

SETUP = Path(__file__).parent / "data" / "hosts" / "setup.sh"


def ensure_key(path: Path) -> None:
    """Make the sandbox's own key pair, if it is not there whole."""
    if path.exists() and path.with_suffix(".pub").exists():
        return
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sandbox", "-f", str(path)], check=True)


def _password(sandbox: Sandbox) -> str:
    """Return the password of `ops` in this sandbox, made on first use; a file of its owner's alone."""
    path = sandbox.directory / PASSWORD
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(16))
    return path.read_text()


def setup_script(host: Host, public_key: str, password: str, pip_conf: str) -> str:
    """Return the shell script that opens a host to `ops` and prints its host key; it may run again and again."""
    free = host.sudo == "nopasswd"
    told = {
        "public_key": public_key.strip(),
        "sudo_rule": f"{USER} ALL=(ALL:ALL) {'NOPASSWD: ' if free else ''}ALL",
        "login": "" if free else f"{USER}:{password}",
        "pip_conf": pip_conf,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in told.items()) + SETUP.read_text()


def setup(engine: Engine, sandbox: Sandbox, host: Host) -> str:
    """Open a host to `ops`; return its SSH host key, read from inside and not over the network."""
    password = _password(sandbox) if host.sudo == "password" else ""
    script = setup_script(host, sandbox.key.with_suffix(".pub").read_text(), password, machine.host_pip_conf())
    # By standard input: nothing of it shows in the list of processes.
    said = engine.run("exec", "--interactive", sandbox.container(host), "sh", "-s", stdin=script, timeout=120)
    key = " ".join(said.split()[:2])
    if not key.startswith("ssh-ed25519 "):
        raise Stop(f"{host.name} did not say its SSH host key, but {said.strip()!r}")
    return key


def known_hosts(sandbox: Sandbox, keys: Mapping[str, str]) -> str:
    """Return the known_hosts file: each host under its own name and port, and as it is published."""
    lines = []
    for host in sandbox.hosts:
        places = [f"[{name}]:{host.ssh_port}" for name in (host.name, *host.aliases)]
        if host.published_ssh:
            places = [f"[127.0.0.1]:{host.published_ssh}", f"[localhost]:{host.published_ssh}", *places]
        lines.append(f"{','.join(places)} {keys[host.name]}\n")
    return "".join(lines)


def ssh_config(sandbox: Sandbox) -> str:
    """Return the SSH client's settings: `ssh -F .../ssh_config HOST`, and the same for Ansible and its jump hosts."""
    blocks = []
    for host in sandbox.hosts:
        block = [f"Host {host.name}"]
        if host.published_ssh:
            block += ["HostName 127.0.0.1", f"Port {host.published_ssh}"]
        else:
            block += [f"Port {host.ssh_port}"]
        blocks.append("\n  ".join(block))
    common = [
        "Host *",
        f"User {USER}",
        f'IdentityFile "{sandbox.key}"',
        # Keys of an agent would use up the tries that a server allows.
        "IdentitiesOnly yes",
        f'UserKnownHostsFile "{sandbox.directory / KNOWN_HOSTS}"',
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "HostKeyAlgorithms ssh-ed25519",
    ]
    return "\n".join([*blocks, "\n  ".join(common), ""])


def write(sandbox: Sandbox, keys: Mapping[str, str]) -> None:
    """Write known_hosts and ssh_config into the sandbox's directory."""
    (sandbox.directory / KNOWN_HOSTS).write_text(known_hosts(sandbox, keys))
    (sandbox.directory / SSH_CONFIG).write_text(ssh_config(sandbox))


def wait(port: int, name: str, seconds: float = 20) -> None:
    """Wait until an SSH server greets on this port of the loopback."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise Stop(f"{name} has booted, yet no SSH server greets on 127.0.0.1:{port}", hint="sandbox.down, then up again")
