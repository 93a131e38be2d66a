"""What a terminal is able to, and whether its owner wants colours: one rule for all that is printed."""

import os
from typing import Any


def able(stream: Any) -> bool:
    """Say whether somebody looks at a stream, on a terminal that can move its cursor and change its colours."""
    return bool(stream.isatty()) and (os.environ.get("TERM") or "dumb") not in ("dumb", "unknown")


def coloured(stream: Any) -> bool:
    """Say whether to print in colours; NO_COLOR is the common way not to want any (no-color.org)."""
    return able(stream) and not os.environ.get("NO_COLOR")
