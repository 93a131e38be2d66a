"""Take hosts out of a site's slots, and let them in again: in the text of its configuration, and in place.

Members of an upstream can't change without a reload, so this is one: the old workers answer what they have begun. Who
is fenced off stands in a file beside the site's share: provisioning renders the site anew, and keeps him out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_place as place

FILE = "fenced.json"
"""Beside the share: {"format": 1, "hosts": {NAME: {"address": ..., "for": {...}}}}."""
UPSTREAM = re.compile(r"^upstream (?P<name>\S+_(?:blue|green)(?:_baseline)?) \{")
SERVER = re.compile(
    r"^(?P<said>\s+server (?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^\s:;]+)):\d+[^;]*?)(?P<down> down)?;(?P<rest>.*)$"
)


def addresses(share_path: str) -> set[str]:
    """Return the addresses of those whom a site's file names."""
    try:
        with open(os.path.join(share_path, FILE), encoding="utf-8") as file:
            hosts: Mapping[str, Any] = json.load(file)["hosts"]
    except FileNotFoundError:
        return set()
    except (ValueError, KeyError, TypeError) as error:
        raise host.Problem(
            f"{share_path}/{FILE} was damaged, or edited by hand ({error}): remove it, and nobody is fenced off"
        ) from None
    return {str(told["address"]) for told in hosts.values()}


def without(text: str, out: Collection[str]) -> str:
    """Return a site's text in which of its slots' servers those on an address in `out` are down, and no others.

    Raises Problem where a slot would be left with nobody.
    """
    return "\n".join(_lines(text, out))


def _lines(text: str, out: Collection[str]) -> Iterator[str]:
    inside, left = "", 0
    for line in text.split("\n"):
        begins = UPSTREAM.match(line)
        if begins:
            inside, left = begins["name"], 0
        found = SERVER.match(line) if inside else None
        if found:
            down = (found["v6"] or found["v4"]) in out
            left += not down and " backup" not in found["said"]
            yield f"{found['said']}{' down' * down};{found['rest']}"
            continue
        if inside and line.startswith("}"):
            if not left:
                raise host.Problem(
                    f"nobody would be left to answer ({inside}): the last app host is never fenced off; "
                    "take another one in first"
                )
            inside = ""
        yield line


def take_out(site: str, out: Collection[str]) -> str:
    """Have a site's slots served by all hosts but those on an address in `out`; return what was done to nginx.

    As place.rewrite says.
    """
    return place.rewrite(site, lambda text: without(text, out))
