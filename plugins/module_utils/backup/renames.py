"""Two directories that take each other's names in one act: whoever is killed, or loses power, leaves the one or other.

Linux has it since 3.15 (renameat2 with RENAME_EXCHANGE: ext4, xfs, btrfs, tmpfs); Python has no word for it.
"""

from __future__ import annotations

import ctypes
import errno
import os

AT_FDCWD = -100
EXCHANGE = 2
UNKNOWN = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}


def exchange(one: str, other: str) -> bool:
    """Have two paths on one disk take each other's names; False where its file system cannot, with nothing done."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), one, None, other)
