"""The engine's command lines: only what a machine needs, and nothing reachable from outside it."""

from dataclasses import replace
from pathlib import Path

import pytest

from ferryman.sandbox import command
from ferryman.sandbox.model import Host, Sandbox
from ferryman.sandbox.probing import Engine

HOST = Host("web", publish={8443: 443}, aliases=("web.internal",), domains=("localhost",))
SANDBOX = Sandbox("demo", Path("/state/demo"), (HOST,))
PLAIN = Engine("podman")


def line(engine: Engine, host: Host = HOST) -> str:
    return " ".join(command.run(engine, SANDBOX, host, "image:1"))


@pytest.mark.parametrize("engine", [PLAIN, Engine("podman", rootless=True), Engine("docker")])
def test_ports_are_published_on_the_loopback_alone(engine: Engine) -> None:
    words = command.publishing(engine, HOST)
    assert all(word.startswith(("127.0.0.1:", "[::1]:")) for word in words if word != "--publish")
    assert "127.0.0.1:8443:443" in words


def test_ipv6_loopback_is_published_where_a_process_forwards_it() -> None:
    assert "[::1]:8443:443" not in command.publishing(PLAIN, HOST)
    assert "[::1]:8443:443" in command.publishing(Engine("podman", rootless=True), HOST)


def test_an_ordinary_machine_is_told_nothing_of_limits_and_old_cgroups() -> None:
    assert "--ulimit" not in line(PLAIN)
    assert "/sys/fs/cgroup" not in line(PLAIN)
    assert "--privileged" not in line(PLAIN)


def test_a_locked_down_machine_is_told_its_limits_and_cgroups() -> None:
    engine = Engine("podman", runtime="runc", limits=(("nofile", 20000),), legacy_cgroups=("memory",))
    assert "--ulimit nofile=20000:20000" in line(engine)
    assert "--volume /sys/fs/cgroup/memory:/sys/fs/cgroup/memory:rw" in line(engine)
    assert engine.argv("ps") == ["podman", "--runtime", "runc", "ps"]


def test_a_host_gets_the_devices_that_this_machine_has() -> None:
    assert "--device /dev/fuse" in line(Engine("podman", devices=("/dev/fuse",)))
    assert "--device" not in line(PLAIN)


def test_the_whole_cgroup_tree_is_never_handed_in() -> None:
    engine = Engine("podman", legacy_cgroups=("memory", "pids"))
    assert "/sys/fs/cgroup:/sys/fs/cgroup" not in line(engine)
    assert "cgroupns=host" not in line(Engine("docker"))


def test_a_reboot_brings_a_host_back() -> None:
    assert "--restart always" in line(PLAIN)


def test_a_host_keeps_a_hardware_address_of_its_own() -> None:
    words = line(PLAIN).split()
    address = words[words.index("--mac-address") + 1]
    assert int(address[:2], 16) & 3 == 2, "of one host, and given by whoever runs the network"
    assert address in line(PLAIN)
    assert address not in line(PLAIN, replace(HOST, name="other"))


def test_every_container_and_network_can_be_found_by_label() -> None:
    assert "--label ferryman.sandbox=demo" in line(PLAIN)
    assert "ferryman.sandbox=demo" in command.network(SANDBOX, ipv6=True)


def test_changed_options_are_seen_and_domains_are_not_among_them() -> None:
    same = Host("web", publish={8443: 443}, aliases=("web.internal",), domains=("other",))
    assert command.options_hash(same) == command.options_hash(HOST)
    assert command.options_hash(Host("web", publish={8444: 443})) != command.options_hash(HOST)


def test_build_steps_need_no_privilege_with_podman() -> None:
    words = command.build(PLAIN, "t:1", "debian:12", Path("/c"))
    assert words[words.index("--isolation") + 1] == "chroot"
    assert "--isolation" not in command.build(Engine("docker"), "t:1", "debian:12", Path("/c"))
