"""The example application passes its own tests, in an environment made from its own lock."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / "examples" / "notes"


def environment() -> Path:
    """Return the Python of an environment that holds exactly the lock; it is kept between runs."""
    lock = NOTES / "requirements-dev.txt"
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = ROOT / ".ferryman" / "tests" / f"notes-{key}"
    python, stamp = home / "bin" / "python", home / "complete"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", "--require-hashes", "-r", str(lock)], check=True)
        stamp.touch()
    return python


def test_the_example_passes_its_own_tests() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run([str(environment()), "-m", "pytest", "-q"], cwd=NOTES, env=clean, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert done.returncode == 0, done.stdout
