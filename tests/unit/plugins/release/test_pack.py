"""The code that travels to hosts is whole: what one of its modules imports, somewhere and at some time, is in it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import pack

OURS = "ansible_collections.ferryman.ops.plugins."


def imported(text: str) -> set[str]:
    """Return the modules of the collection that a module imports, also within a function."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OURS):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith(OURS)}
    return found


def test_every_module_that_is_packed_can_be_imported_from_it_alone(tmp_path: Path) -> None:
    place = tmp_path / "host.pyz"
    place.write_bytes(pack.packed())
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in pack.texts()
        if name != "__main__.py"
    ]
    script = (
        f"import importlib, sys; sys.path.insert(0, {str(place)!r}); [importlib.import_module(m) for m in {modules}]"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_imported_late_is_packed_too() -> None:
    known = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in pack.texts()}
    wanted = {module for text in pack.texts().values() for module in imported(text)}
    # `from package import name` may name a function; then the package itself must be there.
    missing = {each for each in wanted if each not in known and each.rpartition(".")[0] not in known}
    assert not missing
    packages = {name.rpartition(".")[0] for name in known}
    assert not {each for each in wanted if each.rpartition(".")[0] in packages - known}


def test_who_imports_the_packer_has_read_the_code_so_that_what_ansible_forks_need_not() -> None:
    script = f"import sys; from {pack.__name__} import version; sys.exit(version.cache_info().currsize - 1)"
    known = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=known, check=False).returncode == 0
