"""What a unit needs to be enabled and running, from what systemd says of it."""

from __future__ import annotations

PROPERTIES = ("LoadState", "UnitFileState", "ActiveState", "ConditionResult", "ConditionTimestampMonotonic")


def states(names: list[str], shown: str) -> dict[str, dict[str, str]]:
    """Return the properties of each unit, from `systemctl show NAMES`: a block each, parted by empty lines.

    By order and not by `Id`, which for an alias is another name than the one asked for.
    """
    blocks = shown.strip().split("\n\n")
    found = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]
    return dict(zip(names, found))


def is_forbidden(state: dict[str, str]) -> bool:
    """Return whether the unit was asked to start and its own conditions said no."""
    return state["ConditionResult"] == "no" and state["ConditionTimestampMonotonic"] != "0"


def is_down(state: dict[str, str]) -> bool:
    """Return whether the unit should run and does not."""
    return state["ActiveState"] not in ("active", "activating", "reloading") and not is_forbidden(state)


def acts(state: dict[str, str]) -> list[str]:
    """Return the words for systemctl, in order; empty where all is well."""
    needed = []
    masked = state["LoadState"] == "masked"
    if masked:
        needed.append("unmask")
    if masked or state["UnitFileState"] not in ("enabled", "static", "alias", "indirect", "generated"):
        needed.append("enable")
    if masked or is_down(state):
        needed.append("start")
    return needed
