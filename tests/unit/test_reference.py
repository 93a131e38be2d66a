"""What is written from a spec, and that it can be read back."""

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from ferryman import reference, specs
from ferryman.tasks import docs


@pytest.fixture
def role(tmp_path: Path) -> specs.Role:
    path = tmp_path / "roles" / "backup" / "meta" / "argument_specs.yml"
    path.parent.mkdir(parents=True)
    path.write_text(
        dedent("""
        argument_specs:
          main:
            short_description: Keep backups.
            options:
              backup_path: {description: Where archives go., type: path, required: true}
              backup_keep: {description: How many., type: int, default: 7}
              backup_script: {description: What runs., type: str, default: "a\\nb\\n"}
              backup_targets:
                description: [Where copies go., A pipe | too.]
                type: list
                elements: dict
                default: []
                options:
                  port: {description: Its port., type: int}
          run:
            short_description: Take one.
            options:
              backup_kind: {description: Which., type: str, choices: [full, part], default: full}
        """)
    )
    return specs.read(path.parents[1])


def test_defaults_are_read_back_as_the_spec_says_them(role: specs.Role) -> None:
    written = reference.defaults(role)
    assert yaml.safe_load(written) == role.defaults
    assert list(role.defaults) == ["backup_keep", "backup_script", "backup_targets", "backup_kind"]
    assert "argument_specs.yml" in written.splitlines()[1]


def test_a_roles_page_has_every_entry_and_option(role: specs.Role) -> None:
    page = reference.role_page(role)
    assert "| `backup_path` | path | required | Where archives go. |" in page
    assert "| `backup_keep` | int | `7` | How many. |" in page
    assert "| `backup_targets` | list of dict | `[]` | Where copies go. A pipe \\| too. |" in page
    assert "| `backup_targets[].port` | int |  | Its port. |" in page
    assert "One of `full`, `part`." in page
    assert "## Entry `run`" in page


def test_what_is_stale_is_found_and_written_once(role: specs.Role) -> None:
    root = role.directory.parents[1]
    (root / "plugins" / "modules").mkdir(parents=True)
    gone = root / "docs" / "reference" / "roles" / "gone.md"
    gone.parent.mkdir(parents=True)
    gone.touch()
    made = reference.files(root, [("act", "Acts.", [("--env", "Where.")])], {"json": "An object."})
    assert gone in reference.stale(root, made)
    assert reference.write(root, made, only="main.yml") == [role.directory / "defaults" / "main.yml"]
    reference.write(root, made)
    assert reference.stale(root, made) == []
    assert not gone.exists()
    page = (root / "docs" / "reference" / "commands.md").read_text()
    assert "Every command takes\n\n| option | what it is |\n|---|---|\n| `--json` | An object. |\n" in page
    assert "| `--env` | Where. |" in (root / "docs" / "reference" / "commands.md").read_text()


def test_a_modules_documentation_is_read_without_importing_it(tmp_path: Path) -> None:
    path = tmp_path / "backup_info.py"
    path.write_text(
        'import nothing_such\nDOCUMENTATION = r"""\nmodule: backup_info\n"""\nRETURN = r"""\nsize: {type: int}\n"""\n'
    )
    assert reference.documentation(path) == {"module": "backup_info", "RETURN": {"size": {"type": "int"}}}


def test_every_option_of_every_command_is_explained() -> None:
    mute = [(name, option) for name, _, options in docs.commands() for option, said in options if not said]
    assert mute == []
