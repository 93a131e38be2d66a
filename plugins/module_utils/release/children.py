"""A command that may take long, and ends when somebody asks for that: with all that it began."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

HEED_S = 0.2
GRACE_S = 2.0  # to tidy up in, before it is killed


def run(
    command: Sequence[str] | str,
    *,
    heed: Callable[[], None],
    timeout: float = float("inf"),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command (a text is the shell's) and return what came of it, its output as text.

    `heed` is called several times a second; what it raises is raised here, once the command has ended.
    subprocess.TimeoutExpired where it takes longer than `timeout` seconds.
    """
    until = time.monotonic() + timeout
    with subprocess.Popen(
        command,
        shell=isinstance(command, str),
        cwd=cwd,
        env=env,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a group of its own: what it begins can be ended with it
    ) as process:
        try:
            while time.monotonic() < until:
                with suppress(subprocess.TimeoutExpired):
                    out, err = process.communicate(timeout=HEED_S)
                    return subprocess.CompletedProcess(command, process.returncode, out, err)
                heed()
        except BaseException:
            _end(process)
            raise
        _end(process)
    raise subprocess.TimeoutExpired(command, timeout)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and its group, which has its number: first asked, then killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with suppress(ProcessLookupError):  # a child may have outlived its parent
        os.killpg(process.pid, signal.SIGKILL)
