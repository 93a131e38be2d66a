"""A release's share of the clients in stages: which are fit, where clients go at each, who is its baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, shift

HOTFIX_S = 60.0
"""How long a stage of a hotfix lasts at most where the inventory says nothing of its stages."""
BASELINE_WAY_OUT = "set release_baseline: false, or give it what it needs (docs/guides/verdict.md)"
WAY_OUT = "shares grow, from 1 to 99: all clients come after the last one"


def of_hotfix(told: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the stages of a hotfix: its `own`, else those that are `told` for any, each for a minute at most."""
    shorter = [{**stage, "for_s": min(float(stage["for_s"]), HOTFIX_S)} for stage in told]
    return [dict(stage) for stage in own] or shorter


def refusal(told: Iterable[Mapping[str, Any]], *, option: str = "release_stages") -> str:
    """Return why no release can go through these stages, which an option has, or nothing."""
    shares = [int(stage["share"]) for stage in told]
    if shares == sorted({*shares}) and all(0 < share < shift.BUCKETS for share in shares):
        return ""
    return f"the shares of {option} are {', '.join(map(str, shares))}: each must be above the one before"


def baseline_refusal(told: Iterable[Mapping[str, Any]]) -> str:
    """Return why no baseline can stand beside a release that goes through these stages, or nothing."""
    return "" if [*told] else "release_baseline is true, and release_stages is empty: nothing would be compared with it"


def beyond_baseline(told: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the shares at which no baseline can have as many clients as the release."""
    return [share for share in (int(stage["share"]) for stage in told) if share * 2 > shift.BUCKETS]


def is_for(word: Mapping[str, Any], *, began: float, percent: int) -> bool:
    """Say whether a person's word is for the stage of `percent` that began then.

    To go back is for every stage. To go on is for the one in which it came; it ended that, and ends no look after it.
    Where it names one, it is for no other: that may have ended by itself meanwhile.
    """
    if word["word"] == "abort":
        return True
    return float(word["at"]) >= began and int(word.get("percent", percent)) == percent


def share_of(slot: str, percent: int) -> int:
    """Return the share on green that sends `percent` of the clients to `slot`."""
    return percent if slot == "green" else shift.BUCKETS - percent


def baseline_of(slot: str, percent: int) -> range:
    """Return the buckets of the baseline where `slot` has `percent` of the clients: as many, or what is left.

    They begin at the other end, so while shares grow to a half nobody changes from one to the other.
    """
    count = min(percent, shift.BUCKETS - percent)
    return range(shift.BUCKETS - count, shift.BUCKETS) if slot == "green" else range(count)


def expected(slot: str, percent: int, *, baseline: range = shift.NOBODY) -> dict[int, str]:
    """Return where the buckets on both sides of each edge go, where `slot` has `percent` of the clients."""
    green = share_of(slot, percent)
    edges = {0, green - 1, green, shift.BUCKETS - 1}
    if baseline:
        edges |= {baseline[0] - 1, baseline[0], baseline[-1], baseline[-1] + 1}
    return {
        bucket: ("green" if bucket < green else "blue") + (f"_{names.BASELINE}" if bucket in baseline else "")
        for bucket in sorted(edges)
        if 0 <= bucket < shift.BUCKETS
    }
