"""What runtimes share on the driver: a lock as it was read from a commit, and the store of what it names."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SUMS = "sums.json"


@dataclass(frozen=True)
class Lock:
    """By what an application's dependencies are locked.

    `name` is the lock's file, `text` all that says what they are, `files` what the tool that fetches them wants to see.
    """

    name: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> bool:
        """Whether it names anything at all."""
        return any(line.strip() and not line.lstrip().startswith("#") for line in self.text.splitlines())

    def key(self, *fit: str) -> str:
        """Return the key of an environment: equal locks on hosts that are equal in what must `fit` share it."""
        return hashlib.sha256("\n".join([self.text, *fit]).encode()).hexdigest()[:16]


def is_of(version: str, wanted: str) -> bool:
    """Say whether a version is the one that is wanted, or one of its line: 3.11.2 is a 3.11, and any is of none."""
    return not wanted or f"{version}.".startswith(f"{wanted}.")


def tool_path() -> str:
    """Return where the tools of the driver are found: beside this Python, where Ferryman brought them, comes first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def here() -> dict[str, str]:
    """Return what a build here fits: platform and C library, as hosts say theirs."""
    return {"platform": f"{sys.platform}-{os.uname().machine}", "libc": "-".join(platform.libc_ver())}


def runs_on(here: str, there: str) -> bool:
    """Say whether what is built with one C library ("glibc-2.36") runs with another: its like, or a newer one."""
    mine, theirs = glibc(here), glibc(there)
    return mine <= theirs if mine and theirs else here == there


def glibc(libc: str) -> tuple[int, int] | None:
    """Return the version of a GNU C library; None for another."""
    name, _, version = libc.partition("-")
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if name == "glibc" and major.isdigit() and minor.isdigit() else None


@contextmanager
def filling(directory: Path) -> Iterator[tuple[Path, Path]]:
    """Give two empty directories, to work in and to fill; the latter becomes `directory`, with its files' sums."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".filling-", ignore_cleanup_errors=True) as name:
        work, found = Path(name) / "work", Path(name) / "found"
        work.mkdir()
        found.mkdir()
        yield work, found
        told = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found.iterdir())}
        (found / SUMS).write_text(json.dumps(told), encoding="utf-8")
        with (directory.parent / ".lock").open("w", encoding="ascii") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if sums(directory) is None:  # else another run has filled it meanwhile, and works with it
                shutil.rmtree(directory, ignore_errors=True)
                found.rename(directory)


def sums(directory: Path) -> dict[str, str] | None:
    """Return the SHA-256 of each file in a filled directory, by name; None where it was never filled."""
    try:
        return dict(json.loads((directory / SUMS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
