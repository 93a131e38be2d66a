"""What a unit needs to be enabled and running, from what systemd says of it."""

from __future__ import annotations

UNITS = "/etc/systemd/system/"
PROPERTIES = ("LoadState", "UnitFileState", "ActiveState", "ConditionResult", "ConditionTimestampMonotonic")


def states(names: list[str], shown: str) -> dict[str, dict[str, str]]:
    """Return the properties of each unit, from `systemctl show NAMES`: a block each, parted by empty lines.

    By order and not by `Id`, which for an alias is another name than the one asked for.
    """
    blocks = shown.strip().split("\n\n")
    found = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]
    return dict(zip(names, found))


def of_files(paths: list[str]) -> dict[str, list[str]]:
    """Return the units that files below /etc/systemd/system are of, each with those files that are drop-ins of it."""
    found: dict[str, list[str]] = {}
    for path in paths:
        if path.startswith(UNITS):
            first, _, drop_in = path[len(UNITS) :].partition("/")
            found.setdefault(first[: -len(".d")] if drop_in else first, []).extend([path] if drop_in else [])
    return found


def is_unread(state: dict[str, str], drop_ins: list[str]) -> bool:
    """Return whether systemd has not read a unit as it lies there, or one of its `drop_ins`.

    NeedDaemonReload= is silent on a drop-in that is new (systemd 252): its directories are read at a reload alone.
    """
    if state["LoadState"] != "loaded":
        return False
    return state["NeedDaemonReload"] == "yes" or not set(drop_ins) <= set(state["DropInPaths"].split())


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
