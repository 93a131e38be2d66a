"""How often Python looks for garbage in our processes: seldom, for most of what they make stays until they end."""

import gc

EVERY = 20_000
"""After so many new objects the youngest are looked through. Python's own number is 700, or 2000, and not to look at
all is hardly quicker than this."""


def seldom() -> None:
    """Look for garbage seldom, and from now on among what is new alone."""
    gc.freeze()
    gc.set_threshold(EVERY)
