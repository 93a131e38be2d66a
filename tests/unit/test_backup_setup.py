"""What the setup of backups makes before any host is asked, and where the keys for paper go."""

import stat
import sys
from pathlib import Path

import pytest
from tests.support.configured import Configured

from ferryman import agreement, backup_setup, release, secrets, variables
from ferryman.errors import Stop

BACKUP = """\
backup_database_host: web1
backup_archive_address: 10.1.0.20
backup_database_password: "{{ vault_backup_database_password }}"
backup_passphrase: "{{ vault_backup_passphrase }}"
"""
NAMES = ["vault_backup_database_password", "vault_backup_passphrase"]
ARCHIVE = "    backup:\n      hosts:\n        archive1: {ansible_host: 10.1.0.20}\n"


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    made = Configured(tmp_path)
    made.write("backup.yml", BACKUP)
    made.write("hosts.yml", made.path("hosts.yml").read_text() + ARCHIVE)
    monkeypatch.chdir(tmp_path)
    return made


def test_secrets_of_backups_that_are_missing_are_generated_once_and_open_with_the_vaults_key(
    configured: Configured,
) -> None:
    assert backup_setup._secrets(configured.environment) == NAMES
    key = configured.root / ".ferryman/vault/prod.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    problems, loaded = agreement.survey(configured.environment)
    assert problems == []
    assert loaded is not None
    values = [str(loaded.value("archive1", name)) for name in NAMES]
    assert min(map(len, values)) >= 40
    assert len(set(values)) == 2
    assert not any(value in configured.path("vault.yml").read_text() for value in values)
    assert backup_setup._secrets(configured.environment) == []


def test_a_key_that_a_program_prints_encrypts_and_opens(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "key"
    program.write_text("#!/bin/sh\necho of-a-store\n")
    program.chmod(0o700)
    monkeypatch.setenv("FERRYMAN_VAULT_PROD", str(program))
    assert backup_setup._secrets(configured.environment) == NAMES
    vault = configured.path("vault.yml").read_text()
    assert variables.encrypted("other", "x", environment="prod", key=program).startswith("other: !vault |")
    (tmp_path / "plain").write_text("of-a-store\n")
    monkeypatch.setenv("FERRYMAN_VAULT_PROD", str(tmp_path / "plain"))
    problems, loaded = agreement.survey(configured.environment)
    assert (problems, vault) == ([], configured.path("vault.yml").read_text())
    assert loaded is not None
    assert len(str(loaded.value("archive1", NAMES[0]))) >= 40


def test_a_vault_without_a_last_line_end_keeps_its_last_secret(configured: Configured) -> None:
    assert backup_setup._secrets(configured.environment) == NAMES
    configured.path("vault.yml").write_text(configured.path("vault.yml").read_text().rstrip("\n"))
    before = {name: str(loaded_value(configured, name)) for name in NAMES}
    configured.write("mail.yml", 'backup_note: "{{ vault_backup_other }}"\n')
    secrets.ensure(configured.environment, ["vault_backup_other"])
    assert {name: str(loaded_value(configured, name)) for name in NAMES} == before
    assert loaded_value(configured, "vault_backup_other")


def loaded_value(configured: Configured, name: str) -> object:
    key = configured.root / ".ferryman/vault/prod.key"
    return variables.load(configured.environment, vault_ids=[f"prod@{key}"]).value("archive1", name)


def test_what_was_made_before_it_broke_off_is_said(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(env: str) -> None:
        raise Stop("no host answers")

    monkeypatch.setattr(release, "provision", refused)
    with pytest.raises(Stop, match=r"no host answers\n  new in inventories/prod/.*passphrase; commit it"):
        backup_setup.setup("prod", paper=str(configured.root / "paper"), json=True)


def test_no_secret_is_made_while_anything_else_is_wrong_and_all_of_that_is_told(configured: Configured) -> None:
    configured.change("nginx.yml", "nginx_https_public_port", "nginx_https_publik_port")
    configured.write("mail.yml", 'mail: "{{ vault_mail }}"\n')
    with pytest.raises(Stop) as stopped:
        backup_setup._secrets(configured.environment)
    assert "nginx_https_publik_port is not an option" in stopped.value.message
    assert "vault_mail is used and nothing defines it" in stopped.value.message
    assert not [name for name in NAMES if name in stopped.value.message]
    assert not configured.path("vault.yml").exists()


def test_a_secret_that_is_another_one_misspelt_is_not_made_anew(configured: Configured) -> None:
    assert backup_setup._secrets(configured.environment) == NAMES
    configured.change("backup.yml", "vault_backup_passphrase", "vault_backup_pasphrase")
    with pytest.raises(Stop, match=r"lacks vault_backup_pasphrase: did you mean vault_backup_passphrase\?"):
        backup_setup._secrets(configured.environment)


def test_without_an_archive_host_nothing_is_made(configured: Configured) -> None:
    configured.change("hosts.yml", ARCHIVE, "")
    configured.path("backup.yml").unlink()
    with pytest.raises(Stop, match="prod has no archive host"):
        backup_setup._secrets(configured.environment)


def test_keys_go_to_a_terminal_or_into_a_new_file_of_ones_own_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for terminal, json in ((False, False), (False, True), (True, True)):
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_one=terminal: is_one)
        with pytest.raises(Stop, match="nobody is here to read the paper copy"):
            backup_setup._target("", json=json)
    assert backup_setup._target("", json=False) is None
    file = backup_setup._target(str(tmp_path / "keys"), json=True)
    assert file is not None
    backup_setup._hand_over("of nobody else", file)
    assert capsys.readouterr().out == ""
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("of nobody else", 0o600)
    for path, wrong in ((str(file), "is there already"), (str(tmp_path / "a/b"), "there is no directory")):
        with pytest.raises(Stop, match=wrong):
            backup_setup._target(path, json=False)
    with pytest.raises(Stop, match="cannot be written"):
        backup_setup._hand_over("of nobody else", file / "below")
    backup_setup._hand_over("of nobody else", None)
    assert capsys.readouterr().out == "\nof nobody else\n"


def test_what_was_done_and_what_is_left_to_people_is_said() -> None:
    told = {
        "environment": "prod", "changed": True, "secrets": NAMES[1:], "vault": "inventories/prod/vault.yml",
        "taken": [], "sent": [], "fingerprints": {"media": "ab12"}, "paper": "/media/stick/keys",
    }  # fmt: skip
    assert backup_setup.done(told).splitlines() == [
        "prod: backups are set up",
        "  new in inventories/prod/vault.yml: vault_backup_passphrase; commit it, and keep the vault's key",
        "  key of media: ab12",
        "  print /media/stick/keys, keep the paper where the servers are not, and remove the file",
    ]
    nothing = {**told, "changed": False, "secrets": [], "fingerprints": {}, "paper": ""}
    assert backup_setup.done(nothing).splitlines() == [
        "prod: backups are set up, and its hosts were before",
        "  there is no key to keep: the database's backups are not encrypted, and no files are taken",
    ]
