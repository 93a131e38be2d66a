"""Ranges of versions as package.json writes them (node-semver, README "Ranges"), for versions that are releases."""

from __future__ import annotations

import re
from collections.abc import Iterator

Version = tuple[int, int, int]
Bounds = tuple[Version, Version]
"""From the first on, and below the second."""

ZERO: Version = (0, 0, 0)
ENDLESS: Version = (1 << 60, 0, 0)
PART = r"(?:[vV=]\s*)*(\d+|[xX*])(?:\.(\d+|[xX*])(?:\.(\d+|[xX*])(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?)?"
HYPHEN = re.compile(rf"\s*{PART}\s+-\s+{PART}\s*")
COMPARATOR = re.compile(rf"\s*(>=|<=|>|<|=|\^|~>|~)?\s*{PART}(?=\s|$)")


def fits(version: str, wanted: str) -> bool:
    """Say whether a release ("18.20.4") lies in a range (">=18 <21 || ^22"); in one that cannot be read, none does.

    What comes before a release ("23.0.0-nightly") is taken for it.
    """
    found = tuple(int(part) for part in re.split("[-+]", version)[0].split(".")[:3])
    return any(
        all(low <= found < high for low, high in bounds)
        for bounds in map(_bounds, wanted.split("||"))
        if bounds is not None
    )


def _bounds(text: str) -> list[Bounds] | None:
    """Return what each comparator of a set allows; None for a set that cannot be read."""
    hyphen = HYPHEN.fullmatch(text)
    if hyphen:
        low, high = hyphen.groups()[:4], hyphen.groups()[4:]
        return [_bound(">=", *low), _bound("<=", *high)]
    found, place = [], 0
    for match in _comparators(text):
        found.append(_bound(match[1] or "", *match.groups()[1:]))
        place = match.end()
    return found if not text[place:].strip() else None


def _comparators(text: str) -> Iterator[re.Match[str]]:
    place = 0
    while match := COMPARATOR.match(text, place):
        yield match
        place = match.end()


def _bound(sign: str, *parts: str | None) -> Bounds:
    major, minor, patch = (int(part) if part and part.isdigit() else None for part in parts[:3])
    early = bool(parts[3]) and None not in (major, minor, patch)  # before the release of that number
    if major is None:
        return (ZERO, ZERO) if sign in (">", "<") else (ZERO, ENDLESS)
    low: Version = (major, minor or 0, (patch or 0) if minor is not None else 0)
    if minor is None:
        next_: Version = (major + 1, 0, 0)
    elif patch is None:
        next_ = (major, minor + 1, 0)
    else:
        next_ = low if early else (major, minor, patch + 1)
    if sign in (">", ">="):
        return (next_ if sign == ">" else low), ENDLESS
    if sign in ("<", "<="):
        return ZERO, (next_ if sign == "<=" else low)
    if sign == "^":
        return low, _below_breaking(major, minor, patch)
    if sign in ("~", "~>"):
        return low, ((major + 1, 0, 0) if minor is None else (major, minor + 1, 0))
    return low, next_


def _below_breaking(major: int, minor: int | None, patch: int | None) -> Version:
    if major or minor is None:
        return (major + 1, 0, 0)
    return (0, minor + 1, 0) if minor or patch is None else (0, 0, patch + 1)
