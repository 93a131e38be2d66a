"""What a command takes of the machine that it runs on, with all that it starts: its processors' time, its memory."""

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import processes

EVERY_S = 0.1
PROC = Path("/proc")


@dataclass(frozen=True)
class Use:
    """`cpu_s` of all processes that ended before the command did; `memory_mb` is the most that was held at once, where
    what several processes share is counted once. SSH's masters are in neither: they outlive the command."""

    cpu_s: float
    memory_mb: float


def of(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Use:
    """Run a command to its end, and return what it took; it must end well."""
    most, over = 0.0, threading.Event()
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(argv, cwd=cwd, env=env, stdout=said, stderr=said) as process,
    ):

        def watch() -> None:
            nonlocal most
            while not over.wait(EVERY_S):
                most = max(most, sum(map(_held_mb, processes.family(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        finally:
            over.set()
            watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(argv)}: {process.returncode}\n{said.read()}")
    return Use(used.ru_utime + used.ru_stime, most)


def _held_mb(pid: int) -> float:
    try:
        told = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0.0  # it has ended
    share = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
    return int(share.group(1)) / 1000 if share else 0.0
