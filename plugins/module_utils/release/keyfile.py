"""A file of keys that an SSH server reads, changed line by line, and as whose it is."""

from __future__ import annotations

import os
import pwd
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, alone

LOCK = Path("/run/ferryman-keys.flock")  # of this host: several applications' runs may come to one account
Edit = Callable[[Sequence[bytes]], Sequence[bytes]]


def of(account: str, told: str) -> Path:
    """Return the file of an account's keys, as the server's AuthorizedKeysFile has `told` it; sshd_config(5)."""
    home = pwd.getpwnam(account).pw_dir
    if told == "none":
        hint = "leave out --detach, or let it read .ssh/authorized_keys (AuthorizedKeysFile in sshd_config)"
        raise Failed(f"its SSH server reads no file of keys of {account}", hint=hint, refused=True)
    whole = {"%h": home, "%u": account, "%%": "%"}
    text = re.sub("%.", lambda found: whole.get(found[0], found[0]), told)
    return Path(home) / text


def change(path: Path, account: str, edit: Edit) -> None:
    """Give the lines of a file to `edit`, and have it hold what that returns; a new file without lines is not made.

    Below its home an account may have put links anywhere: there it is done with the account's rights alone.
    """
    owner = pwd.getpwnam(account)
    with alone(LOCK):
        if owner.pw_uid != os.geteuid() and Path(owner.pw_dir) in path.parents:
            _as(owner, path, edit)
        else:
            _change(path, edit, mode=0o644 if owner.pw_uid != os.geteuid() else 0o600)


def _as(owner: pwd.struct_passwd, path: Path, edit: Edit) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        # It must leave by _exit: everything else would run this program's own way out a second time.
        try:
            os.setgroups([])
            os.setgid(owner.pw_gid)
            os.setuid(owner.pw_uid)
            _change(path, edit, mode=0o600)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reports it
            os.write(writing, str(error)[:1000].encode())
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as stream:
        said = stream.read()
    if os.waitpid(child, 0)[1]:
        raise Failed(f"cannot write {path} as {owner.pw_name}: {said}", hint="give that directory to its owner")


def _change(path: Path, edit: Edit, *, mode: int) -> None:
    path = path.resolve()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        before, found = path.read_bytes(), path.stat()
    except FileNotFoundError:
        before, found = b"", None
    lines = [line + b"\n" for line in edit([line for line in before.split(b"\n") if line])]
    if b"".join(lines) == before:
        return
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=".ferryman-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, found.st_mode & 0o7777 if found else mode)
            if found and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, found.st_uid, found.st_gid)
            stream.writelines(lines)
            stream.flush()
            os.fsync(descriptor)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
