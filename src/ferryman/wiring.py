"""What the playbooks say about roles: which role meets which hosts, through which entry, with which values given."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Map = dict[str, Any]
BLOCKS = ("block", "rescue", "always")
TASKS = ("pre_tasks", "tasks", "post_tasks", "handlers")


@dataclass(frozen=True)
class Use:
    """One place of a playbook that brings in a role; `given` are the variables that the playbook itself passes."""

    playbook: str
    hosts: str
    role: str
    entry: str
    given: frozenset[str]


def uses(collection: Path) -> list[Use]:
    """Return every use of a role in the collection's playbooks."""
    found: list[Use] = []
    for path in sorted((collection / "playbooks").glob("*.yml")):
        found += read(path)
    return found


def read(path: Path) -> list[Use]:
    """Return every use of a role in one playbook."""
    plays = yaml.safe_load(path.read_text()) or []
    return [use for play in plays if "hosts" in play for use in in_play(play, path)]


def in_play(play: Map, path: Path) -> Iterator[Use]:
    """Go through a play's roles and tasks."""
    playbook = path.stem
    hosts = play["hosts"] if isinstance(play["hosts"], str) else ":".join(play["hosts"])
    given = frozenset(play.get("vars") or {}) | from_files(play.get("vars_files") or [], path.parent)
    for entry in play.get("roles") or []:
        role = {"role": entry} if isinstance(entry, str) else entry
        name = role.get("role") or role.get("name") or ""
        yield Use(playbook, hosts, short(name), entry_name(role), given | frozenset(role.get("vars") or {}))
    for key in TASKS:
        for task, above in walk(play.get(key) or [], given):
            call = next((task[word] for word in task if word.split(".")[-1] in ("import_role", "include_role")), None)
            if isinstance(call, dict):
                yield Use(playbook, hosts, short(call["name"]), entry_name(call), above)


def from_files(names: list[Any], directory: Path) -> frozenset[str]:
    """Return the variables of a play's `vars_files`; a name that depends on the run says nothing here."""
    given: set[str] = set()
    for name in names:
        path = directory / str(name)
        if path.is_file():
            given |= set(yaml.safe_load(path.read_text()) or {})
    return frozenset(given)


def walk(tasks: list[Map], given: frozenset[str]) -> Iterator[tuple[Map, frozenset[str]]]:
    """Return every task, in blocks too, with the names of the variables that are set for it."""
    for task in tasks:
        own = given | frozenset(task.get("vars") or {})
        for key in BLOCKS:
            yield from walk(task.get(key) or [], own)
        if not any(key in task for key in BLOCKS):
            yield task, own


def short(name: str) -> str:
    """Return a role's name without its collection."""
    return name.removeprefix("ferryman.ops.")


def entry_name(call: Map) -> str:
    """Return the entry point that a role is called by."""
    return str(call.get("tasks_from") or "main").removesuffix(".yml")
