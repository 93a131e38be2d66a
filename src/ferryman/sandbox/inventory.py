"""What an inventory says about its sandbox, read as plain YAML.

Only hosts.yml and group_vars/all/sandbox.yml are read, and no templates: the sandbox must be up before there are
secrets to open a vault with, and a deploy that finds it up must not pay half a second for Ansible's own reader.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ferryman import paths, places
from ferryman.errors import Stop
from ferryman.sandbox.model import SSH_PORT, Host, Sandbox, checked, host, is_name

PREFIX = "sandbox_"


def read(inventory: Path, below: Path) -> Sandbox:
    """Return the sandbox of the inventory in this directory; its files lie in `below`/sandbox/<sandbox_name>."""
    name = _load(inventory / "group_vars" / "all" / "sandbox.yml").get("sandbox_name")
    hosts = from_tree(_load(inventory / "hosts.yml"))
    where = inventory / "hosts.yml"
    if not hosts:
        raise Stop(f"{where} has no sandbox hosts", hint="a host with `sandbox_image: base` is one")
    if not isinstance(name, str) or not is_name(name):
        raise Stop(
            f"{inventory / 'group_vars/all/sandbox.yml'}: sandbox_name is {name!r}",
            hint="it names the containers: lower case letters, digits and hyphens",
        )
    return checked(Sandbox(name, (below / "sandbox" / name).absolute(), tuple(hosts)))


def from_tree(tree: Mapping[str, Any]) -> list[Host]:
    """Return the sandbox's hosts of an inventory in YAML, in its order; what a group gives, its hosts may override."""
    found: dict[str, dict[str, Any]] = {}
    for group in tree.values():
        for name, variables in named(group or {}, {}):
            found[name] = found.get(name, {}) | variables
    return [_host(name, variables) for name, variables in found.items() if f"{PREFIX}image" in variables]


def named(group: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the hosts of a group of an inventory in YAML with their variables, those of its parts too."""
    given = {**given, **(group.get("vars") or {})}
    for child in (group.get("children") or {}).values():
        yield from named(child or {}, given)
    for name, variables in (group.get("hosts") or {}).items():
        yield str(name), {**given, **(variables or {})}


def _host(name: str, variables: Mapping[str, Any]) -> Host:
    options = {key.removeprefix(PREFIX): value for key, value in variables.items() if key.startswith(PREFIX)}
    # Where Ansible goes in is where SSH must listen.
    port = variables.get("ansible_port", SSH_PORT)
    publish = options.get("publish")
    inside = publish.get(port, port) if isinstance(publish, Mapping) else port
    return host(name, {"ssh_port": inside} | options)


def _load(path: Path) -> dict[str, Any]:
    try:
        found = places.values(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.MarkedYAMLError as error:
        raise Stop(f"{path}:{places.line_of(error)}: the file is not YAML: {places.said(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Stop(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise Stop(f"{path} is not a map", hint=f"`{paths.program()} check` says what belongs there")
    return found
