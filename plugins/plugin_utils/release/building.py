"""What a build does on the driver: the application's own commands, and whatever brings packages.

All of it ends when the run is asked to stop. How deep below a build a command is begun is its runtime's affair, so the
question goes along beside the calls.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import children

Heed = Callable[[], None]
_heed: ContextVar[Heed] = ContextVar("heed", default=lambda: None)
LINES = 15  # of what a command said last


@contextmanager
def heeding(heed: Heed) -> Iterator[None]:
    """Have every command in here end as soon as `heed` raises."""
    before = _heed.set(heed)
    try:
        yield
    finally:
        _heed.reset(before)


def run(
    command: Sequence[str] | str, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command (a text is the shell's) and return what came of it."""
    return children.run(command, heed=_heed.get(), cwd=cwd, env=env)


def built(tree: Path, build: Mapping[str, Any]) -> Path:
    """Run a description's commands in a tree, and return the directory that is to be packed."""
    for command in build["commands"]:
        done = run(str(command), cwd=tree)
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LINES:])
            raise AnsibleError(f"the build's command {command!r} failed ({done.returncode}):\n{last}")
    root = tree / str(build["root"])
    if not root.is_dir():
        raise AnsibleError(f"build.root {build['root']!r} is no directory after the build")
    return root


def files(root: Path) -> Iterator[tuple[str, int, bytes | str]]:
    """Yield (path, mode, content or link target) of every file below `root`, in git's order, and that of files.txt."""
    for name in sorted(str(path.relative_to(root)) for path in root.rglob("*")):
        path = root / name
        if path.is_symlink():
            yield name, 0o777, os.readlink(path)
        elif path.is_file():
            yield name, path.stat().st_mode, path.read_bytes()
