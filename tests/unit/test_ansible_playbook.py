"""Ansible as our runs start it: the same program, without looking for garbage where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ferryman import garbage, runs

OWN = [str(Path(sys.executable).with_name("ansible-playbook"))]
OURS = [sys.executable, *runs.PROGRAM]
SEEN = """
import gc

class FilterModule:
    def filters(self):
        return {"seen": lambda _: [gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count()]}
"""
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "SEEN {{ 1 | seen | to_json }}"}
"""


def run(program: list[str], *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it, with nothing to ask."""
    return subprocess.run(
        [*program, *words], cwd=cwd, text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


@pytest.mark.parametrize("words", [["--no-such-word"], [], ["--syntax-check", "no-such.yml"]], ids=" ".join)
def test_it_says_what_ansibles_own_program_says_and_ends_as_that_ends(words: list[str], tmp_path: Path) -> None:
    own, ours = (run(program, *words, cwd=tmp_path) for program in (OWN, OURS))
    assert own.returncode
    assert (ours.returncode, ours.stdout, ours.stderr) == (own.returncode, own.stdout, own.stderr)


def test_what_is_imported_is_not_looked_through_and_garbage_is_collected_still(tmp_path: Path) -> None:
    (tmp_path / "filter_plugins").mkdir()
    (tmp_path / "filter_plugins" / "seen.py").write_text(SEEN)
    (tmp_path / "play.yml").write_text(PLAY)
    done = run(OURS, "-i", "localhost,", "play.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    enabled, every, left_alone = json.loads(done.stdout.partition("SEEN ")[2].partition("]")[0].replace("\\", "") + "]")
    assert (enabled, every) == (True, garbage.EVERY)
    assert left_alone > every


def test_nothing_is_imported_from_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / "ansible.py").write_text("raise SystemExit('this is not Ansible')")
    assert "ansible-playbook [core" in run(OURS, "--version", cwd=tmp_path).stdout
