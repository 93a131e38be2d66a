"""The inventory is the truth about the sandbox; what is wrong in it is said before anything is made."""

from pathlib import Path
from typing import Any

import pytest

from ferryman import paths
from ferryman.errors import Stop
from ferryman.sandbox import inventory, model


def hosts(**found: Any) -> list[model.Host]:
    return inventory.from_tree({"all": {"children": {"app": {"hosts": found}}}})


def write(directory: Path, hosts_yml: str, sandbox_yml: str = "sandbox_name: demo\n") -> Path:
    variables = directory / "group_vars" / "all"
    variables.mkdir(parents=True)
    (variables / "sandbox.yml").write_text(sandbox_yml)
    (directory / "hosts.yml").write_text(hosts_yml)
    return directory


def test_the_environment_local_has_one_host_for_all_and_an_acme_server(tmp_path: Path) -> None:
    local, acme = inventory.read(paths.CHECKOUT / "inventories" / "local", tmp_path).hosts
    assert (local.image, acme.image) == ("base", "acme")
    assert local.published_ssh == 2222
    assert {80, 443} <= set(local.publish.values())
    assert "localhost" in local.domains


def test_a_host_without_an_image_is_no_container() -> None:
    assert hosts(web={"ansible_host": "192.0.2.1"}) == []


def test_a_host_named_again_in_another_group_keeps_its_settings() -> None:
    tree = {"all": {"children": {"entry": {"hosts": {"a": {"sandbox_image": "base"}}}, "db": {"hosts": {"a": None}}}}}
    assert [host.name for host in inventory.from_tree(tree)] == ["a"]


def test_ssh_listens_where_ansible_goes_in() -> None:
    assert hosts(a={"sandbox_image": "base", "ansible_port": 2322, "sandbox_publish": {2322: 22}})[0].ssh_port == 22
    assert hosts(a={"sandbox_image": "base", "ansible_port": 2200})[0].ssh_port == 2200
    assert hosts(a={"sandbox_image": "base"})[0].ssh_port == 2222


def test_vaulted_values_are_skipped_and_not_opened(tmp_path: Path) -> None:
    text = "all: {hosts: {a: {sandbox_image: base, secret: !vault 'x'}}}\n"
    assert inventory.read(write(tmp_path / "i", text), tmp_path).hosts[0].name == "a"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sandbox_image": "bas"}, "image is 'bas'"),
        ({"sandbox_image": "base", "sandbox_debian": "13"}, "debian is '13'"),
        ({"sandbox_image": "base", "sandbox_debian": 11}, "debian is 11"),
        ({"sandbox_image": "base", "sandbox_publish": {80: 80}}, "port 80 of this machine"),
        ({"sandbox_image": "base", "sandbox_publish": {8080: "http"}}, "'http', which is no number"),
        ({"sandbox_image": "base", "sandbox_publish": [8080]}, "not a map"),
        ({"sandbox_image": "base", "sandbox_alias": ["x"]}, "no such sandbox option: alias"),
        ({"sandbox_image": "base", "sandbox_aliases": "x"}, "not a list"),
        ({"sandbox_image": "base", "sandbox_sudo": "yes"}, "sudo is 'yes'"),
    ],
)
def test_a_bad_option_is_named_with_its_host(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Stop, match="host web") as stop:
        hosts(web=options)
    assert said in stop.value.message


def test_two_hosts_cannot_share_a_port() -> None:
    one, two = model.Host("a", publish={8080: 80}), model.Host("b", publish={8080: 80})
    with pytest.raises(Stop, match="port 8080 is given to two hosts"):
        model.checked(model.Sandbox("demo", Path("/x"), (one, two)))


def test_an_inventory_without_containers_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(Stop) as stop:
        inventory.read(write(tmp_path / "i", "all: {hosts: {a: {ansible_host: 192.0.2.1}}}\n"), tmp_path)
    assert "sandbox_image" in stop.value.hint


def test_a_sandbox_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="sandbox_name is None"):
        inventory.read(write(tmp_path / "i", "all: {hosts: {a: {sandbox_image: base}}}\n", "other: 1\n"), tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("all:\n  children: [\n", r"hosts\.yml:3: the file is not YAML: [^\n]+$"), ("", r"hosts\.yml is not a map$")],
)
def test_what_is_no_inventory_is_told_in_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "hosts.yml").write_text(text)
    with pytest.raises(Stop, match=said):
        inventory.read(tmp_path, tmp_path)


def test_a_domain_may_lead_to_several_hosts_and_a_number_is_one_hosts_alone() -> None:
    tree = {
        "entry": {"hosts": {f"entry{n}": {"sandbox_image": "base", "sandbox_domains": ["test"]} for n in (1, 2)}},
        "app": {"hosts": {f"app{n}": {"sandbox_image": "base", "sandbox_number": 111} for n in (1, 2)}},
    }
    every = inventory.from_tree(tree)
    assert [host.number for host in every] == [0, 0, 111, 111]
    with pytest.raises(Stop, match="number 111 is given to two hosts"):
        model.checked(model.Sandbox("trial", Path("/nowhere"), tuple(every)))
    for wrong in (100, 251, True, "111"):
        with pytest.raises(Stop, match="number is"):
            model.host("app1", {"number": wrong})
