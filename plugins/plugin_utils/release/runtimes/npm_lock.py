"""What a package-lock.json says (npm's documentation has a page of that name): pure readings, and refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.ranges import fits

TREE = "node_modules"
WRITE = "`npm install --package-lock-only` writes it"
CPUS = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "arm", "i686": "ia32", "ppc64le": "ppc64"}
"""How npm calls what `uname -m` says."""
SHOWN = 5

Packages = Mapping[str, Mapping[str, Any]]


def parsed(name: str, text: str) -> dict[str, Any]:
    """Return the object in a file of npm's."""
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise AnsibleError(f"{name} cannot be read: {error}") from None


def packages(name: str, text: str) -> dict[str, dict[str, Any]]:
    """Return the packages of the lock `name` by their places in the tree, those for development alone left out.

    AnsibleError for what could be another thing at each build: all that no sum pins.
    """
    told = parsed(name, text).get("packages")
    if not isinstance(told, dict):
        raise AnsibleError(f"{name} is of an npm before 7: {WRITE} anew")
    found = {path: each for path, each in told.items() if path and not each.get("dev")}
    local = [path for path, each in found.items() if each.get("link") or not path.startswith(f"{TREE}/")]
    if local:
        raise AnsibleError(f"{name} has workspaces or directories, which are not packed: {some(local)}; publish them")
    loose = [path for path, each in found.items() if not each.get("inBundle") and not each.get("integrity")]
    if loose:
        raise AnsibleError(f"{name} has no sum (integrity) for {some(loose)}: take it from a registry, not from git")
    return found


def some(names: list[str]) -> str:
    """Return names for people; the first of many."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def engine(package: Mapping[str, Any]) -> str:
    """Return the range of Node's versions that a package wants; empty for any."""
    engines = package.get("engines")  # an old form is a list, which npm does not look at either
    return str(engines.get("node") or "") if isinstance(engines, dict) else ""


def may_lack(package: Mapping[str, Any]) -> bool:
    """Say whether an application runs without a package; what only development needs beside is marked otherwise."""
    return bool(package.get("optional") or package.get("devOptional"))


def unfit(found: Packages, node: str) -> list[str]:
    """Return the packages that do not want to run on this version of Node, each as a sentence."""
    return [
        f"{path.rpartition(f'{TREE}/')[2]} {each.get('version', '')} wants Node {engine(each)}, the hosts have {node}"
        for path, each in found.items()
        if engine(each) and not may_lack(each) and not fits(node, engine(each))
    ]


def target(tools: Mapping[str, str]) -> dict[str, str]:
    """Return what packages are taken for, in npm's words, from a host's `tools` (platform, libc)."""
    system, _, machine = tools["platform"].partition("-")
    return {"os": system, "cpu": CPUS.get(machine, machine), "libc": tools["libc"].partition("-")[0] or "musl"}


def allowed(package: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Say whether a package is for such hosts: it lists systems, processors, C libraries, or those it is not for."""
    for key, value in wanted.items():
        listed = list(package.get(key) or [])
        positive = [each for each in listed if not each.startswith("!")]
        if f"!{value}" in listed or (positive and value not in positive and "any" not in positive):
            return False
    return True


def differing(found: Packages, present: set[str], wanted: Mapping[str, str]) -> list[str]:
    """Return the places in the tree where not is what should be: there and for other hosts, or missing."""
    return [
        path
        for path, each in found.items()
        if (path in present and not allowed(each, wanted))
        or (path not in present and allowed(each, wanted) and not may_lack(each))
    ]
