"""The newest Python that Ferryman knows, and on it the newer ansible-core and all else that the lock holds."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ferryman import paths

KNOWN = ("3.14", "3.13", "3.12")
"""With the newer ansible-core in the lock; 3.11, on which all other tests run here, has an older one."""


def interpreter() -> str:
    """Return a Python of KNOWN on this machine; where there is none, a version, which uv then fetches."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in KNOWN:
        on_path = shutil.which(f"python{version}")
        found = [*([Path(on_path)] if on_path else []), *(each / "bin/python" for each in versions.glob(f"{version}*"))]
        for path in found:
            # A shim of pyenv exists for every version and refuses most of them.
            if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                return str(path)
    return KNOWN[1]


def python() -> Path:
    """Return the Python of an environment with all of requirements/dev.txt, made once for each lock."""
    lock = paths.CHECKOUT / "requirements" / "dev.txt"
    key = hashlib.sha256(lock.read_bytes() + interpreter().encode()).hexdigest()[:12]
    place = paths.state_directory(paths.CHECKOUT) / "newest" / key
    if not (place / "complete").is_file():
        shutil.rmtree(place.parent, ignore_errors=True)
        _uv("venv", "--python", interpreter(), place)
        _uv("pip", "install", "--python", place / "bin/python", "--require-hashes", "--requirement", lock)
        library = next((place / "lib").glob("python*/site-packages"))
        (library / "ferryman.pth").write_text(f"{paths.CHECKOUT / 'src'}\n")
        (place / "complete").touch()
    return place / "bin" / "python"


def _uv(*words: Any) -> None:
    done = subprocess.run([Path(sys.executable).with_name("uv"), "--quiet", *words], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
