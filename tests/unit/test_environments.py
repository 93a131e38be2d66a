"""`local` alone is ever a default.

Requirements: ENV-1.
"""

from pathlib import Path

import pytest

from ferryman import environments, paths
from ferryman.errors import Stop


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("prod", "local", "dev"):
        (tmp_path / "inventories" / name).mkdir(parents=True)
        (tmp_path / "inventories" / name / "hosts.yml").write_text("all: {}\n")
    (tmp_path / "inventories" / "notes").mkdir()
    return tmp_path


def test_an_environment_is_a_directory_with_hosts(project: Path) -> None:
    assert environments.names(project) == ["dev", "local", "prod"]


def test_no_name_means_local(project: Path) -> None:
    assert environments.resolve("", project=project).name == "local"


def test_no_name_is_refused_where_local_is_no_default(project: Path) -> None:
    with pytest.raises(Stop, match="--env is needed") as stop:
        environments.resolve("", default_local=False, project=project)
    assert stop.value.hint == "one of: dev, local, prod"


def test_no_name_is_refused_where_there_is_no_local(project: Path) -> None:
    (project / "inventories" / "local" / "hosts.yml").unlink()
    with pytest.raises(Stop, match=r"--env is needed here: inventories/local has no hosts\.yml"):
        environments.resolve("", project=project)
    with pytest.raises(Stop, match=r"no environment 'local': inventories/local has no hosts\.yml"):
        environments.resolve("local", project=project)


@pytest.mark.parametrize("name", ["production", "../prod", ".", "notes"])
def test_an_unknown_name_is_refused_with_the_list(project: Path, name: str) -> None:
    with pytest.raises(Stop, match="no environment") as stop:
        environments.resolve(name, project=project)
    assert "dev, local, prod" in stop.value.hint


def test_the_project_is_found_from_below(project: Path) -> None:
    below = project / "docs" / "deep"
    below.mkdir(parents=True)
    assert paths.project_root(below) == project


def test_outside_of_a_project_and_a_checkout_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "in_checkout", lambda: False)
    with pytest.raises(Stop, match="no project here"):
        paths.project_root(tmp_path)


def test_state_is_private_and_ignored_by_git(project: Path) -> None:
    state = paths.state_directory(project)
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / ".gitignore").read_text() == "*\n"
    assert paths.state_directory(project) == state
