"""Programs of ours on a host, for timers: the same code that Ansible runs, and tools in environments of their own."""

from __future__ import annotations

import ast
import glob
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
from types import ModuleType
from typing import Any

LIBRARY = "/usr/local/lib/ferryman/python"
WHEELS = "/usr/share/python-wheels"
"""Where Debian has the wheel of pip, which `python3-venv` brings."""


def library(modules: list[ModuleType]) -> list[tuple[str, str, int]]:
    """Return the files (path, text, mode) by which a host runs modules by itself, under the names they have here."""
    files = {}
    for module in modules:
        path, parts = LIBRARY, module.__name__.split(".")
        for package in parts[:-1]:  # a marker in each: a collection installed for Ansible's own use must not come first
            path = os.path.join(path, package)
            files[f"{path}/__init__.py"] = ""
        files[f"{path}/{parts[-1]}.py"] = inspect.getsource(module)
    return [(path, text, 0o644) for path, text in files.items()]


def needed(*mains: ModuleType) -> list[ModuleType]:
    """Return programs' modules and all of ours that they import, and those import, in the order of names."""
    found: dict[str, ModuleType] = {}
    left = list(mains)
    while left:
        module = left.pop()
        if module.__name__ not in found:
            found[module.__name__] = module
            left += [sys.modules[name] for name in _imports(module)]
    return [found[name] for name in sorted(found)]


def _imports(module: ModuleType) -> set[str]:
    """Return the names of modules of this collection that one imports, packages aside: they hold nothing."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ansible_collections."):
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in named if name in sys.modules and not hasattr(sys.modules[name], "__path__")}


def launcher(main: ModuleType) -> str:
    """Return the text of a program that runs `main` of a module of the library."""
    return f"""#!/usr/bin/python3
import sys

sys.path.insert(0, "{LIBRARY}")
from {main.__name__} import main

sys.exit(main())
"""


class NotInstalled(Exception):
    """A tool's environment could not be made; the text says why, where pip was asked with what it said last."""


def environment(directory: str, requirements: str, tool: str) -> str:
    """Return the path of `tool` in an environment made from hashed requirements, making it if this Python has none yet.

    It is named after Python's version and the lock: after an upgrade of the system's Python the next run, by timer or
    by hand, makes another one instead of failing in the old. The lock is complete, so pip looks for nothing else.
    """
    path, program = _place(directory, requirements, tool)
    complete = f"{path}/complete"
    if os.path.exists(complete) and run([program, "--version"]).returncode == 0:
        return program
    try:
        with_pip = pip(path)
    except NotInstalled as error:
        raise NotInstalled(f"{tool} could not be installed: {error}") from None
    shutil.rmtree(path, ignore_errors=True)
    quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    for words in (
        venv(path),
        [*with_pip, "install", *quiet, "--no-deps", "--require-hashes", "--requirement", requirements],
        [program, "--version"],
    ):
        done = run(words)
        if done.returncode:
            raise NotInstalled(f"{tool} could not be installed ({' '.join(words[:4])} ...):\n{tail(done.stdout)}")
    with open(complete, "w", encoding="ascii"):
        pass
    for other in glob.glob(f"{directory}/[0-9]*"):
        if other != path:
            shutil.rmtree(other)
    return program


def venv(path: str) -> list[str]:
    """Return the command that makes an environment with nothing in it."""
    return ["/usr/bin/python3", "-m", "venv", "--without-pip", path]


def pip(path: str) -> list[str]:
    """Return the command by which pip works on the environment at `path`, without being in it.

    What venv would unpack and compile into every environment is a wheel, which runs as it is.
    """
    wheels = sorted(glob.glob(f"{WHEELS}/pip-*.whl"))
    if not wheels:
        raise NotInstalled(f"there is no pip-*.whl in {WHEELS}: install python3-venv")
    return [f"{path}/bin/python", f"{wheels[-1]}/pip"]


def installed(directory: str, requirements: str, tool: str) -> str:
    """Return the path at which `tool` is, or would be once `environment` has made it."""
    return _place(directory, requirements, tool)[1]


def _place(directory: str, requirements: str, tool: str) -> tuple[str, str]:
    with open(requirements, "rb") as file:
        key = f"{sys.version_info[0]}.{sys.version_info[1]}-{hashlib.sha256(file.read()).hexdigest()[:12]}"
    path = os.path.join(directory, key)
    return path, f"{path}/bin/{tool}"


def run(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program and keep what it says; one that is not there, or whose interpreter is gone, ends with 127."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **more,
        )
    except OSError as error:
        return subprocess.CompletedProcess(words, 127, f"{words[0]}: {error.strerror}")


def tail(text: str, lines: int = 12) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
