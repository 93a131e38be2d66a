"""A command on a terminal of its own: what it shows is read as a person would see it, and keys can be pressed."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

import pyte

CTRL_C = "\x03"


class Terminal:
    """A command whose standard streams are a terminal of `rows` and `columns`, which is its controlling one."""

    def __init__(
        self,
        argv: list[str],
        cwd: Path,
        env: dict[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=0.5)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.news = threading.Condition()
        self.master, slave = pty.openpty()
        self._size(slave, rows, columns)
        self.process = subprocess.Popen(
            argv, cwd=cwd, env={"TERM": "xterm-256color", **env}, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=_own,
        )  # fmt: skip
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @staticmethod
    def _size(terminal: int, rows: int, columns: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the terminal's end, as Linux tells it
            while data := os.read(self.master, 65536):
                with self.news:
                    self.raw += data
                    self.stream.feed(data)
                    self.news.notify_all()

    def press(self, keys: str) -> None:
        """Press keys; Ctrl-C becomes a signal to whoever is in the foreground, by the kernel."""
        os.write(self.master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """Make the window another size."""
        with self.news:
            self.screen.resize(rows, columns)
        self._size(self.master, rows, columns)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def shown(self) -> list[str]:
        """What is on the screen, line by line."""
        with self.news:
            return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """All that the terminal shows, with what has scrolled away."""
        with self.news:
            gone = ["".join(row[column].data for column in sorted(row)).rstrip() for row in self.screen.history.top]
            return "\n".join([*gone, *(line.rstrip() for line in self.screen.display)]).rstrip()

    def wait_for(self, part: str, timeout_s: float = 60) -> bool:
        """Wait until `part` was shown; False when the command ends without it."""
        deadline = time.monotonic() + timeout_s
        while part not in " ".join(self.text().split()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                return part in " ".join(self.text().split())
            time.sleep(0.02)
        return True

    def wait(self, timeout_s: float = 120) -> int:
        """Wait for the end and return the exit code."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        self._read_whole()
        return code

    def _read_whole(self) -> None:
        """Wait until all has been read, on a busy machine too; whoever has it open still keeps it from its end."""
        before = -1
        while self.reader.is_alive() and (select.select([self.master], [], [], 0)[0] or len(self.raw) > before):
            with self.news:  # not while what was read is being shown
                before = len(self.raw)
            self.reader.join(2)


def _own() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job, and what it starts, ignores it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
