"""Programs of hosts: whatever they import goes with them."""

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect_command, command, source_command
from ansible_collections.ferryman.ops.plugins.module_utils.host import program


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
