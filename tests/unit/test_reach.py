"""How a host is reached is said to people as the inventory says it to Ansible."""

from pathlib import Path

import pytest
from tests.support.configured import Configured

from ferryman import agreement, environments, reach


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ("", "ssh ops@10.1.0.11"),
        ("ansible_port: 2222", "ssh -p 2222 ops@10.1.0.11"),
        ("ansible_host: '{{ \"10.9.0.\" ~ 7 }}'", "ssh ops@10.9.0.7"),
        ("ansible_ssh_private_key_file: ~/.ssh/the key", "ssh -i '{home}/.ssh/the key' ops@10.1.0.11"),
        ("ansible_ssh_common_args: \"-o ProxyCommand='ssh -W %h:%p ops@jump'\"",
         "ssh -o 'ProxyCommand=ssh -W %h:%p ops@jump' ops@10.1.0.11"),
        ("ansible_user: '{{ nobody_says }}'", "ssh 10.1.0.11"),
    ],
)  # fmt: skip
def test_a_host_is_reached_with_its_own_address_user_port_key_and_jump_host(
    tmp_path: Path, said: str, command: str
) -> None:
    configured = Configured(tmp_path)
    host = "{ansible_host: 10.1.0.11}"
    values = "".join(f"\n          {line}" for line in ("ansible_host: 10.1.0.11", said) if line)
    if "ansible_host" in said:
        values = f"\n          {said}"
    configured.change("hosts.yml", f"web1: {host}", f"web1:{values}")
    _, loaded = agreement.survey(environments.resolve("prod", project=tmp_path))
    assert loaded is not None
    assert reach.command(loaded, "web1") == command.format(home=Path.home())


def test_a_host_without_an_address_of_its_own_is_reached_by_its_name(tmp_path: Path) -> None:
    configured = Configured(tmp_path)
    configured.change("hosts.yml", "web1: {ansible_host: 10.1.0.11}", "web1:")
    _, loaded = agreement.survey(environments.resolve("prod", project=tmp_path))
    assert loaded is not None
    assert reach.command(loaded, "web1") == "ssh ops@web1"
