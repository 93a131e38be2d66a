"""Shells themselves are asked what they offer after TAB, for both of the program's names."""

import os
import pty
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.pages import blocks

from ferryman import completion, paths

ROOT = paths.CHECKOUT
PAGE = ROOT / "docs" / "guides" / "command-line.md"
PROGRAMS = ["./invoke", "ferryman"]
EXPECTED = {
    ("dep",): ["deploy"],
    ("maintenance.o",): ["maintenance.off", "maintenance.on"],
    ("deploy", "--env", "pr"): ["prod"],
    ("deploy", "--re"): ["--ref"],
}


@pytest.fixture
def shells(tmp_path: Path) -> dict[str, str]:
    """An environment of processes in which `ferryman` is on the PATH, as an installation puts it there."""
    program = tmp_path / "ferryman"
    program.write_text(f"#!{sys.executable}\nfrom ferryman.program import main\nmain()\n")
    program.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src"), "TERM": "dumb"}


def run(shells: dict[str, str], *argv: str) -> str:
    done = subprocess.run(argv, cwd=ROOT, env=shells, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_bash_offers_what_can_follow(shells: dict[str, str], program: str) -> None:
    """The function that bash says it would call for the program is called as bash calls it."""
    script = f"""
    eval "$({program} --print-completion-script bash)"
    [[ $(complete -p {program}) =~ -F\\ ([^\\ ]+) ]]
    ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); ${{BASH_REMATCH[1]}}; echo "${{COMPREPLY[@]}}"; }}
    """
    asked = "".join(f"ask {program} {shlex.join(words)}\n" for words in EXPECTED)
    assert [line.split() for line in run(shells, "bash", "-c", script + asked).splitlines()] == list(EXPECTED.values())


@pytest.mark.parametrize("program", PROGRAMS)
def test_fish_offers_what_can_follow(shells: dict[str, str], program: str) -> None:
    for words, expected in EXPECTED.items():
        asked = shlex.quote(shlex.join([program, *words]))
        said = run(
            shells, "fish", "-c", f"{program} --print-completion-script fish | source; complete -C {asked}"
        ).split()
        assert said == expected


@pytest.mark.parametrize("program", PROGRAMS)
def test_zsh_completes_the_word_that_is_typed(shells: dict[str, str], program: str) -> None:
    words = [words for words, expected in EXPECTED.items() if len(expected) == 1]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execvpe("zsh", ["zsh", "-f", "-i"], shells)
    try:
        seen = typed(terminal, f'PS1=; eval "$({program} --print-completion-script zsh)"; print loa""ded\n', "loaded")
        for each in words:
            wanted = " ".join([program, *each[:-1], *EXPECTED[each]])
            seen += typed(terminal, f"{shlex.join([program, *each])}\t", f"{wanted}")
            typed(terminal, '\x15print nex""t\n', "next")  # Control-U: the line is forgotten
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def typed(terminal: int, keys: str, wanted: str, timeout_s: float = 30) -> str:
    """Press keys, and return what the terminal shows once `wanted` is on it."""
    os.write(terminal, keys.encode())
    seen, deadline = "", time.monotonic() + timeout_s
    while wanted not in seen:
        assert time.monotonic() < deadline, f"{wanted!r} did not come: {seen!r}"
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen


def test_the_guide_has_the_line_for_each_shell() -> None:
    lines = [line for block in blocks(PAGE, "sh") for line in block.lines]
    for shell in completion.SCRIPTS:
        assert any(f"--print-completion-script {shell}" in line for line in lines)


def test_a_checkout_without_an_environment_offers_nothing_and_makes_none(
    shells: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "invoke").write_bytes((ROOT / "invoke").read_bytes())
    assert run(shells, "sh", str(tmp_path / "invoke"), "--complete", "--", "./invoke dep") == ""
    assert not (tmp_path / ".venv").exists()
