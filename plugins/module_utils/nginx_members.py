"""How many processes of each host serve a site's slots: in the text of its configuration, and in place.

Ports come in blocks of ten that begin at a multiple of ten, one for each instance. So the lines that name a host's
first port are the pattern of all others. The count stands in a file beside the site's share: provisioning renders as
many servers as are declared, and keeps what was scaled.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence

from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_place as place

FILE = "sizes.json"
"""Beside the share: {"format": 1, "servers": COUNT, "sizes": {...}}; no servers are as many as are rendered."""
MOST = 10
UPSTREAM = re.compile(r"^upstream \S+_(?:blue|green|baseline) \{")
SERVER = re.compile(r"^(?P<before>\s+server \S+:\d*)(?P<number>\d)(?P<after>[ ;].*)$")
# A port's address in a map of regular expressions, by which the log tells of the slot.
ARM = re.compile(r'^(?P<before>\s+"~\^\S+:\d*)(?P<number>\d)(?P<after>\(\?:.* (?:blue|green|baseline);)$')


def sized(text: str, count: int) -> str:
    """Return a site's text in which `count` processes of each host serve its slots; 0 leaves it as it is.

    Raises Problem where there are more than ports.
    """
    if not 0 <= count <= MOST:
        raise host.Problem(f"{count} processes of a host cannot serve a slot: set 1 to {MOST}")
    return "\n".join(_lines(text, count)) if count else text


def _lines(text: str, count: int) -> Iterator[str]:
    inside = False
    for line in text.split("\n"):
        inside = bool(UPSTREAM.match(line)) or (inside and not line.startswith("}"))
        found = (SERVER.match(line) if inside else None) or ARM.match(line)
        if not found:
            yield line
        elif found["number"] == "0":
            yield from (f"{found['before']}{number}{found['after']}" for number in range(count))


def servers(text: str) -> int:
    """Return how many processes of each host serve a site's slots; 0 where none are told."""
    return max((len(numbers) for numbers in _numbers(text)), default=0)


def _numbers(text: str) -> list[set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for match in map(ARM.match, text.split("\n")):
        if match:
            found.setdefault((match["before"], match["after"]), set()).add(match["number"])
    return [*found.values()]


def addresses(known: Sequence[str], count: int) -> list[str]:
    """Return `count` addresses of a host of which some are known (host:port); none are known where it serves none."""
    return [f"{known[0][:-1]}{number}" for number in range(count)] if known else []


def wanted(share_path: str) -> int:
    """Return the count that a site's file says; 0 where it says none. Raises Problem where it cannot be understood."""
    path = os.path.join(share_path, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return int(json.load(file).get("servers") or 0)
    except FileNotFoundError:
        return 0
    except (ValueError, AttributeError, TypeError) as error:
        raise host.Problem(
            f"{path} was damaged, or edited by hand ({error}): remove it, and as many serve as are declared"
        ) from None


def resize(site: str, count: int) -> str:
    """Have a site's slots served by `count` processes of each host; return what was done to nginx (place.rewrite)."""
    return place.rewrite(site, lambda text: sized(text, count))
