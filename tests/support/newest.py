"""The newest Python that Ferryman knows, and on it the newer ansible-core and all else that the lock holds."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support import locked

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
    """Return the Python of an environment with all of requirements/dev.txt, and with Ferryman."""
    found = locked.python(paths.CHECKOUT / "requirements" / "dev.txt", interpreter())
    library = next((found.parents[1] / "lib").glob("python*/site-packages"))
    (library / "ferryman.pth").write_text(f"{paths.CHECKOUT / 'src'}\n")
    return found
