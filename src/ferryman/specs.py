"""The roles' argument specs: the one truth from which defaults, reference and checks are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ferryman import paths, places

Option = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """A role as its spec describes it."""

    name: str
    directory: Path
    entries: dict[str, dict[str, Any]] = field(repr=False)

    @cached_property
    def options(self) -> dict[str, Option]:
        """Every option of every entry by name; a name means the same in each of them (a contract test sees to it)."""
        merged: dict[str, Option] = {}
        for entry in self.entries.values():
            for name, option in (entry.get("options") or {}).items():
                merged.setdefault(name, option)
        return merged

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """What defaults/main.yml must say."""
        return {name: option["default"] for name, option in self.options.items() if "default" in option}

    def required(self, entry: str) -> list[str]:
        """Return the names that the entry can't do without."""
        options = self.entries.get(entry, {}).get("options") or {}
        return [name for name, option in options.items() if option.get("required")]


def read(directory: Path) -> Role:
    """Return the role in `directory`, whose meta/argument_specs.yml must be there.

    What meta/bounds.yml gives, which Ansible's specs have no word for, is in each option as `bounds` (decision 20).
    """
    document = places.plain(directory / "meta" / "argument_specs.yml") or {}
    beside = directory / "meta" / "bounds.yml"
    bounds = places.plain(beside) or {} if beside.is_file() else {}
    entries = {
        name: {**entry, "options": bounded(entry.get("options") or {}, bounds)}
        for name, entry in (document.get("argument_specs") or {}).items()
    }
    return Role(directory.name, directory, entries)


def bounded(options: dict[str, Option], bounds: Mapping[str, Any]) -> dict[str, Option]:
    """Return options with the bounds that paths as `sites[].port` give to them and to their parts."""
    found = dict(options)
    for path, bound in bounds.items():
        name, _, inner = path.replace("[]", "").partition(".")
        if name in found and inner:
            parts = bounded(found[name].get("options") or {}, {inner: bound})
            found[name] = {**found[name], "options": parts}
        elif name in found:
            found[name] = {**found[name], "bounds": bound}
    return found


def roles(collection: Path | None = None) -> dict[str, Role]:
    """Return the collection's roles by name, sorted."""
    root = collection or paths.collection_root()
    return {
        path.parents[1].name: read(path.parents[1])
        for path in sorted((root / "roles").glob("*/meta/argument_specs.yml"))
    }
