"""The engine's command lines, word by word. Pure: what runs them is `Engine.run` alone."""

import hashlib
import json
from pathlib import Path

from ferryman.sandbox.model import DEFAULT_DEBIAN, Host, Sandbox
from ferryman.sandbox.probing import Engine

# One label names the sandbox, so that whatever an interrupted run left is found again.
SANDBOX = "ferryman.sandbox"
DIRECTORY = "ferryman.directory"
OPTIONS = "ferryman.options"
HOST = "ferryman.host"
IMAGE = "ferryman.image"
# What systemd and its units' own sandboxing need (see docs/decisions about the sandbox).
CAPABILITIES = "SYS_ADMIN,NET_ADMIN,NET_RAW,AUDIT_WRITE"


def options_hash(host: Host) -> str:
    """Return a short hash of all that is fixed when a host is made."""
    told = {
        "image": host.image,
        **({} if host.debian == DEFAULT_DEBIAN else {"debian": host.debian}),  # older hosts keep their hash
        "publish": sorted(host.publish.items()),
        "aliases": host.aliases,
        "sudo": host.sudo,
        "ssh_port": host.ssh_port,
        **({"number": host.number} if host.number else {}),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def publishing(engine: Engine, host: Host) -> list[str]:
    """Return the options that publish a host's ports on the loopback, and nowhere else."""
    words = []
    for outside, inside in sorted(host.publish.items()):
        words += ["--publish", f"127.0.0.1:{outside}:{inside}"]
        # Podman as root forwards in the kernel, which never forwards from ::1; the others have a process that does.
        if engine.rootless or engine.name == "docker":
            words += ["--publish", f"[::1]:{outside}:{inside}"]
    return words


def privileges(engine: Engine) -> list[str]:
    """Return the options that let systemd and its units' sandboxing work."""
    if engine.name == "docker":
        words = ["--privileged", "--cgroupns=private", "--env", "container=docker"]
        for path in ("/run", "/run/lock", "/tmp"):  # noqa: S108  # the container's own
            words += ["--tmpfs", f"{path}:exec,mode=1777" if path == "/tmp" else path]  # noqa: S108  # the same
        return words
    words = ["--systemd=always", "--no-hosts", "--cap-add", CAPABILITIES]
    if engine.selinux:
        words += ["--security-opt", "label=disable"]
    for name, hard in engine.limits:
        words += ["--ulimit", f"{name}={hard}:{hard}"]
    for path in engine.devices:
        words += ["--device", path]
    for name in engine.legacy_cgroups:
        words += ["--volume", f"/sys/fs/cgroup/{name}:/sys/fs/cgroup/{name}:rw"]
    return words


def run(engine: Engine, sandbox: Sandbox, host: Host, image: str, *, address: str = "") -> list[str]:
    """Return the words that make and start a host's container, at an `address` of the network where one is given."""
    words = [
        "run",
        "--detach",
        "--name",
        sandbox.container(host),
        "--hostname",
        host.name,
        "--network",
        sandbox.network,
    ]
    for name in (host.name, *host.aliases):
        words += ["--network-alias", name]
    words += ["--ip", address] if address else []
    words += ["--mac-address", hardware(sandbox, host)]
    # A reboot ends a container; this brings it back, with its addresses and ports.
    words += ["--restart", "always", "--env", f"SANDBOX_SSH_PORT={host.ssh_port}"]
    for key, value in labels(sandbox, host).items():
        words += ["--label", f"{key}={value}"]
    return [*words, *privileges(engine), *publishing(engine, host), image]


def hardware(sandbox: Sandbox, host: Host) -> str:
    """Return the hardware address of a host, of those that anybody may give.

    An engine gives another one at each start and tells nobody, so the other hosts sent what was for a host that had
    been started again to nowhere for up to a minute. No server's address changes by a reboot.
    """
    told = hashlib.sha256(f"{sandbox.network} {host.name}".encode()).digest()
    return bytes([2, *told[:5]]).hex(":")


def labels(sandbox: Sandbox, host: Host) -> dict[str, str]:
    """Return the labels of a host's container."""
    return {
        SANDBOX: sandbox.name,
        DIRECTORY: str(sandbox.directory),
        HOST: host.name,
        OPTIONS: options_hash(host),
    }


def network(sandbox: Sandbox, *, ipv6: bool) -> list[str]:
    """Return the words that make the hosts' network."""
    return ["network", "create", *(["--ipv6"] if ipv6 else []), "--label", f"{SANDBOX}={sandbox.name}", sandbox.network]


def build(engine: Engine, tag: str, base: str, context: Path) -> list[str]:
    """Return the words that build an image from `context` over `base`."""
    words = ["build", "--tag", tag, "--build-arg", f"BASE={base}", "--label", f"{IMAGE}=true"]
    if engine.name == "podman":
        # Build steps in a chroot need no privilege beyond the builder's own, also inside another container.
        words += ["--isolation", "chroot", "--format", "docker", "--pull=never"]
        for name, hard in engine.limits:
            words += ["--ulimit", f"{name}={hard}:{hard}"]
    return [*words, "--file", str(context / "Containerfile"), str(context)]
