"""How a host is reached: a misspelt option is told with the right one, and a wrong value before Ansible stumbles."""

from pathlib import Path

import pytest
from tests.support.configured import Configured

from ferryman import connection

HOST = "web1: {ansible_host: 10.1.0.11}"


@pytest.fixture
def project(tmp_path: Path) -> Configured:
    return Configured(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("hots", "host"),
        ("prot", "port"),
        ("usr", "user"),
        ("becom_user", "become_user"),
        ("ssh_comon_args", "ssh_common_args"),
    ],
)
def test_a_misspelt_option_is_told_with_the_one_that_was_meant(project: Configured, wrong: str, right: str) -> None:
    project.change("hosts.yml", HOST, f"web1: {{ansible_{wrong}: 10.1.0.11}}")
    assert project.problems() == [
        f"hosts.yml:7: ansible_{wrong} is no option of Ansible, and nothing goes by it; did you mean ansible_{right}?"
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ansible_port: swordfish", "ansible_port does not fit: it is no whole number; wanted: int, from 1 to 65535 ("),
        ("ansible_port: 70000", "ansible_port is out of bounds; wanted: int, from 1 to 65535 ("),
        ("ansible_become: perhaps", "ansible_become does not fit: it is neither true nor false; wanted: bool ("),
        ("ansible_become_user: [root]", "ansible_become_user must be text, YAML reads a list here"),
        (
            "ansible_ssh_retries: often",
            "ansible_ssh_retries does not fit: it is no whole number; wanted: int, 0 or more (",
        ),
    ],
)
def test_a_value_that_ansible_would_not_take_is_told_by_its_line(project: Configured, given: str, told: str) -> None:
    project.change("hosts.yml", "ansible_user: ops", f"ansible_user: ops\n    {given}")
    (problem,) = project.problems()
    assert problem.startswith(f"hosts.yml:4: {told}")


def test_a_password_is_not_shown(project: Configured) -> None:
    project.change("hosts.yml", "ansible_user: ops", "ansible_user: ops\n    ansible_become_password: [correct-horse]")
    (problem,) = project.problems()
    assert "correct-horse" not in problem


def test_options_as_people_have_them_are_right(project: Configured) -> None:
    given = "ansible_port: '2222', ansible_become: 'yes', ansible_python_interpreter: /usr/bin/python3, ansible_user: "
    more = "ansible_podman_extra_args: -q, ansible_winrm_port: x, ansible_network_os: none, ansible_hostname: web1"
    project.change("hosts.yml", HOST, f"web1: {{ansible_host: 10.1.0.11, {given}, {more}}}")
    assert project.problems() == []


def test_the_options_are_those_that_ansible_has(project: Configured) -> None:
    project.found()  # it makes Ansible's loader ready
    from ansible import constants
    from ansible.plugins.loader import become_loader, connection_loader, shell_loader

    kinds = {"boolean": "bool", "integer": "int", "string": "str", None: "str"}
    found: dict[str, str] = {}
    for kind, loader, name in (
        ("connection", connection_loader, "ssh"), ("become", become_loader, "sudo"), ("shell", shell_loader, "sh"),
    ):  # fmt: skip
        loader.get(name, class_only=True)
        for option in constants.config.get_configuration_definitions(kind, name).values():
            told = option.get("type")
            found |= {each["name"]: kinds.get(told, told) for each in option.get("vars") or []}
    found = {name: kind for name, kind in found.items() if name.startswith("ansible_") and kind != "list"}
    have = {name: option["type"] for name, option in connection.OPTIONS.items()}
    assert found == {name: kind for name, kind in have.items() if name in found}
    everywhere = {each for names in constants.MAGIC_VARIABLE_MAPPING.values() for each in names}
    assert have.keys() - found.keys() <= everywhere | {"ansible_python_interpreter"}
