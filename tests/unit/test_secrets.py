"""The first secrets of `local`: generated once, encrypted, private, and readable by Ansible.

Requirements: SEC-1.
"""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ferryman import secrets, variables
from ferryman.environments import Environment
from ferryman.errors import Stop


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Return a project's environment `local` whose values use two secrets."""
    where = tmp_path / "inventories" / "local"
    (where / "group_vars" / "all").mkdir(parents=True)
    (where / "hosts.yml").write_text("all: {hosts: {a1: {}}}\n")
    text = 'environment_name: local\na: "{{ vault_a }}"\nb: "x{{ vault_b_1 }}"\n'
    (where / "group_vars" / "all" / "apps.yml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return Environment("local", where)


def test_every_secret_that_is_used_is_generated_once(project: Environment) -> None:
    assert secrets.ensure_local(project) == ["vault_a", "vault_b_1"]
    before = (project.variables / "vault.yml").read_text()
    assert secrets.ensure_local(project) == []
    assert (project.variables / "vault.yml").read_text() == before


def test_key_and_vault_are_private_and_the_vault_is_encrypted(project: Environment) -> None:
    secrets.ensure_local(project)
    key = secrets.key_file(project)
    assert key is not None
    assert [stat.S_IMODE(path.stat().st_mode) for path in (key, project.variables / "vault.yml")] == [0o600, 0o600]
    loaded = variables.load(project, vault_ids=[f"local@{key}"])
    value = str(loaded.value("a1", "a"))
    assert len(value) > secrets.LENGTH
    assert value not in (project.variables / "vault.yml").read_text()


def test_only_local_gets_secrets_by_itself(project: Environment) -> None:
    assert secrets.ensure_local(Environment("prod", project.directory)) == []
    assert not (project.variables / "vault.yml").exists()


def test_a_vault_without_its_key_is_told_with_the_way_out(project: Environment) -> None:
    (project.variables / "vault.yml").write_text("vault_a: !vault |\n  $ANSIBLE_VAULT;1.2;AES256;prod\n  00\n")
    with pytest.raises(Stop) as stop:
        secrets.key_file(Environment("prod", project.directory))
    assert "FERRYMAN_VAULT_PROD" in stop.value.hint


def test_secrets_that_nothing_defines_are_named_with_the_way_out(project: Environment) -> None:
    prod = Environment("prod", project.directory)
    (project.variables / "vault.yml").write_text("vault_a: !vault |\n  $ANSIBLE_VAULT;1.2;AES256;prod\n  00\n")
    with pytest.raises(Stop, match="prod lacks secrets that its files use: vault_b_1") as stop:
        secrets.require(prod)
    encrypt = "encrypt_string --vault-id prod@.ferryman/vault/prod.key --stdin-name vault_b_1 >> "
    assert f"{encrypt}inventories/local/group_vars/all/vault.yml`" in stop.value.hint


def test_a_vault_that_is_encrypted_as_a_whole_is_left_to_ansible(project: Environment) -> None:
    (project.variables / "vault.yml").write_text("$ANSIBLE_VAULT;1.2;AES256;prod\n00\n")
    secrets.require(Environment("prod", project.directory))


def test_local_says_that_a_deploy_makes_its_secrets(project: Environment) -> None:
    with pytest.raises(Stop, match="local lacks secrets that its files use: vault_a, vault_b_1") as stop:
        secrets.require(project)
    assert stop.value.hint.endswith("deploy --env local` makes them")
    secrets.ensure_local(project)
    secrets.require(project)


@pytest.mark.parametrize("name", ["local", "prod"])
def test_a_secret_that_is_new_in_the_files_keeps_nobody_from_a_look_at_what_is_live(
    project: Environment, name: str
) -> None:
    secrets.ensure_local(project)
    assert secrets.stand_ins(Environment(name, project.directory)) == {}
    (project.variables / "mail.yml").write_text('mail: "{{ vault_mail }}"  # ansible_user: as the hosts\n')
    assert secrets.stand_ins(Environment(name, project.directory)) == {"vault_mail": "missing"}


@pytest.mark.parametrize(
    "text",
    [
        'ansible_become_password: "{{ vault_sudo }}"\n',
        'x: {"ansible_password": "{{ vault_sudo }}"}\n',
        "ansible_become_password: >-\n  {{ vault_sudo }}\n",
        'ansible_password: "{{ a_word }}"\nother: "{{ vault_sudo }}"\na_word: "{{ other }}"\n',
    ],
    ids=["in its line", "in a mapping", "in a block", "over other variables"],
)
def test_nothing_stands_in_for_a_secret_that_leads_to_the_hosts(project: Environment, text: str) -> None:
    (project.variables / "sudo.yml").write_text(text)
    with pytest.raises(Stop, match=r"lacks secrets that its files use: vault_sudo$"):
        secrets.stand_ins(Environment("prod", project.directory))


def test_what_files_that_all_environments_share_use_is_generated_too(project: Environment) -> None:
    shared = project.directory.parent.parent / "group_vars" / "all"
    shared.mkdir(parents=True)
    (shared / "mail.yml").write_text('a_mail: "{{ vault_mail }}"  # not vault_comment\n')
    (project.variables / "00-shared").symlink_to("../../../../group_vars/all")
    assert secrets.ensure_local(project) == ["vault_a", "vault_b_1", "vault_mail"]
    secrets.require(project)


@pytest.mark.parametrize("break_it", [lambda path: path.write_bytes(b"a: \xe9\n"), lambda path: path.symlink_to("no")])
def test_a_file_that_nobody_can_read_is_left_to_the_check(
    project: Environment, break_it: Callable[[Path], object]
) -> None:
    break_it(project.variables / "broken.yml")
    assert secrets.ensure_local(project) == ["vault_a", "vault_b_1"]


@pytest.mark.parametrize(("text", "line"), [(b"a: [\n", 2), (b"a: \xe9\n", 0)])
def test_a_look_at_hosts_is_refused_by_the_file_that_nobody_can_read(
    project: Environment, text: bytes, line: int
) -> None:
    secrets.ensure_local(project)
    (project.variables / "broken.yml").write_bytes(text)
    with pytest.raises(Stop) as stop:
        secrets.require(project)
    problems = stop.value.facts["problems"]
    assert isinstance(problems, list)
    assert [(told["file"], told["line"]) for told in problems] == [
        ("inventories/local/group_vars/all/broken.yml", line)
    ]


def test_a_mistake_that_can_be_read_does_not_keep_anybody_from_looking_at_hosts(project: Environment) -> None:
    secrets.ensure_local(project)
    (project.variables / "broken.yml").write_text("a: 1\na: 2\n")
    secrets.require(project)


def test_a_vault_that_is_encrypted_as_a_whole_is_left_as_it_is(project: Environment) -> None:
    vault = project.variables / "vault.yml"
    vault.write_text("$ANSIBLE_VAULT;1.2;AES256;local\n00\n")
    assert secrets.ensure_local(project) == []
    assert vault.read_text().endswith(";local\n00\n")


def test_a_secret_is_encrypted_with_the_key_that_is_used_here(
    project: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRYMAN_VAULT_PROD", "/run/secrets/prod.key")
    told = secrets.way_in(Environment("prod", project.directory), "vault_a")
    assert "--vault-id prod@/run/secrets/prod.key --stdin-name vault_a" in told


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("vault_notes_sesion_key", "vault_notes_session_key"),
        ("vault_note_session_key", "vault_notes_session_key"),
        ("vault_notes_sessionkey", "vault_notes_session_key"),
        ("vault_shop_session_key", ""),
        ("vault_notes2_session_key", ""),
        ("vault_notes_database_password", ""),
    ],
)
def test_a_misspelt_secret_is_told_from_a_new_one(name: str, meant: str) -> None:
    assert secrets.meant(name, ["vault_mail", "vault_notes_session_key"]) == meant


def test_the_secrets_of_two_applications_are_no_misspellings_of_each_other() -> None:
    assert secrets.meant("vault_a_session_key", ["vault_b_session_key"]) == ""


def test_a_secret_that_is_the_wrong_one_is_told_with_where_it_lies_and_what_to_type(project: Environment) -> None:
    (project.variables / "own.yml").write_text('backup_passphrase: "{{ vault_backup_passphrase }}"\n')
    told = secrets.another(project, "backup_passphrase")
    assert "remove vault_backup_passphrase from inventories/local/group_vars/all/vault.yml" in told
    assert secrets.way_in(project, "vault_backup_passphrase") in told
    assert secrets.another(project, "backup_else") == "give backup_else the right one, and try again"
