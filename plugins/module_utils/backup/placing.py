"""Files and directories brought to their state, with a note of each that was not."""

from __future__ import annotations

import os
import pwd

from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import replace


class Placing:
    """What was different, in `paths`; where it only pretends, nothing is written."""

    def __init__(self, pretend: bool) -> None:
        self.pretend, self.paths = pretend, list[str]()

    def directory(self, path: str, mode: int = 0o755, owner: str = "root") -> None:
        """Have a directory with these bits and this owner."""
        if os.path.isdir(path):
            found = os.stat(path)
            if found.st_mode & 0o7777 == mode and found.st_uid == _uid(owner):
                return
        self.paths.append(path)
        if not self.pretend:
            os.makedirs(path, exist_ok=True)
            _own(path, mode, owner)

    def file(self, path: str, text: str, mode: int = 0o644, owner: str = "root") -> bool:
        """Have a file with this text, these bits and this owner; return whether it was another."""
        try:
            with open(path, encoding="utf-8") as file:
                found = os.fstat(file.fileno())
                if file.read() == text and (found.st_mode & 0o7777, found.st_uid) == (mode, _uid(owner)):
                    return False
        except FileNotFoundError:
            pass
        self.paths.append(path)
        if not self.pretend:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            replace(path, text, mode)
            _own(path, mode, owner)
        return True


def _uid(owner: str) -> int:
    """Return an account's number; -1 where it is not there yet."""
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        return -1


def _own(path: str, mode: int, owner: str) -> None:
    found = pwd.getpwnam(owner)
    os.chmod(path, mode)
    os.chown(path, found.pw_uid, found.pw_gid)
