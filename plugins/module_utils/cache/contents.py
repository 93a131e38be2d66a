"""What a cache held, and what a restore gave back: compared, and whether there is memory to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MB = 2**20
MARGIN = 1.2  # what a server takes beside its keys


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return what is not as it was, in sentences.

    Both are {server: "redis 7.0.15", keys: {database: number}, digest}. Digests of two versions are not compared: a
    server may write a number in other words than another.
    """
    numbers = sorted({*wanted["keys"], *found["keys"]}, key=int)
    counts = [(number, wanted["keys"].get(number, 0), found["keys"].get(number, 0)) for number in numbers]
    said = [
        f"database {number} has other keys: {after} for {before}" for number, before, after in counts if after != before
    ]
    if not said and wanted["server"] == found["server"] and wanted["digest"] != found["digest"]:
        said.append("as many keys as there were have other values")
    return said


def total(told: Mapping[str, Any]) -> int:
    """Return how many keys there are in all databases."""
    return sum(told["keys"].values())


def short_of_memory(used: int, available: int) -> str:
    """Return why a snapshot can't be read by a second server, empty where it can; both are bytes."""
    needed = int(used * MARGIN)
    if needed <= available:
        return ""
    return (
        f"the memory for a second server on the snapshot is missing: {needed // MB} MB are needed and "
        f"{available // MB} MB are free: lower cache_memory_mb, or give the host more"
    )


def available(meminfo: str) -> int:
    """Return the bytes of memory that a new program may have, from the text of /proc/meminfo."""
    line = next(line for line in meminfo.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def keys(keyspace: Mapping[str, str]) -> dict[str, int]:
    """Return the number of keys by database, from what INFO says: {"db0": "keys=12,expires=3,avg_ttl=0"}."""
    counted = {name[len("db") :]: told.split(",")[0] for name, told in keyspace.items() if name.startswith("db")}
    return {number: int(told.partition("=")[2]) for number, told in counted.items()}
