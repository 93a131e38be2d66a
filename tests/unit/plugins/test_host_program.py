"""Programs of hosts: whatever they import goes with them."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect_command, command, source_command
from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from tests.support import wheels


@pytest.mark.parametrize(
    "main", [command, collect_command, source_command], ids=lambda main: main.__name__.rpartition(".")[2]
)
def test_a_program_runs_with_nothing_but_what_its_library_holds(
    main: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "LIBRARY", str(tmp_path / "library"))
    for path, text, _ in program.library(program.needed(main)):  # type: ignore[arg-type]  # a module
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    (tmp_path / "run").write_text(program.launcher(main))  # type: ignore[arg-type]  # as above
    words = [sys.executable, "-I", str(tmp_path / "run"), "--help"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--name NAME" in told.stdout


def locked(place: Path) -> str:
    """Write a lock of a tool alone, and return where."""
    made = wheels.tool(place)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    (place / "requirements.txt").write_text(f"tool @ {made.as_uri()} --hash=sha256:{digest}\n")
    return str(place / "requirements.txt")


def test_a_tools_environment_holds_what_its_lock_names_and_nothing_else_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels.of_pip(monkeypatch)
    lock = locked(tmp_path)
    tool = program.environment(str(tmp_path / "tools"), lock, "tool")
    assert program.run([tool]).stdout == "tool 1.0\n"
    assert wheels.packages(tmp_path / "tools") == {"tool.py", "tool-1.0.dist-info"}
    made = Path(tool).stat()
    assert Path(program.environment(str(tmp_path / "tools"), lock, "tool")).stat().st_mtime_ns == made.st_mtime_ns


def test_what_is_not_what_the_lock_names_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels.of_pip(monkeypatch)
    lock = locked(tmp_path)
    with zipfile.ZipFile(tmp_path / "tool-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(program.NotInstalled, match=r"(?s)tool could not be installed .*DO NOT MATCH THE HASHES"):
        program.environment(str(tmp_path / "tools"), lock, "tool")


def test_a_host_that_lacks_pip_is_told_which_package_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WHEELS", str(tmp_path))
    with pytest.raises(program.NotInstalled, match=r"tool could not be installed: .*: install python3-venv"):
        program.environment(str(tmp_path / "tools"), locked(tmp_path), "tool")
