"""The sandbox itself, on real containers: reached as servers are reached, and gone without a trace.

Requirements: DOC-1.
"""

import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.pages import blocks
from tests.support.site import leftovers

from ferryman import paths, reach, variables
from ferryman.environments import Environment
from ferryman.errors import RETURNED, Stop
from ferryman.sandbox import hosts, inventory
from ferryman.sandbox.model import Sandbox
from ferryman.sandbox.ports import free_port
from ferryman.sandbox.probing import probe

PAGE = paths.CHECKOUT / "docs" / "guides" / "jump-host.md"
QUIET = {"ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}

# The application's host has no port on this machine: the way in leads through `jump`, and sudo asks for a password.
HOSTS = """\
all:
  vars:
    ansible_user: ops
    ansible_become_password: "{{{{ lookup('ansible.builtin.file', '{files}/sudo-password') }}}}"
    ansible_ssh_common_args: "-F '{files}/ssh_config'"
  children:
    app:
      hosts:
        inside:
          ansible_port: 2222
          ansible_ssh_common_args: "-F '{files}/ssh_config' {through}"
          sandbox_image: base
          sandbox_sudo: password
    way_in:
      hosts:
        jump:
          ansible_host: 127.0.0.1
          ansible_port: {port}
          sandbox_image: base
          sandbox_publish: {{{port}: 2222}}
"""


def say(line: str) -> None:
    print(line)


def told_by_the_guide() -> dict[str, str]:
    """The variables in the guide's inventory."""
    (block,) = blocks(PAGE, "yaml")
    return dict(yaml.safe_load(block.text)["all"]["vars"])


def described(directory: Path, text: str, name: str) -> Path:
    variables = directory / "group_vars" / "all"
    variables.mkdir(parents=True)
    (directory / "hosts.yml").write_text(text)
    (variables / "sandbox.yml").write_text(f"sandbox_name: {name}\n")
    return directory


def ansible(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv: list[Any] = [Path(sys.executable).with_name("ansible"), "-i", directory, *words]
    return subprocess.run(argv, check=False, capture_output=True, text=True, env=os.environ | QUIET, timeout=120)


@pytest.fixture(scope="module")
def jumped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sandbox]]:
    base = tmp_path_factory.mktemp("jump")
    name = f"e2e-jump-{os.getpid()}"
    files = base / "state" / "sandbox" / name
    through = told_by_the_guide()["ansible_ssh_common_args"].replace("ops@jump.example.org", "jump")
    directory = described(base / "inventory", HOSTS.format(files=files, port=free_port(), through=through), name)
    sandbox = inventory.read(directory, base / "state")
    hosts.up(sandbox, say)
    yield directory, sandbox
    assert hosts.down(name, sandbox.directory)
    assert leftovers(name) == []
    assert not sandbox.directory.exists()


def test_a_host_behind_a_jump_host_is_reached_and_sudo_wants_its_password(jumped: tuple[Path, Sandbox]) -> None:
    directory, _ = jumped
    done = ansible(directory, "inside", "--become", "-m", "ansible.builtin.command", "-a", "id -un")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "root" in done.stdout
    refused = ansible(directory, "inside", "--become", "-m", "ansible.builtin.ping", "-e", "ansible_become_password=no")
    assert refused.returncode != 0


def test_what_people_are_told_to_type_reaches_a_host_behind_a_jump_host(jumped: tuple[Path, Sandbox]) -> None:
    directory, _ = jumped
    told = reach.command(variables.read(Environment(directory.name, directory)), "inside")
    done = subprocess.run(
        [*shlex.split(told), "hostname"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "inside"), f"{told}\n{done.stderr}"


def test_root_and_passwords_do_not_get_in(jumped: tuple[Path, Sandbox]) -> None:
    _, sandbox = jumped
    for user in ("root@jump", "ops@jump"):
        key = ["-o", "PubkeyAuthentication=no"] if user.startswith("ops") else []
        argv: list[Any] = ["ssh", "-F", sandbox.directory / "ssh_config", "-o", "BatchMode=yes", *key, user, "true"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
        assert "Permission denied (publickey)" in done.stderr


def test_a_host_that_is_not_the_one_it_was_is_refused(jumped: tuple[Path, Sandbox], tmp_path: Path) -> None:
    _, sandbox = jumped
    wrong = (sandbox.directory / "known_hosts").read_text().splitlines()
    lines = [
        f"{line.split()[0]} {other.split(maxsplit=1)[1]}" for line, other in zip(wrong, reversed(wrong), strict=True)
    ]
    (tmp_path / "known").write_text("\n".join(lines) + "\n")
    argv: list[Any] = [
        "ssh",
        "-F",
        sandbox.directory / "ssh_config",
        "-o",
        f"UserKnownHostsFile={tmp_path / 'known'}",
        "jump",
        "true",
    ]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
    assert "Host key verification failed" in done.stderr


def test_hosts_are_whole_machines(jumped: tuple[Path, Sandbox]) -> None:
    directory, _ = jumped
    probes = {
        "booted": "systemctl is-system-running",
        "memory is bounded": "! systemd-run -q --wait -p MemoryMax=20M python3 -c 'x = bytearray(200 << 20)'",
        "credentials arrive": "echo x > /root/c;"
        " systemd-run -q --wait -p LoadCredential=c:/root/c test -s '${CREDENTIALS_DIRECTORY}/c'",
        "the system is read-only": "! systemd-run -q --wait -p ProtectSystem=strict touch /usr/x",
        "devices are hidden": "! systemd-run -q --wait -p PrivateDevices=yes test -e /dev/kmsg",
        "net sysctls are its own": "sysctl -qw net.ipv4.tcp_syncookies=1",
        "hosts can be replaced": "cp /etc/hosts /etc/hosts.new && mv /etc/hosts.new /etc/hosts",
        "names are known": "getent hosts jump inside",
    }
    script = " && ".join(f"{{ {probe}; }} && echo '{what}: yes'" for what, probe in probes.items())
    done = ansible(directory, "inside", "--become", "-m", "ansible.builtin.shell", "-a", script)
    missing = [what for what in probes if f"{what}: yes" not in done.stdout]
    assert not missing, done.stdout + done.stderr


def test_up_again_does_nothing_and_a_reboot_comes_back_where_it_was(jumped: tuple[Path, Sandbox]) -> None:
    directory, sandbox = jumped
    assert hosts.up(sandbox, say) is False
    before = {row["host"]: row["addresses"] for row in hosts.rows(sandbox)}
    started = hosts.found(probe(), sandbox.name)["jump"]["State"]["StartedAt"]
    ansible(directory, "jump", "--become", "-m", "ansible.builtin.command", "-a", "systemctl --no-block reboot")
    deadline = time.monotonic() + 30
    while hosts.found(probe(), sandbox.name)["jump"]["State"]["StartedAt"] == started:
        assert time.monotonic() < deadline, "the host did not come back"
        time.sleep(0.2)
    assert hosts.up(sandbox, say) is True
    assert {row["host"]: row["addresses"] for row in hosts.rows(sandbox)} == before
    assert ansible(directory, "inside", "-m", "ansible.builtin.ping").returncode == 0


def test_a_sandbox_of_another_checkout_and_changed_options_are_refused(jumped: tuple[Path, Sandbox]) -> None:
    _, sandbox = jumped
    foreign = Sandbox(sandbox.name, sandbox.directory.with_name("other"), sandbox.hosts)
    with pytest.raises(Stop, match="made for"):
        hosts.up(foreign, say)
    with pytest.raises(Stop, match="made for"):
        hosts.down(sandbox.name, foreign.directory)
    fewer = Sandbox(sandbox.name, sandbox.directory, sandbox.hosts[:1])
    with pytest.raises(Stop, match="names no more"):
        hosts.up(fewer, say)


def call(verb: str, name: str, directory: Path) -> list[Any]:
    return [sys.executable, "-m", "ferryman.sandbox", verb, "--name", name, "--directory", directory]


def test_what_an_up_could_not_finish_does_not_end_as_if_nothing_had_been_touched(tmp_path: Path) -> None:
    """A port that somebody has, and Ctrl-C: hosts are there by then, and the same command goes on from there."""
    name, port = f"e2e-taken-{os.getpid()}", free_port()
    directory = described(tmp_path / "inventory", HOSTS.format(files=tmp_path, port=port, through=""), name)
    sandbox = inventory.read(directory, tmp_path / "state")

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    try:
        with socket.create_server(("127.0.0.1", port)), pytest.raises(Stop, match=f"ports {port} is taken") as taken:
            hosts.up(sandbox, say)
        assert leftovers(name), "the other host is there"
        with pytest.raises(Stop, match="interrupted") as stopped:
            hosts.up(sandbox, interrupted)
        assert [taken.value.code, stopped.value.code] == [RETURNED, RETURNED]
        assert "goes on from there" in stopped.value.hint
        assert hosts.up(sandbox, say)
    finally:
        hosts.down(name, sandbox.directory)
    assert leftovers(name) == []


def test_an_up_that_was_killed_anywhere_is_simply_run_again(tmp_path: Path) -> None:
    """Killed after a random while, again and again; what is there then is whole, and goes without a trace."""
    seed = int(os.environ.get("FERRYMAN_SEED", "0")) or random.randrange(1 << 16)
    print(f"seed {seed}")
    chance = random.Random(seed)
    name, directory = f"e2e-kill-{os.getpid()}", tmp_path / "state"
    platforms = json.dumps([{"name": "host", "domains": ["test"]}, {"name": "acme", "image": "acme"}])
    try:
        for _ in range(4):
            process = subprocess.Popen(call("up", name, directory), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
            assert process.stdin
            process.stdin.write(platforms.encode())
            process.stdin.close()
            time.sleep(chance.uniform(0.1, 2.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(
            call("up", name, directory), check=False, input=platforms, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        for host in ("host", "acme"):
            argv: list[Any] = ["ssh", "-F", directory / "ssh_config", host, "sudo", "systemctl", "is-system-running"]
            assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip() == "running"
        assert "BEGIN CERTIFICATE" in (directory / "ca.pem").read_text()
    finally:
        subprocess.run(call("down", name, directory), check=True, timeout=120)
    assert leftovers(name) == []
    assert not directory.exists()


def test_a_host_that_waits_for_a_disk_is_removed_and_dies_once_the_disk_answers(tmp_path: Path) -> None:
    """A process of it writes to a disk that takes nothing: SIGKILL ends it, and so its host, once the disk does."""
    name, state, disk = f"e2e-disk-{os.getpid()}", tmp_path / "state", tmp_path / "disk"
    disk.mkdir()
    image = tmp_path / "image"
    image.write_bytes(b"")
    os.truncate(image, 32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        one = json.dumps([{"name": "host", "image": "base"}])
        subprocess.run(call("up", name, state), check=True, input=one.encode(), stdout=subprocess.DEVNULL, timeout=300)
        (host,) = hosts.found(probe(), name).values()
        subprocess.run(["fsfreeze", "--freeze", disk], check=True)
        inside = ["nsenter", "--target", str(host["State"]["Pid"]), "--pid", "--", "sh", "-c", f"echo x > {disk}/x"]
        with subprocess.Popen(inside) as writer:
            try:
                seen = ["ps", "-o", "stat=", "--ppid", str(writer.pid)]
                deadline = time.monotonic() + 20
                while "D" not in subprocess.run(seen, check=False, capture_output=True, text=True).stdout:
                    assert time.monotonic() < deadline, "nothing waits for the disk"
                    time.sleep(0.1)
                removed = subprocess.run(call("down", name, state), check=False, timeout=180).returncode
                there = Path("/proc", str(host["State"]["Pid"])).exists()
            finally:
                subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)
        assert (removed, there) == (0, True), "it was to be removed while its process cannot die"
    finally:
        subprocess.run(call("down", name, state), check=True, timeout=150)
        subprocess.run(["umount", disk], check=True)
    assert leftovers(name) == []
    deadline = time.monotonic() + 20
    while Path("/proc", str(host["State"]["Pid"])).exists():
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.1)


def test_nothing_of_the_sandbox_listens_beyond_the_loopback(jumped: tuple[Path, Sandbox]) -> None:
    _, sandbox = jumped
    ports = {outside for host in sandbox.hosts for outside in host.publish}
    told = probe().run("inspect", *(sandbox.container(host) for host in sandbox.hosts))
    bound = [
        one["HostIp"]
        for container in json.loads(told)
        for published in container["HostConfig"]["PortBindings"].values()
        for one in published
    ]
    assert len(bound) >= len(ports)
    assert set(bound) <= {"127.0.0.1", "::1"}
