"""What leaves the checkout: the collection's tarball and the wheel hold what users need, and nothing else.

Requirements: CI-2.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import ferryman
from ferryman import reference, tasks
from ferryman.tasks import docs

ROOT = Path(__file__).parents[2]
TOOL = Path(sys.executable).parent
OURS = {"roles", "plugins", "playbooks", "meta"}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the collection's tarball, built in this checkout with all that lies in it."""
    out = tmp_path_factory.mktemp("collection")
    words = [str(TOOL / "ansible-galaxy"), "collection", "build", "--output-path", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(out.glob("*.tar.gz"))) as packed:
        return {member.name for member in packed if member.isfile()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the tools that are here."""
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def own(directory: str) -> set[str]:
    """The files of a directory that a release must carry."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def test_the_tarball_holds_the_collection_and_nothing_else(tarball: set[str]) -> None:
    tops = {name.split("/")[0] for name in tarball}
    allowed = OURS | {"README.md", "LICENSE", "docs", "changelogs", "requirements", "MANIFEST.json", "FILES.json"}
    assert tops <= allowed, f"the tarball carries {sorted(tops - allowed)}"
    assert not [name for name in tarball if re.search(r"__pycache__|\.pyc$|vault\.yml$|\.venv|\.ferryman", name)]


@pytest.mark.parametrize("directory", sorted(OURS))
def test_the_tarball_misses_nothing_that_runs(tarball: set[str], directory: str) -> None:
    assert own(directory) <= tarball, f"galaxy.yml's manifest leaves out {sorted(own(directory) - tarball)}"


def test_the_wheel_brings_program_and_collection(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    at = "ansible_collections/ferryman/ops"
    for directory in OURS:
        missing = {f"{at}/{name}" for name in own(directory)} - names
        assert not missing, f"the wheel leaves out {sorted(missing)}"
    assert {f"{at}/galaxy.yml", f"{at}/requirements/run.txt", "ferryman/ansible.cfg", "ferryman/py.typed"} <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ferryman", "ansible_collections", f"ferryman-{ferryman.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name]


def test_an_installed_wheel_finds_its_collection_and_ansible_finds_it_too(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    environment = keep | {"PYTHONPATH": str(site), "HOME": str(tmp_path)}
    code = "from ferryman import paths; print(paths.collection_root()); print(paths.ansible_config(paths.Path('/')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        str(site / "ansible_collections/ferryman/ops"),
        str(site / "ferryman/ansible.cfg"),
    ]
    words = [str(TOOL / "ansible-doc"), "--type", "role", "--list", "ferryman.ops", "--json"]
    found = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    roles = {path.parents[1].name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")}
    assert {f"ferryman.ops.{name}" for name in roles} <= set(yaml.safe_load(found.stdout))


def test_there_is_one_version() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == ferryman.__version__


def test_the_package_asks_for_what_the_lock_is_made_from() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    listed = [line.split("#")[0].strip() for line in (ROOT / "requirements" / "run.in").read_text().splitlines()]

    def plain(line: str) -> str:
        return line.replace(" ", "").replace('"', "'")

    assert sorted(map(plain, said)) == sorted(plain(line) for line in listed if line)


def test_what_is_written_from_a_source_is_current() -> None:
    stale = reference.stale(ROOT, reference.files(ROOT, docs.commands(), tasks.EVERYWHERE))
    assert not stale, "./invoke docs.reference writes: " + ", ".join(str(path.relative_to(ROOT)) for path in stale)


def test_changelog_fragments_are_well_formed() -> None:
    done = subprocess.run(
        [str(TOOL / "antsibull-changelog"), "lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_said_of_a_group_of_modules_is_said_of_all_of_its_kind() -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    for name, members in groups.items():
        assert members == sorted(path.stem for path in (ROOT / "plugins" / "modules").glob(f"{name}_*.py"))
