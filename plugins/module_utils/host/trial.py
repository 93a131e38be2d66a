"""A change of how a host is reached, kept only when a new connection confirms it ("commit confirmed").

Whoever makes such a change may lose the host by it, so the way back must need nobody: before the change, a timer is
armed that undoes it; a confirmation that came over a new connection disarms it. The driver may die at any point. A
timer does not outlive a reboot, so the unit that undoes also runs at boot, before the service in question.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from typing import Callable, Optional

ROOT = "/var/lib/ferryman/trials"

UNIT = """\
# Written by Ferryman: undoes a change of {name} that nobody confirmed; by timer, and at boot.
[Unit]
Description=Undo the unconfirmed change of {name}
ConditionPathExists={directory}/pending
DefaultDependencies=no
After=local-fs.target
Before={before}
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/bin/sh {directory}/undo

[Install]
WantedBy=multi-user.target
"""

UNDO = """\
#!/bin/sh
# Written by Ferryman. Under the lock that a confirmation takes, so that only one of the two happens.
exec 9>{directory}/lock
flock 9
[ -e {directory}/pending ] || exit 0
{undo}
rm -f {directory}/pending
"""


class NotOurs(Exception):
    """A confirmation that must not count; the text says why."""


def connection(pid: Optional[int] = None) -> str:
    """Return SSH_CONNECTION ("client port server port") of the session that runs this, or "" outside SSH.

    sudo empties the environment, so the ancestors are asked; root may read theirs.
    """
    pid = os.getpid() if pid is None else pid
    while pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                for entry in file.read().split(b"\0"):
                    if entry.startswith(b"SSH_CONNECTION="):
                        return entry.partition(b"=")[2].decode(errors="replace")
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The second field is a name in brackets that may hold spaces and brackets of its own.
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            return ""
    return ""


class Trial:
    """One thing under trial.

    `undo` is shell that restores the confirmed state, `before` names the units that must not see the change at boot.
    """

    def __init__(self, name: str, undo: str, before: str, run: Callable[[list[str]], None]) -> None:
        self.name, self.before, self.run = name, before, run
        self.directory = f"{ROOT}/{name}"
        self.pending = f"{self.directory}/pending"
        self.unit = f"ferryman-{name}-undo"
        self.undo = undo

    def path(self, name: str) -> str:
        """Return where the trial keeps a file of its own."""
        return f"{self.directory}/{name}"

    def is_pending(self) -> bool:
        """Return whether a change awaits its confirmation."""
        return os.path.exists(self.pending)

    def abandon(self) -> None:
        """Undo now what is pending: left by a driver that died, or found wrong before anyone was cut off."""
        if self.is_pending():
            self.run(["/bin/sh", self.path("undo")])
        self._disarm()

    def begin(self, seconds: int) -> None:
        """Arm the way back; only after this may the change be made."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        write(self.path("undo"), UNDO.format(directory=self.directory, undo=self.undo))
        unit = f"/etc/systemd/system/{self.unit}.service"
        if write(unit, UNIT.format(name=self.name, directory=self.directory, before=self.before)):
            self.run(["systemctl", "daemon-reload"])
        self.run(["systemctl", "--quiet", "enable", f"{self.unit}.service"])
        self._disarm()
        # Naming the service and no command makes the timer start the unit that is there.
        timer = ["--timer-property=AccuracySec=200ms", f"--on-active={seconds}", f"--unit={self.unit}.service"]
        with self._locked():
            write(self.pending, connection() + "\n")
        try:
            self.run(["systemd-run", "--quiet", *timer])
        except BaseException:
            os.unlink(self.pending)
            raise

    def confirm(self, settle: Callable[[], None]) -> None:
        """Keep the change, made permanent by `settle`; refuse when it was undone or nothing new has been shown."""
        with self._locked():
            try:
                with open(self.pending, encoding="utf-8") as file:
                    seen = file.read().strip()
            except FileNotFoundError:
                raise NotOurs(f"the change of {self.name} had been undone before it was confirmed") from None
            if seen and seen == connection():
                raise NotOurs("this is the connection that made the change, and proves nothing")
            settle()
            os.unlink(self.pending)
        self._disarm()

    def _disarm(self) -> None:
        subprocess.run(["systemctl", "--quiet", "stop", f"{self.unit}.timer"], check=False, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.path("lock"), "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write(path: str, text: str, mode: int = 0o644) -> bool:
    """Put `text` at `path` in one rename, on disk before this returns; return whether it was something else before."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        pass
    beside = f"{path}.ferryman-new"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True
