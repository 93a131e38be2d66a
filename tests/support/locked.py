"""Environments of Python that hold exactly what a lock names: made once for each lock, and kept from run to run."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from ferryman import paths


def python(lock: Path, interpreter: str = sys.executable) -> Path:
    """Return the Python of an environment with all of `lock`, made with `interpreter`; older locks' environments go."""
    kept = paths.state_directory(paths.CHECKOUT) / "tests" / str(lock.relative_to(paths.CHECKOUT)).replace("/", "-")
    place = kept / hashlib.sha256(lock.read_bytes() + interpreter.encode()).hexdigest()[:16]
    if not (place / "complete").is_file():
        shutil.rmtree(kept, ignore_errors=True)
        _uv("venv", "--python", interpreter, place)
        _uv("pip", "sync", "--python", place / "bin/python", "--require-hashes", lock)
        (place / "complete").touch()
    return place / "bin" / "python"


def _uv(*words: str | Path) -> None:
    argv = [Path(sys.executable).with_name("uv"), "--quiet", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
