"""Dependencies of a Python application: its lock, the key of the environment they make, a wheel for each of them.

Hosts install from these wheels alone: a deploy and a rollback need no registry there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git

LOCKS = ("uv.lock", "requirements.txt")
SUMS = "sums.json"
OLDEST_GLIBC = 5  # manylinux_2_5 is the first there is (PEP 600)
LEGACY = ("manylinux2014", "manylinux2010", "manylinux1")


def lock(commit: git.Commit, description: Mapping[str, Any]) -> tuple[str, str]:
    """Return the lock's name and its text as requirements; both empty for an application without dependencies."""
    if description["runtime"]["kind"] != "python":
        return "", ""
    named = description["build"]["lock"]
    for name in [named] if named else LOCKS:
        text = git.show(commit, name)
        if text is not None:
            return name, _exported(commit, text) if name.endswith("uv.lock") else text
    if named:
        raise AnsibleError(f"build.lock names {named}, which is not in the commit")
    return "", ""


def _exported(commit: git.Commit, text: str) -> str:
    project = git.show(commit, "pyproject.toml")
    if project is None:
        raise AnsibleError("uv.lock is there, pyproject.toml is not")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "uv.lock").write_text(text, encoding="utf-8")
        (Path(name) / "pyproject.toml").write_text(project, encoding="utf-8")
        what = ["--frozen", "--no-dev", "--no-emit-project", "--format", "requirements-txt", "--no-header"]
        # uv lies beside this Python where Ferryman brought it.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        try:
            done = subprocess.run(
                ["uv", "export", "--quiet", *what],
                cwd=name,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PATH": path},
            )
        except FileNotFoundError:
            raise AnsibleError("uv.lock needs uv on the driver: pip install uv") from None
    if done.returncode:
        raise AnsibleError(f"uv export: {done.stderr.strip()}")
    return done.stdout


def environment_key(requirements: str, tools: Mapping[str, str]) -> str:
    """Return the key of an environment: equal locks on equal Pythons, platforms and C libraries share it."""
    fit = [tools["python"], tools["platform"], tools["libc"]]
    return hashlib.sha256("\n".join([requirements, *fit]).encode()).hexdigest()[:16]


def fill(directory: Path, name: str, requirements: str, tools: Mapping[str, str]) -> None:
    """Fill `directory` with a wheel for each line of `requirements` (the lock `name`), for hosts with these `tools`."""
    if (directory / SUMS).is_file():
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".wheels-") as work:
        found = Path(work) / "wheels"
        found.mkdir()
        if any(line.strip() and not line.lstrip().startswith("#") for line in requirements.splitlines()):
            (Path(work) / "requirements.txt").write_text(requirements, encoding="utf-8")
            _pip(name, [*_how(tools, found), "-r", f"{work}/requirements.txt"], tools)
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found.iterdir())}
        (found / SUMS).write_text(json.dumps(sums), encoding="utf-8")
        shutil.move(found, directory)


def sums(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of each wheel in a filled directory, by file name."""
    return dict(json.loads((directory / SUMS).read_text(encoding="utf-8")))


def runs_on(here: str, there: str) -> bool:
    """Say whether what is built with one C library ("glibc-2.36") runs with another: its like, or a newer one."""
    mine, theirs = _glibc(here), _glibc(there)
    return mine <= theirs if mine and theirs else here == there


def _glibc(libc: str) -> tuple[int, int] | None:
    name, _, version = libc.partition("-")
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if name == "glibc" and major.isdigit() and minor.isdigit() else None


def _how(tools: Mapping[str, str], target: Path) -> list[str]:
    """Return pip's words: built here where that runs on the hosts, else ready-made for the hosts' platform."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}", f"{sys.platform}-{os.uname().machine}"
    if here == (tools["python"], tools["platform"]) and runs_on("-".join(platform.libc_ver()), tools["libc"]):
        return ["wheel", "--no-deps", "--wheel-dir", str(target)]
    machine = tools["platform"].partition("-")[2]
    newest = (_glibc(tools["libc"]) or (2, OLDEST_GLIBC))[1]
    tags = [*(f"manylinux_2_{minor}" for minor in range(newest, OLDEST_GLIBC - 1, -1)), *LEGACY]
    platforms = [f"--platform={tag}_{machine}" for tag in tags]
    words = ["--no-deps", "--only-binary=:all:", f"--python-version={tools['python']}", "--dest", str(target)]
    return ["download", *words, *platforms]


def _pip(name: str, words: list[str], tools: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise AnsibleError(
            f"the wheels of {name} could not be had for Python {tools['python']} on {tools['platform']}"
            f" with {tools['libc']}:\n{last}"
        )
