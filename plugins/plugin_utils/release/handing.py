"""What an arbiter is sent that is to drive a run itself: the toolkit, its lock's wheels, the run, and what it is told.

Nothing of the inventory goes along, and no key of its vault: the role's variables do, as this run has resolved them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import tarball
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes import python
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import Lock, sums
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "requirements/run.txt"
PARTS = ("roles", "plugins", "playbooks", "meta", "galaxy.yml")
TOOLS = (
    "ansible-core",
    "cffi",
    "cryptography",
    "jinja2",
    "markupsafe",
    "packaging",
    "pycparser",
    "pyyaml",
    "resolvelib",
)
"""Of the lock, what Ansible itself needs: the commands, and what builds, stay where they are."""
MINE = ("root", "repository", "path", "ref", "allow_dirty", "ca", "plan_file", "stop_file", "wait_s", "detach")
"""Options that mean this machine, or are done with once a run is handed over."""
UNCOMPARED = ("address", "public_port", "env", "secrets", "database")
"""Options that a host has for itself, or of which nothing is written down: `apps` has those, for all."""


def lock(tools: Mapping[str, str]) -> Lock:
    """Return what Ansible needs of the lock, for hosts with these `tools`."""
    try:
        text = LOCK.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AnsibleError(f"{LOCK} is not here, so nobody can drive elsewhere: install Ferryman anew") from None
    return Lock(LOCK.name, "\n".join(_needed(text, tools)) + "\n")


def _needed(text: str, tools: Mapping[str, str]) -> Iterator[str]:
    """Yield the requirements of a lock that are needed on a host, each with its hashes on one line.

    Their markers are judged here, since pip would judge them by the Python that it runs on.
    """
    system, _, machine = tools["platform"].partition("-")
    there = {
        "python_version": tools["python"],
        "python_full_version": tools["python_version"],
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for line in text.replace("\\\n", " ").splitlines():
        words, _, hashes = line.partition(" --hash=")
        if not words.strip() or words.lstrip().startswith("#"):
            continue
        wanted = Requirement(words)
        if wanted.name in TOOLS and (wanted.marker is None or wanted.marker.evaluate(there)):
            yield f"{wanted.name}{wanted.specifier} --hash={hashes}"


def wheels(cache: Path, tools: Mapping[str, str]) -> tuple[str, Path, dict[str, str]]:
    """Return the key of the driver's environment, where its wheels are, and the sum of each; fetched once."""
    locked = lock(tools)
    key = locked.key(*(tools[name] for name in python.FIT))
    place = cache / "driver" / key
    if sums(place) is None:
        python.fill(place, locked, tools, {})
    return key, place, sums(place) or {}


def toolkit() -> dict[str, bytes]:
    """Return the files of this collection that drive a run, by their names below a directory for collections."""
    paths = (path for part in PARTS for path in sorted([ROOT / part, *(ROOT / part).rglob("*")]))
    at = "ansible_collections/ferryman/ops"
    return {
        f"{at}/{path.relative_to(ROOT)}": path.read_bytes()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def version(files: Mapping[str, bytes]) -> str:
    """Return what tells a toolkit from any other."""
    whole = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def options() -> list[str]:
    """Return the names of the role's options that a run elsewhere is told, without their prefix."""
    spec = yaml.safe_load((ROOT / "roles/release/meta/argument_specs.yml").read_text(encoding="utf-8"))
    every = [str(name).removeprefix("release_") for name in spec["argument_specs"]["main"]["options"]]
    return [name for name in every if name not in MINE]


def digests(value: Callable[[str], Any]) -> dict[str, str]:
    """Return the digest of each option that must be the same on all hosts: who drives elsewhere is told one of each."""
    names = (name for name in options() if name not in UNCOMPARED)
    return {name: hashlib.sha256(text(value(name)).encode()).hexdigest() for name in names}


def text(value: Any) -> str:
    """Return a value as YAML in which no string is a template, whatever is in it, and every letter is ASCII."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(str(key))}: {text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, str):  # what is marked is a number to Ansible where it looks like one, although it is quoted
        return f"{'!unsafe ' if '{' in value else ''}{_quoted(value)}"
    return json.dumps(value)


def _quoted(word: str) -> str:
    plain = (letter if " " <= letter <= "~" and letter not in '"\\' else f"\\U{ord(letter):08x}" for letter in word)
    return f'"{"".join(plain)}"'


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return files as what a host unpacks."""
    members = (tarball.member(name, 0o644, content) for name, content in files)
    return gzip.compress(b"".join([*members, tarball.END]), compresslevel=1, mtime=0)
