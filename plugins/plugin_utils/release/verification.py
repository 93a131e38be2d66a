"""The steps under `verify` in `ferryman.yml`: checked, and filled with defaults, all errors at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Path, Reader, Spec, kind_of, nearest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITHOUT_BODY = ("GET", "HEAD")
SOURCES = ("json", "header", "cookie", "regex")
VALUE = re.compile(r"[a-z][a-z0-9_]*")
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
LONGEST_S = 60
LONGEST_NAME = 80

_STRINGS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
STEP: Spec = {
    "name": {"type": "str", "required": True},
    "method": {"type": "str", "default": "GET", "choices": list(METHODS)},
    "path": {"type": "str", "required": True},
    "headers": {"type": "dict", "default": {}},
    "form": {"type": "dict", "default": {}},
    "json": {"type": "raw"},
    "expect": {"type": "dict", "default": {}},
    "save": {"type": "dict", "default": {}},
    "needs": _STRINGS,
    "writes": {"type": "bool", "default": False},
}
EXPECT: Spec = {
    "status": {"type": "list", "elements": "int", "default": [200]},
    "contains": _STRINGS,
    "matches": _STRINGS,
    "json": {"type": "dict", "default": {}},
    "headers": {"type": "dict", "default": {}},
    "within_s": {"type": "float", "default": 5},
}


def read(reader: Reader, given: Iterable[Any] | None) -> list[dict[str, Any]]:
    """Return the steps, complete with defaults; what is wrong is remembered by `reader`."""
    steps: list[dict[str, Any]] = []
    saved: list[str] = []
    for number, value in enumerate(given or []):
        place = ("verify", number)
        step = reader.check(value, STEP, place)
        if not step:
            continue
        step["expect"] = reader.check(step["expect"], EXPECT, (*place, "expect"))
        before = [each["name"] for each in steps if each["name"]]
        name(reader, step["name"], before, place, what="step")
        _needs(reader, step["needs"], before, place)
        _request(reader, step, place)
        _expected(reader, step["expect"], (*place, "expect"))
        _places(reader, step, saved, place)
        saved += _saves(reader, step["save"], (*place, "save"))
        steps.append(step)
    return steps


def path(reader: Reader, asked: str, place: Path) -> None:
    """Look at a path that is asked for."""
    if not asked.startswith("/") or not asked.isprintable() or " " in asked or not asked.isascii():
        reader.wrong(place, f"{asked!r} must begin with / and be as a URL writes it")


def seconds(reader: Reader, limit: float, place: Path) -> None:
    """Look at the time that an answer may take."""
    if not 0 < limit <= LONGEST_S:
        reader.wrong(place, f"must be more than 0 and at most {LONGEST_S} seconds")


def name(reader: Reader, given: str | None, before: list[str], place: Path, *, what: str) -> None:
    """Look at what messages call something by: one line, and not what one `before` it is called."""
    if given is None:
        return  # which was said
    if not given.strip() or not given.isprintable() or len(given) > LONGEST_NAME:
        reader.wrong((*place, "name"), f"must be one line of at most {LONGEST_NAME} characters")
    if given in before:
        reader.wrong((*place, "name"), f"{given!r} is the name of an earlier {what}")


def _needs(reader: Reader, needs: list[str], before: list[str], place: Path) -> None:
    for number, other in enumerate(needs):
        if other not in before:
            known = nearest(other, before) if before else "this is the first"
            reader.wrong((*place, "needs", number), f"{other!r} is no earlier step; {known}")


def _request(reader: Reader, step: dict[str, Any], place: Path) -> None:
    if step["path"] is not None:
        path(reader, step["path"], (*place, "path"))
    body = [key for key in ("form", "json") if step[key] not in (None, {})]
    if len(body) > 1:
        reader.wrong((*place, "json"), "cannot go along with form: a request has one body")
    if body and step["method"] in WITHOUT_BODY:
        reader.wrong((*place, body[0]), f"is a body, and {step['method']} has none: method POST, say")
    step["json"] = _json(reader, step["json"], (*place, "json"))
    step["headers"] = _texts(reader, step["headers"], (*place, "headers"), name=HEADER)
    step["form"] = _texts(reader, step["form"], (*place, "form"))


def _expected(reader: Reader, expect_: dict[str, Any], place: Path) -> None:
    if not expect_:
        return
    if not expect_["status"]:
        reader.wrong((*place, "status"), "must name at least one")
    for number, status in enumerate(expect_["status"]):
        if not 100 <= status <= 599:
            reader.wrong((*place, "status", number), f"{status} is no status of HTTP (100 to 599)")
    for number, pattern in enumerate(expect_["matches"]):
        _pattern(reader, pattern, (*place, "matches", number))
    expect_["headers"] = _texts(reader, expect_["headers"], (*place, "headers"), name=HEADER)
    for key in list(expect_["json"]):
        if not isinstance(key, str):
            reader.wrong((*place, "json", key), "must be a text, a path like user.name or items.0.id")
        expect_["json"][key] = _json(reader, expect_["json"][key], (*place, "json", key))
    seconds(reader, expect_["within_s"], (*place, "within_s"))


def _json(reader: Reader, value: Any, place: Path) -> Any:
    """Return a value that JSON can hold; None where it cannot: YAML knows dates, and maps that hold themselves."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        reader.wrong(place, "holds what JSON has no word for: put a date in quotes")
        return None
    return value


def _texts(reader: Reader, given: Mapping[Any, Any], place: Path, *, name: re.Pattern[str] | None = None) -> Any:
    """Return a map of texts; numbers become texts, and anything else is wrong."""
    clean: dict[str, str] = {}
    for key, value in given.items():
        if not isinstance(key, str) or (name and not name.fullmatch(key)):
            reader.wrong((*place, key), "is no name of a header" if name else "must be a text")
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            reader.wrong((*place, key), f"must be text, YAML reads {kind_of(value)} here: put it in quotes")
        elif name and not str(value).isprintable():
            reader.wrong((*place, key), "must be one line")
        else:
            clean[key] = str(value)
    return clean


def _pattern(reader: Reader, pattern: str, place: Path) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        reader.wrong(place, f"is no regular expression: {error}")


def _places(reader: Reader, step: Mapping[str, Any], saved: list[str], place: Path) -> None:
    """Look at the names in braces: what every run knows, secrets, and what an earlier step saves."""
    known = [*expect.GIVEN, *saved]
    for key in ("path", "headers", "form", "json", "expect"):
        for name in sorted(expect.places(step[key])):
            if not name.startswith(expect.SECRET) and name not in known:
                hint = f"{nearest(name, known)} ({{{{{name}}}}} is the word itself in braces)"
                reader.wrong((*place, key), f"holds {{{name}}}, which nothing gives; {hint}")


def _saves(reader: Reader, save: dict[str, Any], place: Path) -> list[str]:
    """Check what a step saves and return the names."""
    for name, source in save.items():
        where = (*place, name)
        if not isinstance(name, str) or not VALUE.fullmatch(name) or name in expect.GIVEN:
            reader.wrong(where, f"must be lower-case letters, digits and _, and not {' or '.join(expect.GIVEN)}")
        if not isinstance(source, dict) or len(source) != 1:
            reader.wrong(where, f"must say where from, by one of {', '.join(SOURCES)}, like {{json: id}}")
            continue
        ((kind, what),) = source.items()
        if kind not in SOURCES:
            reader.wrong((*where, kind), f"is no place to take a value from; {nearest(str(kind), SOURCES)}")
        elif not isinstance(what, str) or not what:
            reader.wrong((*where, kind), f"must be text, YAML reads {kind_of(what)} here: put it in quotes")
        elif kind == "regex":
            _pattern(reader, what, (*where, kind))
    return [str(name) for name in save]
