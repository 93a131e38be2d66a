"""An environment's hosts and their values, read as plain YAML: at once, without Ansible and without a vault."""

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ferryman import places
from ferryman.environments import Environment

Values = dict[Any, Any]
RANGE = re.compile(r"\[([A-Za-z]|\d*):([A-Za-z]|\d+)(?::([1-9]\d*))?\]")


@dataclass
class _Group:
    parents: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    values: Values = field(default_factory=dict)


def hosts(environment: Environment) -> dict[str, Values]:
    """Return each host's values in the order in which Ansible lets them win, templates not filled in.

    What is encrypted is None. Files that cannot be read give nothing: a check of that environment tells them.
    """
    groups: dict[str, _Group] = {"all": _Group()}
    own: dict[str, Values] = {}
    try:
        for name, told in read(environment.inventory).items():
            _note(str(name), told, "", groups, own)
    except RecursionError:  # an anchor that holds itself
        return {}
    given = {name: _files(environment, "group_vars", name) for name in groups}
    return {host: _values(host, groups, given) | own[host] | _files(environment, "host_vars", host) for host in own}


def read(path: Path) -> Values:
    """Return the values of a file; none where it cannot be read or holds no map."""
    try:
        return _map(places.values(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError, RecursionError, TypeError):
        return {}


def _note(name: str, told: Any, parent: str, groups: dict[str, _Group], own: dict[str, Values]) -> None:
    """Note what a group of an inventory holds; Ansible takes together what several places say of it."""
    group = groups.setdefault(name, _Group())
    group.parents |= {parent} - {""}
    group.values |= _map(_map(told).get("vars"))
    for host, values in _map(_map(told).get("hosts")).items():
        for each in _each(str(host)):
            group.hosts.add(each)
            own.setdefault(each, {}).update(_map(values))
    for child, inner in _map(_map(told).get("children")).items():
        _note(str(child), inner, name, groups, own)


def _each(name: str) -> Iterator[str]:
    """Return the hosts that a name of an inventory stands for: `web[01:12:3]` and `db[a:c]` are ranges."""
    found = RANGE.search(name)
    if not found:
        yield name
        return
    first, last, step = found[1] or "0", found[2], int(found[3] or 1)
    if first.isdigit() and last.isdigit():
        width = len(first) if first[0] == "0" else 0
        within = [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    else:
        letters = string.ascii_letters
        within = list(letters[letters.find(first) : letters.find(last) + 1 : step])
    for each in within:
        yield from _each(name[: found.start()] + each + name[found.end() :])


def _values(host: str, groups: Mapping[str, _Group], given: Mapping[str, Values]) -> Values:
    """Return what a host's groups give it: the inner one wins, and a file wins over the inventory."""
    around = {above for name, group in groups.items() if host in group.hosts for above in _above(name, groups)}
    inwards = ["all", *sorted(around - {"all"}, key=lambda name: (len(_above(name, groups)), name))]
    found: Values = {}
    for values in (*(groups[name].values for name in inwards), *(given[name] for name in inwards)):
        found |= values
    return found


def _above(name: str, groups: Mapping[str, _Group]) -> set[str]:
    """Return a group and all that it lies in."""
    found, fresh = set[str](), {name}
    while fresh:
        found |= fresh
        fresh = {parent for each in fresh for parent in groups[each].parents} - found
    return found


def _files(environment: Environment, kind: str, name: str) -> Values:
    found: Values = {}
    for path in places.named_files(environment.directory / kind / name):
        found |= read(path)
    return found


def _map(told: Any) -> Values:
    return told if isinstance(told, dict) else {}
