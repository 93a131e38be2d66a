"""Which environment a host belongs to: the decision over its marker (docs/decisions/0001-formats.md, "On a host").

A host knows its environment since it was provisioned, so that an inventory with a wrong address is stopped by the
host itself.
"""

from __future__ import annotations

import json
from typing import Any, Optional

FORMAT = 1
PATH = "/etc/ferryman/host.json"


class Refusal(ValueError):
    """The host must not be touched by this environment; the text says why and what to do."""


def read(text: str) -> dict[str, Any]:
    """Return the marker in `text`; refuse what a reader of this version could misread."""
    try:
        marker = json.loads(text)
    except ValueError:
        raise Refusal(f"{PATH} is not JSON: look at the host before anything is changed there") from None
    if not isinstance(marker, dict) or not isinstance(marker.get("environments"), list):
        raise Refusal(f"{PATH} names no environments: look at the host before anything is changed there")
    if marker.get("format", 0) > FORMAT:
        writer = marker.get("ferryman", "a newer version")
        raise Refusal(
            f"{PATH} has format {marker['format']}, written by Ferryman {writer}; "
            f"this one reads up to {FORMAT}: upgrade"
        )
    return marker


def verify(marker: Optional[dict[str, Any]], environment: str) -> None:
    """Refuse a host that another environment owns, and one that nobody has provisioned."""
    if marker is None:
        raise Refusal(f"this host carries no {PATH}: provision environment {environment} first")
    if environment not in marker["environments"]:
        owners = ", ".join(marker["environments"])
        raise Refusal(f"this host belongs to environment {owners}, not to {environment}: nothing was changed")


def provision(
    marker: Optional[dict[str, Any]], environment: str, *, shared: bool, sites: list[str], now: str
) -> dict[str, Any]:
    """Return the marker after provisioning `environment`, with keys it does not know kept.

    `shared` decides how sites are named on the host (`<app>` or `<app>-<env>`), so both sides must agree on it,
    and it cannot change while there are `sites`.
    """
    if marker is None:
        return {"format": FORMAT, "environments": [environment], "shared": shared, "provisioned_at": now}
    others = [name for name in marker["environments"] if name != environment]
    was_shared = bool(marker.get("shared"))
    if environment not in marker["environments"]:
        if not (shared and was_shared):
            hint = "" if was_shared == shared else " (to share it, host_shared must be true in both environments)"
            raise Refusal(
                f"this host belongs to environment {', '.join(others)}, not to {environment}: nothing was changed{hint}"
            )
        return {**marker, "environments": sorted([*others, environment])}
    if was_shared != shared:
        if others:
            raise Refusal(
                f"host_shared is false, but environment {', '.join(others)} is on this host too: nothing was changed"
            )
        if sites:
            raise Refusal(
                f"host_shared was {str(was_shared).lower()} when this host was provisioned, and it names the sites on "
                f"it ({', '.join(sites)}): they would be orphaned, so nothing was changed"
            )
        return {**marker, "shared": shared}
    return marker
