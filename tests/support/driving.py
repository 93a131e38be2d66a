"""A command of Ferryman's that runs: followed step by step, stopped, killed, or waited for."""

import json
import os
import re
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support import processes

# A progress line: the role where it is not that of releases, the step, and its hosts in brackets. What ended badly has
# a colon and a host behind it.
STEP = re.compile(r"\[ *[\d.]+ s\] (?:[a-z]+: )?([^:(\n]+?)(?: \(.*\))?$")

READY_S = 1200
"""Hosts that are made ready, with all their packages, either are so by then or hang: how busy the machine is that has
them all is no matter of any test."""


@dataclass(frozen=True)
class Answer:
    """What a command ended with: exit code, stdout, stderr with its progress lines."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        # Why it failed comes last: who shows only the end of a long output then shows that.
        return f"exit code {self.code}\n{self.out}\n{self.err}\n{self.evidence}\n{self.text}"

    @cached_property
    def said(self) -> dict[str, Any]:
        """The JSON on stdout; empty for none."""
        with suppress(ValueError, TypeError):
            return dict(json.loads(self.out))
        return {}

    @property
    def text(self) -> str:
        """Everything that was told about a failure, in one string."""
        return " ".join(str(self.said.get(key, "")) for key in ("reason", "error", "hint"))

    @property
    def evidence(self) -> str:
        """The evidence of a failure, in one string."""
        return "\n".join(map(str, self.said.get("evidence") or []))


class Driver:
    """A command in a process group of its own; its progress can be followed, and it can be killed as a whole."""

    def __init__(self, argv: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            argv, cwd=cwd, env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.out: list[str] = []
        self.news = threading.Condition()
        self.readers = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in ((self.process.stderr, self.lines), (self.process.stdout, self.out))
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, stream: Any, into: list[str]) -> None:
        for line in stream:
            with self.news:
                into.append(line)
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def steps(self) -> list[str]:
        """The names of the steps that have begun, in order."""
        return [found[1] for line in self.lines if (found := STEP.match(line))]

    def wait_for_step(self, part: str, timeout_s: float = 60) -> bool:
        """Wait until a step begins whose name holds `part`; False when the driver ends without it."""
        with self.news:
            self.news.wait_for(
                lambda: any(part in step for step in self.steps()) or self.process.poll() is not None, timeout_s
            )
            return any(part in step for step in self.steps())

    def signal(self, number: int) -> None:
        """Send a signal to all of it."""
        processes.send(number, self.process.pid)

    def kill(self, *, whole: bool = True) -> None:
        """SIGKILL to all of it at once, as when a machine loses its power; or to its process group alone."""
        if whole:
            processes.end(self.process)
            return
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def wait(self, timeout_s: float = 120) -> Answer:
        """Wait for its end and return what it said."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            code = -9
        for reader in self.readers:
            reader.join(5)
        return Answer(code, "".join(self.out), "".join(self.lines))
