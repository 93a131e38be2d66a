"""`ferryman.yml`: read, checked, and filled with defaults. Every error at once, each with its line and the way out."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, render
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import metrics, schedule, sql, verification
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import (
    Path,
    Problems,
    Reader,
    Spec,
    kind_of,
    nearest,
)

__all__ = ["FILE", "Problems", "read", "sized", "unfit"]

FILE = "ferryman.yml"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PROCESS_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
MEMORY = re.compile(r"[1-9]\d*[KMGT]?|[1-9]\d?%|100%|infinity")
LEAST_MEMORY = 2**20
"""Bytes: no process begins in less, and a number without a unit is bytes to systemd."""
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CPU = re.compile(r"[1-9]\d*%")
FIXED_PORT = re.compile(
    r"(?:0\.0\.0\.0|\[::\]|\{host\}):(\d{2,5})\b"
    r"|(?<!\S)(?:(?:--port|--bind)[ =](?:\S*:)?|(?:--listen|-b)[ =]\S*:)(\d{2,5})(?!\S)"
)
NOT_ON_HOSTS = {"node": ("npm", "npx", "yarn", "pnpm")}
"""By runtime, programs that fetch and build: they stay on the driver."""
COUNTS = ("instances", "instances_min", "instances_max")
SIZES = (*COUNTS, "memory_max", "cpu_quota", "stop_timeout_s", "schedule")
"""What an inventory may say of a process."""

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
    "kind": {"type": "str", "required": True, "choices": list(RUNTIMES)},
    "version": {"type": "str", "default": ""},
}
BUILD: Spec = {
    "commands": _STRINGS,
    "root": {"type": "str", "default": "."},
    "exclude": _STRINGS,
    "lock": {"type": "str", "default": ""},
    "scripts": _STRINGS,
}
PROCESS: Spec = {
    "kind": {"type": "str", "required": True, "choices": list(names.KINDS)},
    "command": {"type": "str", "default": ""},
    "instances": {"type": "int", "default": 1},
    "instances_min": {"type": "int", "default": 1},
    "instances_max": {"type": "int", "default": names.PORTS_PER_PROCESS},
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
    "sql": _STRINGS,
    "sql_ignore": _STRINGS,
    "timeout_s": {"type": "int", "default": 30},
    "lock_timeout_s": {"type": "int", "default": 5},
    "statement_timeout_s": {"type": "int", "default": 0},
    "kind": {"type": "str", "default": "expand", "choices": ["expand", "contract", "irreversible"]},
}
CHECKS: Spec = {
    "version": {"type": "dict", "default": {}},
    "checks": {"type": "list", "elements": "dict", "default": []},
}
VERSION: Spec = {"path": {"type": "str", "required": True}, "key": {"type": "str", "default": "release"}}
RENAMED: dict[str, str] = {}
"""Old keys and their new names, for two releases: `"processes.*.memory": "processes.*.memory_max"`."""
CHECK: Spec = {"name": {"type": "str", "required": True}, **HEALTH}


FILLED = [place.strip("{}") for place in render.FILLED]
IN_BRACES = re.compile(r"\{(\w+)\}")


def read(text: str, *, source: str = FILE, renamed: Mapping[str, str] = RENAMED) -> dict[str, Any]:
    """Return the description in `text`, complete with defaults.

    Raises Problems with every error, each naming `source` and its line, and for a key that was `renamed` the new name.
    """
    reader = Reader(source, text, renamed=renamed)
    found = reader.check(reader.data, TOP, ())
    if not found:
        reader.finish()
    for name, spec in (("runtime", RUNTIME), ("build", BUILD), ("health", CHECKS)):
        found[name] = reader.check(found[name] or {}, spec, (name,))
    if found["migrations"]:
        found["migrations"] = reader.check(found["migrations"], MIGRATIONS, ("migrations",))
        for key in render.MIGRATING.values():
            _command(reader, found["migrations"].get(key), ("migrations", key), absent=_absent(found))
        _sql(reader, found["migrations"])
        if found["migrations"].get("downgrade") and not found["migrations"]["revision"]:
            reader.wrong(
                ("migrations", "downgrade"), "leads nowhere without `revision`, which says where the schema is"
            )
    _checks(reader, found["health"])
    found["verify"] = verification.read(reader, found["verify"])
    found["metrics"] = metrics.read(reader, found["metrics"])
    _name(reader, str(found["name"] or ""))
    found["processes"] = _processes(reader, found)
    _shared(reader, found["shared"])
    _environment(reader, found)
    reader.finish()
    return found


def _name(reader: Reader, name: str) -> None:
    if name and (not names.NAME.fullmatch(name) or len(name) > 20):
        reader.wrong(
            ("name",),
            f"{name!r} must be lower-case letters, digits and single dashes, at most 20, beginning with a letter",
        )


def _sql(reader: Reader, migrations: Mapping[str, Any]) -> None:
    for number, entry in enumerate(migrations.get("sql") or []):
        if wrong := sql.unfit(entry):
            reader.wrong(("migrations", "sql", number), wrong)
    for number, rule in enumerate(migrations.get("sql_ignore") or []):
        if rule not in sql.RULES:
            wrong = f"{rule!r} is no rule that refuses a deploy; {nearest(rule, sql.RULES)}"
            reader.wrong(("migrations", "sql_ignore", number), wrong)


def _checks(reader: Reader, health: dict[str, Any]) -> None:
    if health.get("version"):
        health["version"] = reader.check(health["version"], VERSION, ("health", "version"))
        _asked(reader, health["version"], ("health", "version"))
    checks = []
    for number, check in enumerate(health.get("checks") or []):
        place = ("health", "checks", number)
        checks.append(reader.check(check, CHECK, place))
        _asked(reader, checks[-1], place)
    health["checks"] = checks


def _asked(reader: Reader, check: Mapping[str, Any], place: Path) -> None:
    verification.path(reader, str(check.get("path") or "/"), (*place, "path"))
    if "timeout_s" in check:
        verification.seconds(reader, float(check["timeout_s"]), (*place, "timeout_s"))


def _shared(reader: Reader, shared: list[str]) -> None:
    for number, name in enumerate(shared):
        if not {"", ".", ".."}.isdisjoint(name.split("/")):
            reader.wrong(("shared", number), f"{name!r} must be a path below the release, like `media` or `var/cache`")
        elif any(name.startswith(f"{other}/") for other in shared) or name in shared[:number]:
            reader.wrong(("shared", number), f"{name!r} is shared already")


def _environment(reader: Reader, found: Mapping[str, Any]) -> None:
    for name, problem in unfit(found["env"]).items():
        reader.wrong(("env", name), problem)
    for kind in ("secrets", "secret_env"):
        for number, name in enumerate(found[kind]):
            if not VARIABLE.fullmatch(name) or _reserved(name):
                reader.wrong(
                    (kind, number), f"{name!r} must be a name as of an environment variable, and not one of ours"
                )


def _reserved(name: str) -> bool:
    return name in ("HOST", "PORT", "CREDENTIALS_DIRECTORY") or name.startswith("FERRYMAN_")


def unfit(env: Mapping[Any, Any]) -> dict[str, str]:
    """Return what no process can be given, by name: what is no variable's name, or no text."""
    wrong: dict[str, str] = {}
    for name, value in env.items():
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            wrong[str(name)] = "is no name of an environment variable"
        elif _reserved(name):
            wrong[name] = "is set by Ferryman itself"
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            wrong[name] = f"must be text, YAML reads {kind_of(value)} here: put it in quotes"
        elif "\0" in str(value):
            wrong[name] = "holds a NUL character"
    return wrong


def _processes(reader: Reader, found: Mapping[str, Any]) -> dict[str, Any]:
    static = (found["runtime"] or {}).get("kind") == "static"
    given = found["processes"] or ({"web": {"kind": "web"}} if static else {})
    if not given:
        reader.wrong(("processes",), "must name at least one process")
    clean: dict[str, Any] = {}
    for name, value in given.items():
        if str(name).startswith("x-"):
            continue
        path = ("processes", name)
        if not PROCESS_NAME.fullmatch(str(name)) or name in render.MIGRATING:
            no = ", ".join(render.MIGRATING)
            reader.wrong(path, f"must be lower-case letters and digits, at most 16, and none of {no}")
        process = reader.check(value or {}, PROCESS, path)
        if process:
            clean[str(name)] = _process(reader, process, path, static=static, absent=_absent(found))
    if sum(process["kind"] == "web" for process in clean.values()) > 1:
        reader.wrong(
            ("processes",),
            "has several of kind web; an entry serves one: the others are workers, or an application of their own",
        )
    return clean


def _absent(found: Mapping[str, Any]) -> Sequence[str]:
    return NOT_ON_HOSTS.get((found["runtime"] or {}).get("kind", ""), ())


def _process(
    reader: Reader, process: dict[str, Any], path: Path, *, static: bool, absent: Sequence[str]
) -> dict[str, Any]:
    if process["health"]:
        process["health"] = reader.check(process["health"], HEALTH, (*path, "health"))
        _asked(reader, process["health"], (*path, "health"))
    if process["command"] or not (static and process["kind"] == "web"):
        _command(reader, process["command"], (*path, "command"), required=True, absent=absent)
    fixed = FIXED_PORT.search(process["command"]) if process["kind"] == "web" else None
    if fixed and "{port}" not in process["command"]:
        wrong = f"listens on port {fixed[1] or fixed[2]}, and instances of both slots run at once"
        reader.wrong((*path, "command"), f"{wrong}; write {{port}} where the port stands")
    _sizes(reader, process, path)
    return process


def _command(
    reader: Reader, command: str | None, path: Path, *, required: bool = False, absent: Sequence[str] = ()
) -> None:
    try:
        words = shlex.split(command or "")
    except ValueError as error:
        reader.wrong(path, f"cannot be split into words as a shell does: {error}")
        return
    if not words and (required or command):
        reader.wrong(path, "is missing")
    elif words and words[0] in absent:
        reader.wrong(path, f"begins with {words[0]}, which is not on hosts: name what it runs, like `node server.js`")
    for name in IN_BRACES.findall(command or ""):
        near = difflib.get_close_matches(name, FILLED, 1)  # other braces are the command's own
        if near and name not in FILLED:
            reader.wrong(path, f"holds {{{name}}}, which nothing fills; did you mean {{{near[0]}}}?")


def _sizes(reader: Reader, process: Mapping[str, Any], path: Path) -> None:
    """Look at what ends up in a unit: a value with a line break would be a directive of its own."""
    _instances(reader, process, path)
    if process["stop_timeout_s"] < 1:
        reader.wrong((*path, "stop_timeout_s"), "must be at least 1 second")
    if process["timeout_s"] < 0:
        reader.wrong((*path, "timeout_s"), "must be seconds; with 0 one of kind once gets an hour")
    if process["memory_max"] and not MEMORY.fullmatch(process["memory_max"]):
        reader.wrong((*path, "memory_max"), f"{process['memory_max']!r} must be like 512M, 2G or 50%")
    if process["cpu_quota"] and not CPU.fullmatch(process["cpu_quota"]):
        reader.wrong((*path, "cpu_quota"), f"{process['cpu_quota']!r} must be a percentage of one processor, like 150%")
    least = size_of(process["memory_max"]) if MEMORY.fullmatch(process["memory_max"]) else None
    if least is not None and least < LEAST_MEMORY:
        said = process["memory_max"]
        reader.wrong((*path, "memory_max"), f"{said!r} is {least} bytes, in which nothing runs; 512M is 512 MiB")
    if process["kind"] == "cron" and not process["schedule"]:
        reader.wrong((*path, "schedule"), f"is missing; {schedule.RIGHT}")
    elif process["schedule"] and (wrong := schedule.wrong(process["schedule"])):
        reader.wrong((*path, "schedule"), wrong)


def _instances(reader: Reader, process: Mapping[str, Any], path: Path) -> None:
    beyond = [key for key in COUNTS if not 1 <= process[key] <= names.PORTS_PER_PROCESS]
    for key in beyond:
        reader.wrong((*path, key), f"must be 1 to {names.PORTS_PER_PROCESS}")
    least, most = process["instances_min"], process["instances_max"]
    if beyond or least <= process["instances"] <= most:
        return
    if least > most:
        reader.wrong((*path, "instances_min"), f"must be no more than instances_max, which is {most}")
    else:
        reader.wrong((*path, "instances"), f"must be {least} to {most}, as instances_min and instances_max say")


def size_of(said: str) -> int | None:
    """Return the bytes of a size as systemd takes it; None for a share of the host, or no limit."""
    if not said or said == "infinity" or said.endswith("%"):
        return None
    return int(said[:-1]) * UNITS[said[-1]] if said[-1] in UNITS else int(said)


def sized(description: Mapping[str, Any], sizes: Mapping[str, Mapping[str, Any]], *, source: str) -> dict[str, Any]:
    """Return the description with an inventory's sizes laid over its processes.

    Raises Problems; `source` names the inventory's key.
    """
    reader = Reader(source)
    processes = {name: dict(process) for name, process in description["processes"].items()}
    for name, values in sizes.items():
        if name not in processes:
            reader.wrong((name,), f"is no process of {description['name']}; {nearest(str(name), processes)}")
            continue
        clean = reader.check(values or {}, {key: PROCESS[key] for key in SIZES}, (name,))
        processes[name].update({key: clean[key] for key in clean if key in values})
        _sizes(reader, processes[name], (name,))
    reader.finish()
    return {**description, "processes": processes}
