"""Ports of this machine's loopback that nobody uses."""

import random
import socket

from ferryman.errors import Stop

# Below those of applications' own and of tests, above what people choose by hand.
BLOCKS = range(10000, 20000, 10)


def is_free(port: int) -> bool:
    """Say whether nobody listens on this port of the loopback now."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
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
