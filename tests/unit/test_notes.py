"""The example application passes its own tests, in an environment made from its own lock."""

from __future__ import annotations

import os
import subprocess

from tests.support import locked

from ferryman import paths

NOTES = paths.CHECKOUT / "examples" / "notes"


def test_the_example_passes_its_own_tests() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    python = locked.python(NOTES / "requirements-dev.txt")
    done = subprocess.run([str(python), "-m", "pytest", "-q"], cwd=NOTES, env=clean, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert done.returncode == 0, done.stdout
