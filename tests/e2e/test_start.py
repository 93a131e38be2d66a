"""The guide from `pip install` to one's own application, typed line by line by somebody with Python and git alone.

Requirements: DOC-2.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.driving import READY_S, Answer
from tests.support.newcomer import IDENTITY
from tests.support.pages import blocks

from ferryman import paths

PAGE = paths.CHECKOUT / "docs" / "guides" / "start.md"
TYPED = [line for block in blocks(PAGE, "sh") for line in block.lines]
DEPLOY = "ferryman deploy"
LONG = pytest.mark.at_times(journey="a start by its guide")
# Waiting is what this journey is not about.
SHORT = {"release_soak_s": 1, "release_watch_s": 1, "release_worker_soak_s": 1, "release_drain_s": 0}
TOOL = {
    "pyproject.toml": '[project]\nname = "tool"\nversion = "1"\nrequires-python = ">=3.11"\n'
    'dependencies = ["bottle", "waitress"]\n',
    "src/tool/__init__.py": "import bottle\n\napplication = bottle.Bottle()\n"
    "application.route('/')(lambda: 'a hammer')\n",
    "Procfile": "web: waitress-serve --listen=0.0.0.0:$PORT tool:application\n"
    "clock: python -c 'import time; time.sleep(9999)'\nrelease: python -c 'import tool'\n",
}
PAGES = {"public/index.html": "<p>a page</p>\n", "README.md": "Not served.\n"}


@dataclass
class Reader:
    """Somebody at a terminal: a home of their own, and a shell that keeps its place and what it has activated."""

    place: Path
    wheel: Path
    before: list[str] = field(default_factory=list)

    def type(self, line: str, *, code: int = 0) -> Answer:
        """Type a line of the guide; the package is the wheel of this checkout, with no registry asked for it."""
        if line == "pip install ferryman":
            line = f"pip install --quiet {self.wheel}"
        hidden = ("ANSIBLE_", "PYTHON", "FERRYMAN_", "VIRTUAL_ENV", "PYTEST", "COV_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        # The system's own Python, whatever else is here: it is what somebody with a fresh machine has.
        environment |= IDENTITY | {"HOME": str(self.place), "NO_COLOR": "1", "PATH": f"/usr/bin:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-ec", "\n".join([*self.before, line])], cwd=self.place, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=READY_S,
        )  # fmt: skip
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert done.returncode == code, f"{line}\n{answer}"
        if line.startswith(("cd ", ". ")):
            self.before.append(line)
        return answer

    @property
    def local(self) -> Path:
        """The values of the environment that was laid out."""
        return self.place / "shop" / "inventories" / "local" / "group_vars" / "all"


def write(root: Path, files: dict[str, str]) -> None:
    """Write an application's files into a repository of its own."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run(words, cwd=paths.CHECKOUT, check=True, capture_output=True, timeout=120)
    # A short path: sockets of SSH lie below the home.
    found = Reader(Path(tempfile.mkdtemp(prefix="start-")), next(out.glob("*.whl")))
    shown = {}
    for block in blocks(PAGE, "python"):
        name, _, text = block.text.removeprefix("# shop/").partition("\n")
        shown[name] = text
    write(found.place / "shop", shown)
    subprocess.run(["git", "-C", found.place / "shop", "add", "--all"], check=True)
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", found.place / "shop", *person, "commit", "--quiet", "-m", "A shop"], check=True)
    try:
        yield found
    finally:
        if found.local.is_dir():
            found.type("ferryman sandbox.down")
        shutil.rmtree(found.place)


def test_ten_commands_are_enough() -> None:
    assert TYPED.index(DEPLOY) < 10


@LONG
def test_the_guide_leads_from_pip_install_to_an_answer(reader: Reader) -> None:
    told = ""
    for line in TYPED:
        if line == "ferryman init":
            told = reader.type(line).out.partition("\nnext:\n")[2]
            commands = [each.strip() for each in told.splitlines() if each.strip() and not each.strip().startswith("#")]
            assert commands == TYPED[TYPED.index(line) + 1 : TYPED.index(DEPLOY) + 1], told
            (reader.local / "release.yml").open("a").write(yaml.safe_dump(SHORT))
            continue
        answer = reader.type(line)
        if line == DEPLOY:
            curl = answer.out.strip().splitlines()[-1]
            assert curl.startswith("curl --cacert "), str(answer)
            assert reader.type(curl).out == "Open all day\n"
    assert told


@LONG
def test_a_new_environment_is_refused_by_name_until_it_is_filled_in(reader: Reader) -> None:
    said = reader.type("ferryman provision --env staging --json", code=1).said
    files = {Path(problem["file"]).name for problem in said["problems"]}
    assert files == {"hosts.yml", "host.yml", "apps.yml", "certificate.yml"}
    assert any("192.0.2.10" in problem["key"] for problem in said["problems"])


@LONG
def test_init_again_changes_nothing(reader: Reader) -> None:
    reader.type("git add --all && git commit --quiet --message 'Add staging'")
    said = reader.type("ferryman init --json").said
    assert (said["made"], said["missing"], said["next"]) == ([], [], [DEPLOY])
    assert reader.type("git status --porcelain").out == ""


@LONG
def test_two_applications_of_other_shapes_are_described_as_a_deploy_takes_them_and_one_is_deployed(
    reader: Reader,
) -> None:
    apps: dict[str, Any] = yaml.safe_load((reader.local / "apps.yml").read_text())
    for name, files in {"tool": TOOL, "pages": PAGES}.items():
        root = reader.place / name
        write(root, files)
        said = reader.type(f"ferryman init ../{name} --json").said
        *others, add = said["missing"]
        assert [each["command"] for each in others] == (["(cd ../tool && uv lock)"] if name == "tool" else [])
        for line in [*(each["command"] for each in others), *said["next"][:-1]]:
            reader.type(line)
        assert yaml.safe_load((root / "ferryman.yml").read_text())["name"] == name
        apps["apps"] |= yaml.safe_load(add["why"].partition("\n")[2])
    (reader.local / "apps.yml").write_text(yaml.safe_dump(apps))
    checked = reader.type("ferryman check --json").said
    assert (checked["applications"], checked["problems"]) == (["pages", "shop", "tool"], [])
    del apps["apps"]["pages"]  # files alone, as tests/e2e/test_runtimes.py deploys them
    (reader.local / "apps.yml").write_text(yaml.safe_dump(apps))
    description = reader.place / "tool" / "ferryman.yml"
    told = yaml.safe_load(description.read_text())
    description.write_text(yaml.safe_dump(told | {"build": {"commands": ["touch src/tool/built"]}}))
    reader.type("git -C ../tool commit --quiet --all --message 'Build something'")
    report = reader.type("ferryman deploy --app tool --json").said
    assert reader.type(f"curl -sS --cacert {report['ca']} {report['url']}").out == "a hammer"
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{7}", report["release"])


@LONG
def test_a_work_tree_and_a_commit_are_not_deployed_at_once(reader: Reader) -> None:
    said = reader.type("ferryman deploy --app shop --allow-dirty --ref HEAD --json", code=1).said
    assert said["hint"] == "take one of the two"


@LONG
def test_of_hosts_that_were_taken_down_nothing_is_gone_back_from_and_none_is_made(reader: Reader) -> None:
    reader.type("ferryman sandbox.down")
    said = reader.type("ferryman rollback --app shop --json", code=1).said
    assert said["error"] == "the sandbox of local is not up, so nothing is deployed to it"
    hosts = reader.type("ferryman sandbox.list --json").said["hosts"]
    assert {host["state"] for host in hosts} == {"absent"}
