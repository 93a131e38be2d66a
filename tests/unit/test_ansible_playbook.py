"""Ansible as our runs start it: the same program, without looking for garbage where there is none."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ferryman import garbage, runs

OWN = [str(Path(sys.executable).with_name("ansible-playbook"))]
OURS = [sys.executable, *runs.PROGRAM]
SEEN = """
import gc, weakref

class Ring:
    def __init__(self):
        self.own = self

def seen(many):
    first = weakref.ref(Ring())
    for _ in range(many):
        Ring()
    return {"frozen": gc.get_freeze_count(), "gone": first() is None}

class FilterModule:
    def filters(self):
        return {"seen": seen}
"""
LOOKED = """
import gc, importlib.abc, runpy, sys

class Look(importlib.abc.MetaPathFinder):
    seen = {}
    def find_spec(self, name, path=None, target=None):
        self.seen[name] = gc.isenabled()

sys.meta_path.insert(0, Look())
sys.argv = ["", "--version"]
try:
    runpy.run_module("ferryman.ansible_playbook", run_name="__main__")
finally:
    print("SEEN", Look.seen["ansible.cli.playbook"], Look.seen["ansible.executor.playbook_executor"], gc.isenabled())
"""


def run(program: list[str], *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it, with nothing to ask, and nobody's settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [*program, *words], cwd=cwd, env=own, text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


@pytest.mark.parametrize("words", [["--no-such-word"], [], ["--syntax-check", "no-such.yml"]], ids=" ".join)
def test_it_says_what_ansibles_own_program_says_and_ends_as_that_ends(words: list[str], tmp_path: Path) -> None:
    own, ours = (run(program, *words, cwd=tmp_path) for program in (OWN, OURS))
    assert own.returncode
    assert (ours.returncode, ours.stdout, ours.stderr) == (own.returncode, own.stdout, own.stderr)


def test_what_is_imported_is_not_looked_through_for_garbage(tmp_path: Path) -> None:
    assert "SEEN False False True" in run([sys.executable, "-c", LOOKED], cwd=tmp_path).stdout


def test_what_a_playbook_leaves_is_collected_and_what_was_imported_left_alone(tmp_path: Path) -> None:
    (tmp_path / "filter_plugins").mkdir()
    (tmp_path / "filter_plugins" / "seen.py").write_text(SEEN)
    play = [{"ansible.builtin.debug": {"msg": f"{{{{ {2 * garbage.EVERY} | seen }}}}"}}]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": play}]))
    done = run(OURS, "-i", "localhost,", "play.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"gone": true' in done.stdout, done.stdout
    assert int(re.findall(r'"frozen": (\d+)', done.stdout)[0]) > garbage.EVERY


def test_nothing_is_imported_from_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / "ansible.py").write_text("raise SystemExit('this is not Ansible')")
    assert "ansible-playbook [core" in run(OURS, "--version", cwd=tmp_path).stdout
