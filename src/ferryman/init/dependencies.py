"""What an application depends on, and whether a lock says exactly which versions of it."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Files = Mapping[str, str]

REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
LOCKED = re.compile(r'^name = "([^"]+)"', re.MULTILINE)
LOCKED_VERSION = re.compile(r'^name = "([^"]+)"\nversion = "([^"]+)"', re.MULTILINE)
PINNED = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:==|<=?|~=)\s*(\d[\w.]*)", re.MULTILINE)
"""A package that is held at a version, or below one."""
# Where people write down what an application needs in production, the usual names.
REQUIREMENTS = ("requirements.txt", "requirements.in", "requirements/base.txt", "requirements/production.txt")
COMPILED = "requirements.lock"


@dataclass(frozen=True)
class Missing:
    """Something to do before a deploy can work: what to type, why, and the files that it `writes` for the commit."""

    command: str
    why: str
    writes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dependencies:
    """Names in lower case with dashes, and versions of those that are pinned.

    The lock to name in ferryman.yml ("" for none), and what is missing.
    """

    names: frozenset[str]
    versions: Mapping[str, str] = field(default_factory=dict)
    lock: str = ""
    missing: tuple[Missing, ...] = ()
    project: str = ""
    python: str = ""


def plain(name: str) -> str:
    """Return a package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def toml(files: Files, name: str) -> dict[str, Any]:
    """Return a TOML file's content; empty where there is none, or none that can be read."""
    try:
        return tomllib.loads(files.get(name, ""))
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return {}


def package_json(files: Files) -> dict[str, Any]:
    """Return package.json; empty where there is none, or none that can be read."""
    try:
        found = json.loads(files.get("package.json", "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def table(data: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Return the table at `path`; empty where something else stands there."""
    for key in path:
        found = data.get(key)
        data = found if isinstance(found, dict) else {}
    return dict(data)


def python(files: Files) -> Dependencies:
    """Return what a Python application depends on."""
    project = toml(files, "pyproject.toml")
    own = table(project, "project")
    listed = own.get("dependencies")
    said = [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    said += list(table(project, "tool", "poetry", "dependencies"))
    said += [line for name in REQUIREMENTS for line in _lines(files.get(name, ""))]
    names = {plain(match[1]) for text in said if (match := REQUIREMENT.match(text))}
    names |= {plain(name) for name in LOCKED.findall(files.get("uv.lock", ""))}
    pins = [*PINNED.findall("\n".join(said)), *LOCKED_VERSION.findall(files.get("uv.lock", ""))]
    pins += [pin for line in _lines(files.get(COMPILED, "")) for pin in PINNED.findall(line)]
    name = own.get("name") or table(project, "tool", "poetry").get("name")
    lock, missing = _lock(files, own)
    wanted = own.get("requires-python")
    return Dependencies(
        frozenset(names),
        {plain(package): version for package, version in pins},
        lock,
        missing,
        name if isinstance(name, str) else "",
        wanted if isinstance(wanted, str) else "",
    )


def _lines(text: str) -> list[str]:
    """Return the lines of a requirements file that name a package, each whole."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if REQUIREMENT.match(line)]


def is_locked(text: str) -> bool:
    """Say whether a requirements file is a lock: an exact version and hashes on each line."""
    lines = _lines(text)
    return bool(lines) and all("==" in line and "--hash=" in line for line in lines)


def _lock(files: Files, project: Mapping[str, Any]) -> tuple[str, tuple[Missing, ...]]:
    """Return the lock to deploy by, and what makes it where it is not there yet."""
    if "uv.lock" in files and "pyproject.toml" in files:
        return "uv.lock", ()
    for name in (COMPILED, "requirements.txt"):
        if is_locked(files.get(name, "")):
            return name, ()
    if project.get("dependencies"):
        why = "pyproject.toml has dependencies and no lock says their versions"
        return "uv.lock", (Missing("uv lock", why, ("uv.lock",)),)
    exported = ("requirements.txt",)
    if "poetry.lock" in files:
        command = "poetry export --output requirements.txt"
        return "requirements.txt", (Missing(command, "poetry.lock is read by Poetry alone", exported),)
    if "Pipfile.lock" in files:
        command = "pipenv requirements --hash > requirements.txt"
        return "requirements.txt", (Missing(command, "Pipfile.lock is read by Pipenv alone", exported),)
    source = next((name for name in REQUIREMENTS if _lines(files.get(name, ""))), "")
    if source:
        command = f"uv pip compile --quiet --universal --generate-hashes --output-file {COMPILED} {source}"
        why = f"{source} is no lock: exact versions and hashes of all packages are wanted"
        return COMPILED, (Missing(command, why, (COMPILED,)),)
    return "", ()
