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
UPSTREAM = re.compile(r"^upstream (?P<name>\S+_(?:blue|green)) \{")
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


def live(site: str) -> str:
    """Return the text of a site as it is in place; Problem where there is none."""
    try:
        return place.read(host.LIVE)[f"{site}.conf"]
    except KeyError:
        raise host.Problem(f"nginx serves no site {site!r} on this host: provision it first") from None


def take_out(site: str, out: Collection[str]) -> str:
    """Have a site's slots served by all hosts but those on an address in `out`; return what was done to nginx.

    That is nothing, reloaded, or linked where nginx does not run (before it comes up at a boot): it begins with that.
    Raises Problem with everything as it was.
    """
    with host.locked():
        files = {**place.read(host.LIVE), f"{site}.conf": without(live(site), out)}
        sites = host.sites()
        record = {"format": 1, "sites": sites}
        name, before = place.digest(files, record), host.generation()
        running = host.run("systemctl", "is-active", "--quiet", "nginx").returncode == 0
        if name == before and not (running and host.unserved({site: sites[site]}, name)):
            return "nothing"
        directory = place.write(files, record) if name != before else os.path.realpath(host.LIVE)
        _put(directory, before, running=running)
        place.prune({name, before})
        return "reloaded" if running else "linked"


def _put(directory: str, before: str, *, running: bool) -> None:
    try:
        place.refuse_if_broken(directory)
    except host.Problem:
        place.discard(directory)
        raise
    place.link(directory)
    try:
        if running:
            host.reload()
    except host.Problem:
        place.link(os.path.join(place.GENERATIONS, before))
        host.reload()
        raise


def busy() -> bool:
    """Say whether a worker from before a reload still has a request under way."""
    return bool(host.workers("nginx: worker process is shutting down"))
