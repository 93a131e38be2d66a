"""What a host keeps of releases that it once staged, for somebody who compares two of them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Iterable
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import edits
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, read_json


def kept(host: Host, releases: Iterable[str], *, have: Collection[str]) -> dict[str, Any]:
    """Return what is here of `releases`, by id: how each describes itself, its digest, its list of files.

    The list is packed (zlib, base64), and left out where the driver has it by its digest (`have`), or where it is not
    the one that was staged.
    """
    found = {}
    for release in releases:
        record = read_json(host.site.release(release) / "release.json")
        if record:
            text = "" if record["digest"] in have else edits.listed(host, record)
            packed = base64.b64encode(zlib.compress(text.encode())).decode() if text else ""
            told = record["manifest"]["description"]
            found[release] = {"description": told, "digest": record["digest"], "files": packed}
    return found
