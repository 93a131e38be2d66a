"""`ferryman.yml`: read, checked, and filled with defaults. Every error at once, each with its line and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ferryman.ops.plugins.module_utils.release import names

FILE = "ferryman.yml"
Spec = dict[str, dict[str, Any]]
Path = tuple[Any, ...]

_STRINGS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
TOP: Spec = {
    "format": {"type": "int", "required": True, "choices": [1]},
    "name": {"type": "str", "required": True},
    "runtime": {"type": "dict", "required": True},
    "build": {"type": "dict", "default": {}},
    "processes": {"type": "dict", "default": {}},
    "migrations": {"type": "dict", "default": {}},
    "health": {"type": "dict", "default": {}},
    "shared": _STRINGS,
    "env": {"type": "dict", "default": {}},
    "secrets": _STRINGS,
    "secret_env": _STRINGS,
    "verify": {"type": "list", "elements": "raw", "default": []},
    "metrics": {"type": "list", "elements": "raw", "default": []},
    "privacy": {"type": "dict", "default": {}},
}
RUNTIME: Spec = {
    "kind": {"type": "str", "required": True, "choices": ["python", "static", "binary"]},
    "version": {"type": "str", "default": ""},
}
BUILD: Spec = {
    "commands": _STRINGS,
    "root": {"type": "str", "default": "."},
    "exclude": _STRINGS,
    "lock": {"type": "str", "default": ""},
}
PROCESS: Spec = {
    "kind": {"type": "str", "required": True, "choices": list(names.KINDS)},
    "command": {"type": "str", "default": ""},
    "instances": {"type": "int", "default": 1},
    "health": {"type": "dict", "default": {}},
    "schedule": {"type": "str", "default": ""},
    "overlap": {"type": "bool", "default": False},
    "memory_max": {"type": "str", "default": ""},
    "cpu_quota": {"type": "str", "default": ""},
    "stop_timeout_s": {"type": "int", "default": 30},
    "timeout_s": {"type": "int", "default": 0},
    "network": {"type": "str", "default": "any", "choices": ["any", "local", "none"]},
}
HEALTH: Spec = {
    "path": {"type": "str", "required": True},
    "status": {"type": "int", "default": 200},
    "timeout_s": {"type": "float", "default": 3},
}
MIGRATIONS: Spec = {
    "command": {"type": "str", "required": True},
    "revision": {"type": "str", "default": ""},
    "downgrade": {"type": "str", "default": ""},
    "paths": _STRINGS,
    "timeout_s": {"type": "int", "default": 30},
    "kind": {"type": "str", "default": "expand", "choices": ["expand", "contract", "irreversible"]},
}
CHECKS: Spec = {
    "version": {"type": "dict", "default": {}},
    "checks": {"type": "list", "elements": "dict", "default": []},
}
VERSION: Spec = {"path": {"type": "str", "required": True}, "key": {"type": "str", "default": "release"}}
CHECK: Spec = {"name": {"type": "str", "required": True}, **HEALTH}


class Problems(Exception):
    """Everything that is wrong with a description, each as `place: what and the way out`."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("\n".join(found))
        self.found = found


class _Reader:
    """Checks values against specs and remembers what is wrong, with lines."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[Path, int] = {}
        self.found: list[str] = []
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{source}:{mark.line + 1}" if mark else source
            raise Problems([f"{place}: this is not YAML: {getattr(error, 'problem', error)}"]) from None
        if node is not None:
            self._note(node, ())

    def _note(self, node: yaml.Node, path: Path) -> None:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._note(value, (*path, key.value))
                self.lines[(*path, key.value)] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._note(value, (*path, number))

    def wrong(self, path: Path, what: str) -> None:
        """Remember that something at `path` is wrong."""
        place = path
        while place and place not in self.lines:
            place = place[:-1]
        named = ".".join(str(part) for part in path)
        self.found.append(f"{self.source}:{self.lines.get(place, 1)}: {named + ' ' if named else ''}{what}")

    def check(self, value: Any, spec: Spec, path: Path) -> dict[str, Any]:
        """Return `value` with defaults and right types.

        Remember every error, one option at a time so that none hides another.
        """
        if not isinstance(value, dict):
            self.wrong(path, f"must hold keys and values, this is {type(value).__name__}")
            return {}
        for key in value:
            if key not in spec and not str(key).startswith("x-"):
                near = difflib.get_close_matches(str(key), spec, n=1)
                self.wrong(
                    (*path, key),
                    "is not an option; " + (f"did you mean {near[0]}?" if near else f"one of: {', '.join(spec)}"),
                )
        clean: dict[str, Any] = {}
        for name, option in spec.items():
            if option.get("required") and value.get(name) is None:
                self.wrong((*path, name), "is missing")
                continue
            given = {} if value.get(name) is None else {name: value[name]}
            result = ArgumentSpecValidator({name: {k: v for k, v in option.items() if k != "required"}}).validate(given)
            for message in result.error_messages:
                self.wrong((*path, name), f"is wrong: {message}")
            clean[name] = result.validated_parameters.get(name)
        return clean


def read(text: str, *, source: str = FILE) -> dict[str, Any]:
    """Return the description in `text`, complete with defaults.

    Raises Problems with every error, each naming `source` and its line.
    """
    reader = _Reader(text, source)
    found = reader.check(reader.data, TOP, ())
    if not found:
        raise Problems(reader.found)
    for name, spec in (("runtime", RUNTIME), ("build", BUILD), ("health", CHECKS)):
        found[name] = reader.check(found.get(name) or {}, spec, (name,))
    if found.get("migrations"):
        found["migrations"] = reader.check(found["migrations"], MIGRATIONS, ("migrations",))
    health = found["health"]
    if health.get("version"):
        health["version"] = reader.check(health["version"], VERSION, ("health", "version"))
    health["checks"] = [
        reader.check(check, CHECK, ("health", "checks", number))
        for number, check in enumerate(health.get("checks") or [])
    ]
    _name(reader, str(found.get("name") or ""))
    found["processes"] = _processes(reader, found)
    for name in found.get("shared") or []:
        if name.startswith("/") or ".." in name.split("/"):
            reader.wrong(("shared",), f"{name!r} must stay below the release's own directory")
    if reader.found:
        raise Problems(sorted(reader.found, key=_line))
    return found


def _line(problem: str) -> int:
    return int(problem.split(":")[1])


def _name(reader: _Reader, name: str) -> None:
    if name and (not names.NAME.fullmatch(name) or len(name) > 20):
        reader.wrong(
            ("name",),
            f"{name!r} must be lower-case letters, digits and single dashes, at most 20, beginning with a letter",
        )


def _processes(reader: _Reader, found: Mapping[str, Any]) -> dict[str, Any]:
    static = (found.get("runtime") or {}).get("kind") == "static"
    given = found.get("processes") or ({"web": {"kind": "web"}} if static else {})
    if not given:
        reader.wrong(("processes",), "must name at least one process")
    clean: dict[str, Any] = {}
    for name, value in given.items():
        path = ("processes", name)
        if not str(name).isalnum() or not str(name).islower() or len(str(name)) > 16 or name in ("migrate", "revision"):
            reader.wrong(path, "must be lower-case letters and digits, at most 16, and neither migrate nor revision")
        process = reader.check(value or {}, PROCESS, path)
        if not process:
            continue
        if process.get("health"):
            process["health"] = reader.check(process["health"], HEALTH, (*path, "health"))
        if not process["command"] and not (static and process["kind"] == "web"):
            reader.wrong((*path, "command"), "is missing")
        if process["kind"] == "cron" and not process["schedule"]:
            reader.wrong((*path, "schedule"), "is missing: when to run, as systemd.time(7) writes it (*-*-* 03:15:00)")
        if not 1 <= int(process["instances"] or 0) <= names.PORTS_PER_PROCESS:
            reader.wrong((*path, "instances"), f"must be 1 to {names.PORTS_PER_PROCESS}")
        clean[str(name)] = process
    if sum(process.get("kind") == "web" for process in clean.values()) > 1:
        reader.wrong(
            ("processes",),
            "has several of kind web; an entry serves one: the others are workers, or an application of their own",
        )
    return clean


def sized(description: Mapping[str, Any], sizes: Mapping[str, Mapping[str, Any]], *, source: str) -> dict[str, Any]:
    """Return the description with an inventory's sizes laid over its processes.

    Raises Problems; `source` names the inventory's key.
    """
    may = ("instances", "memory_max", "cpu_quota", "stop_timeout_s", "schedule")
    found: list[str] = []
    processes = {name: dict(process) for name, process in description["processes"].items()}
    for name, values in sizes.items():
        if name not in processes:
            near = difflib.get_close_matches(name, processes, n=1)
            found.append(
                f"{source}.{name} is no process of {description['name']}; "
                + (f"did you mean {near[0]}?" if near else f"one of: {', '.join(processes)}")
            )
            continue
        for key, value in values.items():
            if key not in may:
                found.append(f"{source}.{name}.{key} is not for the inventory to say; it may set {', '.join(may)}")
            else:
                processes[name][key] = value
    if found:
        raise Problems(found)
    return {**description, "processes": processes}
