"""Where something stands in an environment's files, read as plain YAML: what Ansible's own reader does not tell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from ferryman.environments import Environment


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file; line 0 means that only the file is known."""

    file: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in an environment's files: where, which key, what is wrong, what would be right."""

    place: Place
    key: str
    wrong: str
    right: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.key} {self.wrong}" + (f"; {self.right}" if self.right else "")


def malformed(environment: Environment) -> Iterator[Problem]:
    """Return what no YAML reader takes, and keys given twice (the first is lost in silence)."""
    for path in [
        environment.inventory,
        *variable_files(environment.directory / "group_vars"),
        *variable_files(environment.directory / "host_vars"),
    ]:
        shown = relative(Place(path), environment).file
        text = path.read_text()
        if text.startswith("$ANSIBLE_VAULT"):
            continue
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            yield Problem(
                Place(shown, mark.line + 1 if mark else 0), "the file", f"is not YAML: {error.problem or error.context}"
            )
            continue
        yield from twice(node, shown)


def twice(node: yaml.Node | None, file: Path) -> Iterator[Problem]:
    """Return the keys that a map has more than once, at any depth."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from twice(item, file)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                yield Problem(
                    Place(file, line), str(key.value), f"is given twice (first on line {seen[key.value]})", "keep one"
                )
            seen[key.value] = line
            yield from twice(value, file)


def variable_files(directory: Path) -> list[Path]:
    """Return the YAML files below a directory of variables in the order in which Ansible reads them, links too."""
    found: list[Path] = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.is_dir():
            found += variable_files(path)
        elif path.suffix in (".yml", ".yaml"):
            found.append(path)
    return found


def find_key(path: Path, key: str) -> Place | None:
    """Return the line where a file has `key:`; of several the last, which wins."""
    if not path.is_file():
        return None
    pattern = re.compile(rf"(?:^|[\s{{,]){re.escape(key)}\s*:")
    lines = [
        number for number, line in enumerate(path.read_text().splitlines(), 1) if pattern.search(line.split(" #")[0])
    ]
    return Place(path, lines[-1]) if lines else None


def relative(place: Place, environment: Environment) -> Place:
    """Return the place as seen from the project's root, which is how people name files."""
    root = environment.directory.parent.parent
    return Place(place.file.relative_to(root), place.line) if place.file.is_relative_to(root) else place
