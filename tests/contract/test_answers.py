"""What every command owes a pipeline: with `--json` one object on stdout, whatever comes of it, and a code of four.

Requirements: CI-1.
"""

import ast
import inspect
import json
import os
import textwrap
from pathlib import Path
from unittest.mock import patch

import pytest

import ferryman
from ferryman import errors, paths, tasks
from ferryman.program import Config, Program

COMMANDS = sorted(tasks.namespace.task_names)
CODES = {errors.DONE, errors.REFUSED, errors.RETURNED, errors.NEEDS_PERSON}
# What those about a checkout are asked, and end with, in the small one below; the others find no environment in it.
WORDS = {"test": ["roles"], "soak": ["quick"], "bench": ["quick"]}
WORKS = {"test": errors.RETURNED, "docs.site": errors.REFUSED} | dict.fromkeys(
    ("soak", "bench", "docs.reference", "docs.defaults", "docs.locks", "docs.pictures"), errors.DONE
)
FILES = {
    "galaxy.yml": "",
    "pyproject.toml": '[tool.pytest.ini_options]\nmarkers = ["newcomer: x", "picture: x", "soak: x"]\n',
    "docs/decisions/.keep": "",
    "docs/pictures/.keep": "",
    "requirements/run.in": "",
    "requirements/dev.in": "",
    "requirements/tls.in": "",
    "molecule/broken/molecule.yml": "driver: of no kind\n",
    "roles/broken/meta/main.yml": "galaxy_info: {platforms: [{name: Debian, versions: [bookworm]}]}\n",
    "roles/broken/meta/argument_specs.yml": "argument_specs: {main: {short_description: Breaks.}}\n",
    "tests/bench/quick.py": "print('a figure')\n",
    "tests/e2e/test_small.py": """
import pathlib
import pytest

@pytest.mark.soak
def test_soak_quick():
    print("counting")

@pytest.mark.picture
def test_that_draws():
    pathlib.Path(".ferryman/pictures").mkdir(parents=True)
    pathlib.Path(".ferryman/pictures/drawn.svg").touch()
""",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one of each kind, of which the role's test and the site fail, and no environment."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("checkout")
def test_every_command_answers_with_one_object_where_that_is_wanted(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Descriptors are read, not Python's own streams: what a program that is started prints is stdout as well."""
    made = Program(name="t", binary="t", version=ferryman.__version__, namespace=tasks.namespace, config_class=Config)
    with patch.dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"):  # a second each, and nothing here needs them
        try:
            made.run(["t", name, *WORDS.get(name, []), "--json"])
            code: object = errors.DONE
        except SystemExit as left:
            code = left.code or errors.DONE
    said = capfd.readouterr()
    told = json.loads(said.out)
    assert isinstance(told, dict), said.out
    assert code in CODES, code
    assert code == WORKS.get(name, code), said.err
    assert told.get("code", errors.DONE) == code
    assert "a fault in Ferryman" not in said.out, said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_hands_on_whether_an_object_is_wanted_and_prints_nothing_itself(name: str) -> None:
    """Of those that need hosts to succeed this is what is seen without any: their answer goes through one door."""
    body = tasks.namespace[name].body
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(body))).body
    assert isinstance(function, ast.FunctionDef)
    context = function.args.args[0].arg
    used = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == context]
    assert used, f"{name} cannot know that --json was typed"
    printed = [
        node
        for node in ast.walk(ast.parse(Path(inspect.getfile(body)).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert all("stderr" in ast.unparse(node) for node in printed), (
        f"{name}: telling.tell knows of --json, print does not"
    )
