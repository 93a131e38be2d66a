"""Ports of this machine's loopback that nobody uses."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from ferryman.errors import Stop

# Below those of applications' own and of tests, above what people choose by hand.
BLOCKS = range(10000, 20000, 10)
# Above the ports of applications, below those that the kernel gives to outgoing connections.
FREE_PORTS = range(30000, 32000)


def is_free(port: int) -> bool:
    """Say whether nobody listens on this port of the loopback now."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of the loopback that nobody uses, and that no other process was given: it is ours while we live.

    Seconds go by until a host listens on it. Of several sandboxes that come up at once, two were given the same one.
    """
    place = Path(tempfile.gettempdir()) / f"ferryman-ports-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    with (place / "lock").open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        taken = {int(claim.name) for claim in place.glob("[0-9]*") if _is_claimed(claim)}
        for port in random.sample(FREE_PORTS, len(FREE_PORTS)):  # nothing secret hangs on it
            if port not in taken and is_free(port):
                (place / str(port)).write_text(str(os.getpid()), encoding="ascii")
                return port
    raise Stop("no port from 30000 to 31999 is free on this machine")


def _is_claimed(claim: Path) -> bool:
    """Say whether whoever was given a port still lives; one who does not has no claim any more."""
    try:
        os.kill(int(claim.read_text(encoding="ascii")), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        claim.unlink()
        return False
    return True


def free_block(size: int) -> int:
    """Return the first of `size` (at most 10) ports in a row that nobody uses now.

    Taken at random: another project's ports are not seen as long as its hosts are down.
    """
    for first in random.sample(BLOCKS, len(BLOCKS)):  # nothing secret hangs on it
        if all(is_free(first + number) for number in range(size)):
            return first
    raise Stop(f"no {size} ports in a row from {BLOCKS[0]} to {BLOCKS[-1]} are free on this machine")
