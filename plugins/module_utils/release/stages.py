"""A release's share of the clients in stages: which shares are fit, and where clients go at each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import shift

WAY_OUT = "release_stages has growing shares from 1 to 99: all clients come after the last one"


def refusal(told: Iterable[Mapping[str, Any]]) -> str:
    """Return why no release can go through these stages, or nothing."""
    shares = [int(stage["share"]) for stage in told]
    if shares == sorted({*shares}) and all(0 < share < shift.BUCKETS for share in shares):
        return ""
    return f"the shares of release_stages are {', '.join(map(str, shares))}: each must be above the one before"


def share_of(slot: str, percent: int) -> int:
    """Return the share on green that sends `percent` of the clients to `slot`."""
    return percent if slot == "green" else shift.BUCKETS - percent


def expected(slot: str, percent: int) -> dict[int, str]:
    """Return which slot the buckets on both sides of each edge go to, where `slot` has `percent` of the clients."""
    green = share_of(slot, percent)
    return {
        bucket: "green" if bucket < green else "blue"
        for bucket in (0, green - 1, green, shift.BUCKETS - 1)
        if 0 <= bucket < shift.BUCKETS
    }
