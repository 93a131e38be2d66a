"""Another environment's hosts, read as plain YAML: those that Ansible would work on."""

from pathlib import Path

import pytest
import yaml
from ansible.plugins.inventory import expand_hostname_range

from ferryman import plainly
from ferryman.environments import Environment


def hosts(directory: Path, name: str) -> list[str]:
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {name: {"ansible_port": 2222}}}}))
    found = plainly.hosts(Environment("staging", directory))
    assert all(values == {"ansible_port": 2222} for values in found.values())
    return list(found)


@pytest.mark.parametrize(
    "name", ["web[1:3]", "web[01:12:3].example.org", "db[a:d]", "db[x:C]", "db[:2]", "r[1:2]-[8:10]", "web[3:1]"]
)
def test_a_range_of_hosts_is_the_hosts_that_ansible_makes_of_it(tmp_path: Path, name: str) -> None:
    assert hosts(tmp_path, name) == expand_hostname_range(name)


@pytest.mark.parametrize("name", ["web1", "web[", "[1:a]", "[a:9]", "fd00::[1]"])
def test_what_is_no_range_is_no_reason_to_break(tmp_path: Path, name: str) -> None:
    assert len(hosts(tmp_path, name)) <= 1
