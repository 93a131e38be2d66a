"""Packages of Python for environments like those on hosts."""

import ensurepip
import zipfile
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import program


def tool(place: Path) -> Path:
    """Make a wheel of a tool that tells its version, and return where."""
    told, path = "tool-1.0.dist-info", place / "tool-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tool.py", "def main(): print('tool 1.0')\n")
        archive.writestr(f"{told}/METADATA", "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n")
        archive.writestr(f"{told}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{told}/entry_points.txt", "[console_scripts]\ntool = tool:main\n")
        archive.writestr(f"{told}/RECORD", "")
    return path


def packages(environments: Path) -> set[str]:
    """Return what lies in the one environment that is below a directory, beside what Python compiles."""
    (found,) = environments.glob("**/lib/python*/site-packages")
    return {path.name for path in found.iterdir()} - {"__pycache__"}


def of_pip(patch: pytest.MonkeyPatch) -> None:
    """Have pip's wheel found where this machine's Python has it, where it is not there where Debian's has it."""
    if not list(Path(program.WHEELS).glob("pip-*.whl")):
        patch.setattr(program, "WHEELS", str(Path(ensurepip.__file__).parent / "_bundled"))
