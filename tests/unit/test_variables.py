"""What an environment's files are told about themselves, on small projects made for each test.

Requirements: ENV-5.
"""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ferryman import paths, specs, variables
from ferryman.environments import Environment, resolve
from ferryman.errors import Stop

SPEC = """
    argument_specs:
      main:
        short_description: Keep backups.
        options:
          backup_path: {description: Where archives go., type: path, required: true}
          backup_keep: {description: How many archives to keep., type: int, default: 7}
          backup_keep_daily: {description: Whether to keep one a day., type: bool, default: true}
          backup_kind: {description: What to keep., type: str, choices: [full, part], default: full}
          backup_key: {description: What encrypts., type: int, no_log: true, default: 0}
          backup_targets:
            description: Where copies go.
            type: dict
            default: {}
            options:
              first:
                description: The first.
                type: dict
                options:
                  port: {description: Its port., type: int, default: 1}
"""


class Project:
    """A collection with one role, and one environment `prod` with one host."""

    def __init__(self, root: Path):
        self.root = root
        self.write("roles/backup/meta/argument_specs.yml", SPEC)
        self.write("roles/backup/defaults/main.yml", "backup_keep: 7\n")
        self.write("inventories/prod/hosts.yml", "all: {children: {app: {hosts: {one: {}}}}}\n")
        self.write("inventories/prod/group_vars/all/environment.yml", "environment_name: prod\n")
        self.playbook("app", "")

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text))
        return target

    def values(self, text: str, name: str = "backup.yml") -> None:
        self.write(f"inventories/prod/group_vars/all/{name}", text)

    def playbook(self, hosts: str, given: str) -> None:
        task = "{ansible.builtin.import_role: {name: ferryman.ops.backup}" + (f", vars: {given}" if given else "") + "}"
        self.write("playbooks/backup_run.yml", f"- hosts: {hosts}\n  tasks: [{task}]\n")

    @property
    def environment(self) -> Environment:
        return resolve("prod", project=self.root)

    def problems(self) -> list[str]:
        return [str(problem) for problem in variables.validate(variables.load(self.environment))]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(paths, "collection_root", lambda: tmp_path)
    return Project(tmp_path)


def test_a_right_environment_has_no_problems(project: Project) -> None:
    project.values("backup_path: /srv\nbackup_keep: '{{ 3 + 4 }}'\n")
    assert project.problems() == []
    assert variables.load(project.environment).value("one", "backup_keep") == 7


def test_every_problem_is_told_at_once_with_file_and_line(project: Project) -> None:
    project.values("---\nbackup_keep: many\nbackup_keep_dayly: true\nbackup_kind: all\nbackup_keep_daily: 5\n")
    told = project.problems()
    where = "inventories/prod/group_vars/all/backup.yml"
    assert [line.split(" ")[0] for line in told] == [
        f"{where}:",
        f"{where}:2:",
        f"{where}:3:",
        f"{where}:4:",
        f"{where}:5:",
    ]
    assert "backup_path is missing" in told[0]
    assert "wanted: int (How many archives to keep)" in told[1]
    assert told[2] == f"{where}:3: backup_keep_dayly is not an option of role backup; did you mean backup_keep_daily?"
    assert "one of full, part" in told[3]


def test_the_refusal_lists_them_for_people_and_for_pipelines(project: Project) -> None:
    project.values("backup_keep: many\n")
    stop = variables.refusal(project.environment, variables.validate(variables.load(project.environment)))
    assert stop.code == 1
    assert stop.message.count("\n") == 2
    problems = stop.facts["problems"]
    assert isinstance(problems, list)
    assert problems[1] | {"wrong": "", "right": ""} == {
        "file": "inventories/prod/group_vars/all/backup.yml", "line": 1, "key": "backup_keep", "wrong": "", "right": "",
    }  # fmt: skip


def test_a_secret_value_is_never_shown(project: Project) -> None:
    project.values("backup_path: /srv\nbackup_key: correct-horse\n")
    assert len(project.problems()) == 1
    assert "correct-horse" not in project.problems()[0]


def test_a_secret_in_a_template_error_is_not_shown(project: Project) -> None:
    project.values("backup_path: /srv\nbackup_key: \"{{ 'correct-horse' | int / 0 }}\"\n")
    assert "correct-horse" not in "".join(project.problems())


def test_a_nested_value_is_named_by_its_own_line(project: Project) -> None:
    project.values("backup_path: /srv\nbackup_targets:\n  first:\n    port: none\n")
    assert project.problems()[0].startswith("inventories/prod/group_vars/all/backup.yml:4: backup_targets.first.port ")


def test_booleans_have_lines_too(project: Project) -> None:
    project.values("backup_path: /srv\n\nbackup_kind: true\n")
    assert project.problems()[0].startswith("inventories/prod/group_vars/all/backup.yml:3: backup_kind ")


def test_a_value_that_the_playbook_gives_is_not_missing(project: Project) -> None:
    project.playbook("app", "{backup_path: /srv}")
    assert project.problems() == []


def test_what_several_hosts_miss_is_one_problem(project: Project) -> None:
    project.write(
        "inventories/prod/hosts.yml",
        "all: {children: {app: {hosts: {one: {}, two: {backup_path: /srv}, three: {}}}}}\n",
    )
    (told,) = project.problems()
    assert "needs it on one, three;" in told


def test_a_role_that_meets_no_host_here_asks_for_nothing(project: Project) -> None:
    project.playbook("backup", "")
    assert project.problems() == []


def test_a_misspelt_prefix_in_a_roles_file_is_found(project: Project) -> None:
    project.values("backup_path: /srv\nbakcup_keep: 3\n")
    (told,) = project.problems()
    assert told.startswith("inventories/prod/group_vars/all/backup.yml:2: bakcup_keep is not an option of role backup")
    assert told.endswith("did you mean backup_keep?")


def test_what_only_hosts_know_is_judged_there(project: Project) -> None:
    project.values("backup_path: '/srv/{{ ansible_facts.hostname }}'\n")
    assert project.problems() == []


def test_a_name_that_nobody_defines_is_told(project: Project) -> None:
    project.values("backup_path: '/srv/{{ nowhere }}'\n")
    assert "backup_path cannot be filled in: 'nowhere' is undefined" in project.problems()[0]


def test_an_environment_with_anothers_name_is_refused(project: Project) -> None:
    project.playbook("backup", "")
    project.values("environment_name: staging\n", "environment.yml")
    (told,) = project.problems()
    assert told.startswith("inventories/prod/group_vars/all/environment.yml:1: environment_name is 'staging';")
    assert told.endswith("must be 'prod'")


def test_broken_yaml_in_several_files_is_told_at_once(project: Project) -> None:
    project.values("backup_path: [\n")
    project.values("a: 1\nb: 2\na: 3\n", "other.yml")
    with pytest.raises(Stop) as stop:
        variables.load(project.environment)
    assert "group_vars/all/backup.yml:2: the file is not YAML" in stop.value.message
    assert "group_vars/all/other.yml:3: a is given twice (first on line 1)" in stop.value.message


def test_an_encrypted_file_without_its_key_is_named(project: Project) -> None:
    project.values("$ANSIBLE_VAULT;1.1;AES256\n3031\n", "vault.yml")
    with pytest.raises(Stop, match="vault"):
        variables.load(project.environment)


def test_secrets_are_read_with_their_vaults_script(project: Project) -> None:
    script = project.write("password-client", "#!/bin/sh\necho correct-horse\n")
    script.chmod(0o700)
    project.values("vault_backup_key: 7\n", "vault.yml")
    project.values("backup_path: /srv\nbackup_key: '{{ vault_backup_key }}'\n")
    vault = project.environment.variables / "vault.yml"
    tool = Path(sys.executable).with_name("ansible-vault")
    words = [str(tool), "encrypt", "--vault-id", f"prod@{script}", "--encrypt-vault-id", "prod", str(vault)]
    subprocess.run(words, check=True, capture_output=True)
    loaded = variables.load(project.environment, vault_ids=[f"prod@{script}"])
    assert variables.validate(loaded) == []
    assert loaded.value("one", "backup_key") == 7


def test_a_hosts_own_value_is_found_in_the_inventory(project: Project) -> None:
    project.write(
        "inventories/prod/hosts.yml", "all:\n  children:\n    app:\n      hosts:\n        one: {backup_keep: few}\n"
    )
    project.values("backup_path: /srv\nbackup_keep: 3\n")
    assert project.problems()[0].startswith("inventories/prod/hosts.yml:5: backup_keep ")


def test_a_setting_that_was_renamed_is_refused_by_its_old_and_its_new_name(project: Project) -> None:
    project.values("backup_path: /srv\nbackup_keeping: 3\nold_word: 1\n")
    renamed = {"backup_keeping": "backup_keep", "old_word": "backup_kind"}
    told = [str(problem) for problem in variables.validate(variables.load(project.environment), renamed=renamed)]
    where = "inventories/prod/group_vars/all/backup.yml"
    assert told == [
        f"{where}:2: backup_keeping is now called backup_keep; rename it there",
        f"{where}:3: old_word is now called backup_kind; rename it there",
    ]


def test_a_new_name_is_an_option_and_an_old_one_is_none() -> None:
    options = {name for role in specs.roles(paths.CHECKOUT).values() for name in role.options}
    assert set(variables.RENAMED.values()) <= options
    assert not set(variables.RENAMED) & options
