"""One at a time, on the whole machine: checkouts and users share the engine's images, networks and names."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _directory() -> Path:
    """Return a directory of this user's alone: a lock's name in a shared one could be taken by anybody."""
    path = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"ferryman-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else")
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name`; wait for it first. Its file goes with it, so that nothing is left behind."""
    path = _directory() / f"{name}.lock"
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        # Whoever held it before has removed the file: then this is a lock that nobody else will find.
        try:
            if os.fstat(handle).st_ino == path.stat().st_ino:
                break
        except FileNotFoundError:
            pass
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
