"""Dependencies of a Python application: its lock, and a wheel for each line of it.

Hosts install from these wheels alone: a deploy and a rollback need no registry there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import building, git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes import requirements
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import (
    Lock,
    filling,
    glibc,
    here,
    is_of,
    runs_on,
    tool_path,
)

FIT: tuple[str, ...] = ("python", "platform", "libc")
SYSTEM: tuple[str, ...] = ("python3-venv",)
LOCKS = ("uv.lock", "requirements.txt")
OLDEST_GLIBC = 5  # manylinux_2_5 is the first there is (PEP 600)
WRITE = (
    "`uv pip compile --universal --generate-hashes --output-file requirements.lock {name}` writes one, for build.lock"
)
LEGACY = ("manylinux2014", "manylinux2010", "manylinux1")


def lock(commit: git.Commit, description: Mapping[str, Any]) -> Lock:
    """Return the lock as requirements; an empty one for an application without dependencies."""
    named = description["build"]["lock"]
    for name in [named] if named else LOCKS:
        text = git.show(commit, name)
        if text is not None:
            return Lock(name, _exported(commit, text) if name.endswith("uv.lock") else text)
    return Lock("", "")


def _exported(commit: git.Commit, text: str) -> str:
    project = git.show(commit, "pyproject.toml")
    if project is None:
        raise AnsibleError("uv.lock is there, pyproject.toml is not")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "uv.lock").write_text(text, encoding="utf-8")
        (Path(name) / "pyproject.toml").write_text(project, encoding="utf-8")
        what = ["--frozen", "--no-dev", "--no-emit-project", "--format", "requirements-txt", "--no-header"]
        try:
            done = subprocess.run(
                ["uv", "export", "--quiet", *what],
                cwd=name,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PATH": tool_path()},
            )
        except FileNotFoundError:
            raise AnsibleError("uv.lock needs uv on the driver: pip install uv") from None
    if done.returncode:
        raise AnsibleError(f"uv export: {done.stderr.strip()}")
    return done.stdout


def loose(commit: git.Commit, description: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return the lock and the line of it from which on it leaves open what is installed, and why; uv's never does."""
    named = description["build"]["lock"]
    name = named or next((name for name in LOCKS if git.has(commit, name)), "")
    found = [] if not name or name.endswith("uv.lock") else list(requirements.loose(git.show(commit, name) or ""))
    if not found:
        return []
    more = f", and {len(found) - 1} more lines are like that" if len(found) > 1 else ""
    return [(name, found[0][0], f"this is no lock: {found[0][1]}{more}; {WRITE.format(name=name)}")]


def unfit(lock: Lock | None, tools: Mapping[str, str], description: Mapping[str, Any]) -> list[str]:
    """Return why hosts with these `tools` cannot run the application; of packages pip says what does not fit."""
    wanted, there = str(description["runtime"]["version"]), tools["python_version"]
    if is_of(there, wanted):
        return []
    return [f"ferryman.yml wants Python {wanted} (runtime.version), the hosts have {there}"]


def fill(directory: Path, lock: Lock, tools: Mapping[str, str], description: Mapping[str, Any]) -> None:
    """Fill `directory` with a wheel for each line of the lock, for hosts with these `tools`."""
    with filling(directory) as (work, found):
        if lock.named:
            (work / "requirements.txt").write_text(lock.text, encoding="utf-8")
            _pip(lock.name, [*_how(tools, found), "-r", f"{work}/requirements.txt"], tools)


def _how(tools: Mapping[str, str], target: Path) -> list[str]:
    """Return pip's words: built here where that runs on the hosts, else ready-made for the hosts' platform."""
    mine, python = here(), f"{sys.version_info.major}.{sys.version_info.minor}"
    alike = (python, mine["platform"]) == (tools["python"], tools["platform"])
    if alike and runs_on(mine["libc"], tools["libc"]):
        return ["wheel", "--no-deps", "--wheel-dir", str(target)]
    machine = tools["platform"].partition("-")[2]
    newest = (glibc(tools["libc"]) or (2, OLDEST_GLIBC))[1]
    tags = [*(f"manylinux_2_{minor}" for minor in range(newest, OLDEST_GLIBC - 1, -1)), *LEGACY]
    platforms = [f"--platform={tag}_{machine}" for tag in tags]
    words = ["--no-deps", "--only-binary=:all:", f"--python-version={tools['python']}", "--dest", str(target)]
    return ["download", *words, *platforms]


def _pip(name: str, words: list[str], tools: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    done = building.run(command)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise AnsibleError(
            f"the wheels of {name} could not be had for Python {tools['python']} on {tools['platform']}"
            f" with {tools['libc']}:\n{last}"
        )
