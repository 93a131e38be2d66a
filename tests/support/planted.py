"""Where a secret that was planted is found: in arguments of processes, in files that come and go, and in others."""

import os
import threading
from pathlib import Path
from typing import Self

from tests.support import processes

CODE = """\
import mmap, os, sys
wanted = [word.encode() for word in sys.stdin.read().split()]
skip = ("/proc", "/sys", "/dev", "/run/credentials", "/usr/lib", "/usr/share", "/var/cache/apt")
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.join(folder, name).startswith(skip)]
    for name in names:
        path = os.path.join(folder, name)
        try:
            if os.path.islink(path) or not os.path.isfile(path) or not os.path.getsize(path):
                continue
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                if any(text.find(word) >= 0 for word in wanted):
                    print(path)
        except (OSError, ValueError):
            pass
"""
"""Says which files of the host hold one of the words that it is given on standard input."""


class Watch:
    """Looks at the arguments of every process of this machine, the hosts' included, and at files that come and go."""

    def __init__(self, passing: Path, *values: str) -> None:
        self.passing = passing
        self.values = [value.encode() for value in values]
        self.found: list[str] = []
        self.looked = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.is_set():
            paths = [place / "cmdline" for place in processes.every()]
            paths += below(self.passing)
            for path in paths:
                try:
                    text = path.read_bytes()
                except OSError:
                    continue  # it has ended, or is gone
                if any(value in text for value in self.values):
                    self.found.append(f"{path}: {text.replace(bytes(1), b' ')[:300]!r}")
            self.looked += 1
            self._over.wait(0.02)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread.is_alive(), "nobody was looking"
        self._over.set()
        self._thread.join(10)


def below(folder: Path) -> list[Path]:
    """Return the files below a folder. Globbing would stumble over a folder that goes meanwhile, as runs of others have
    below ~/.ansible."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def holding(folder: Path, values: list[str], since: float) -> list[str]:
    """Return the files below a folder, written since then, that hold one of the values."""
    found = []
    for path in below(folder):
        try:
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since - 1:
                text = path.read_bytes()
                found += [str(path) for value in values if value.encode() in text]
        except OSError:
            continue  # a socket, or gone meanwhile
    return found
