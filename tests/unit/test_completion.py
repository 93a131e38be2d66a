"""What is offered after TAB where it is not Invoke's to say."""

from pathlib import Path

import pytest

from ferryman import completion
from ferryman.errors import Stop


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dev", "prod"):
        (tmp_path / "inventories" / name).mkdir(parents=True)
        (tmp_path / "inventories" / name / "hosts.yml").write_text("all: {}\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("typed", ["--env ", "--env p", "-e ", "--env = p", "--env ="])
def test_the_projects_environments_follow_their_option(typed: str) -> None:
    assert completion.values(f"ferryman deploy {typed}") == ["dev", "prod"]


def test_a_shell_that_leaves_the_sign_in_the_word_gets_whole_words() -> None:
    assert completion.values("ferryman deploy --env=p") == ["--env=dev", "--env=prod"]


@pytest.mark.parametrize("typed", ["", "dep", "deploy ", "deploy --env", "deploy --env dev ", "deploy --ref "])
def test_everything_else_is_left_to_invoke(typed: str) -> None:
    assert completion.values(f"ferryman {typed}") == []


def test_a_shell_without_a_script_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(Stop) as stop:
        completion.script("tcsh", "ferryman")
    assert stop.value.hint == "one of: bash, fish, zsh"
