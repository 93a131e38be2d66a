"""What the playbooks say about roles: which role meets which hosts, through which entry, with which values given."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryman import places

Map = dict[str, Any]
BLOCKS = ("block", "rescue", "always")
TASKS = ("pre_tasks", "tasks", "post_tasks", "handlers")


READS = re.compile(r"apps\[release_app\]\.(\w+)(\s*\|\s*default)?")
NEEDS = re.compile(r"\bgroups\.(\w+)(?!\w|\s*\|\s*default)")


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
    plays = places.plain(path) or []
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
        for task, above in walk(play.get(key) or [], given, path.parent):
            call = _call(task, "import_role", "include_role")
            if isinstance(call, dict):
                yield Use(playbook, hosts, short(call["name"]), entry_name(call), above)


def _call(task: Map, *words: str) -> Any:
    return next((task[word] for word in task if word.split(".")[-1] in words), None)


def from_files(names: list[Any], directory: Path) -> frozenset[str]:
    """Return the variables of a play's `vars_files`; a name that depends on the run says nothing here."""
    given: set[str] = set()
    for name in names:
        path = directory / str(name)
        if path.is_file():
            given |= set(places.plain(path) or {})
    return frozenset(given)


def walk(tasks: list[Map], given: frozenset[str], directory: Path) -> Iterator[tuple[Map, frozenset[str]]]:
    """Return every task, in blocks and files of tasks too, with the names of the variables that are set for it."""
    for task in tasks:
        own = given | frozenset(task.get("vars") or {})
        for key in BLOCKS:
            yield from walk(task.get(key) or [], own, directory)
        file = _call(task, "import_tasks", "include_tasks")
        path = directory / str(file.get("file") if isinstance(file, dict) else file)
        if file and path.is_file():
            loop = (task.get("loop_control") or {}).get("loop_var", "item")
            yield from walk(places.plain(path) or [], own | {loop}, directory)
        elif not any(key in task for key in BLOCKS):
            yield task, own


def short(name: str) -> str:
    """Return a role's name without its collection."""
    return name.removeprefix("ferryman.ops.")


def entry_name(call: Map) -> str:
    """Return the entry point that a role is called by."""
    return str(call.get("tasks_from") or "main").removesuffix(".yml")


def of_apps(collection: Path) -> dict[str, tuple[str, bool]]:
    """Return what the playbooks read of an application of the inventory, by key.

    With it goes the variable that takes it and whether one must be given.
    """
    found: dict[str, tuple[str, bool]] = {}
    for path in sorted((collection / "playbooks" / "vars").glob("*.yml")):
        for name, value in (places.plain(path) or {}).items():
            for key, default in READS.findall(str(value)):
                found[key] = (name, not default)
    return found


def groups(collection: Path) -> tuple[set[str], set[str]]:
    """Return the groups that the playbooks know, and those of them that they cannot do without."""
    texts = [path.read_text() for path in sorted((collection / "playbooks").rglob("*.yml"))]
    needed = {name for text in texts for name in NEEDS.findall(text)}
    plays = {part.strip() for use in uses(collection) for part in re.split(r"[:,]", use.hosts)}
    return needed | {name for name in plays if name.isidentifier()}, needed
