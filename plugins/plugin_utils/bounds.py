"""What a role's meta/bounds.yml asks of its values: a number within bounds, or a text of a form (decision 20).

{"nginx_https_public_port": {"least": 1, "most": 65535}, "nginx_sites[].max_body": {"pattern": ..., "means": ...}}
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

Bound = Mapping[str, Any]


def keys(path: str) -> list[str]:
    """Return the keys that lead to a value: first the option's name; lists are gone through."""
    return path.replace("[]", "").split(".")


def misfits(told: Mapping[str, Bound], values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each of the values that is out of its bounds, by its name and not with what it is."""
    return [
        f"{where} must be {allowed(bound)}"
        for path, bound in told.items()
        for where, value in _parts(values, keys(path), "")
        if outside(bound, value)
    ]


def _parts(value: Any, left: list[str], where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _parts(each, left, f"{where}[{number}]")
    elif not left:
        yield where, value
    elif isinstance(value, Mapping) and left[0] in value:
        yield from _parts(value[left[0]], left[1:], f"{where}.{left[0]}" if where else left[0])


def outside(bound: Bound, value: Any) -> bool:
    """Say whether a value is not as it must be; what is none, or no number at all, is for its type to refuse."""
    if value is None:
        return False
    if "pattern" in bound:
        return not re.fullmatch(bound["pattern"], str(value))
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return not (math.isfinite(number) and bound.get("least", number) <= number <= bound.get("most", number))


def allowed(bound: Bound) -> str:
    """Say what would be right."""
    if "means" in bound:
        return str(bound["means"])
    return f"from {bound['least']} to {bound['most']}" if "most" in bound else f"{bound['least']} or more"
