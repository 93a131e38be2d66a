"""Read YAML that people write: every error at once, each with its line and the way out."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

Spec = Mapping[str, Mapping[str, Any]]
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Finding:
    """One thing wrong: the keys that lead to it, what is wrong, and its line; without one, it stands in an inventory.

    `source` is the file, or the inventory's key below which the keys lie.
    """

    source: str
    keys: Path
    wrong: str
    line: int = 0

    def __str__(self) -> str:
        named = ".".join(str(key) for key in self.keys)
        if not self.line:
            return f"{self.source}.{named} {self.wrong}" if named else f"{self.source}: {self.wrong}"
        return f"{self.source}:{self.line}: {named + ' ' if named else ''}{self.wrong}"


class Problems(Exception):
    """Everything that is wrong, each as `place: what and the way out`."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.found = [str(each) for each in findings]
        super().__init__("\n".join(self.found))


class Reader:
    """Checks values against specs and remembers what is wrong; `text` gives the lines, without it places are names.

    `renamed` maps old keys to new ones, both dotted: they are refused by both names.
    """

    def __init__(self, source: str, text: str | None = None, *, renamed: Mapping[str, str] | None = None) -> None:
        self.source = source
        self.renamed = renamed or {}
        self.data: Any = None
        self._lines: dict[Path, int] | None = None
        self._found: list[Finding] = []
        if text is not None:
            self._lines = {}
            self._parse(text)

    def _parse(self, text: str) -> None:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark, begun = (getattr(error, name, None) for name in ("problem_mark", "context_mark"))
            told = f"this is not YAML: {getattr(error, 'problem', None) or error}"
            if mark and begun and begun.line < mark.line:  # a brace that is missing is missed on a later line
                told += f", in what begins at line {begun.line + 1}"
            raise Problems([Finding(self.source, (), told, mark.line + 1 if mark else 0)]) from None
        except (ValueError, OverflowError, RecursionError) as error:  # a date that is none, a number beyond all bounds
            raise Problems([Finding(self.source, (), f"this cannot be read: {error}")]) from None
        if node is not None:
            self._note(node, (), set())

    def _note(self, node: yaml.Node, path: Path, above: set[int]) -> None:
        assert self._lines is not None
        self._lines[path] = node.start_mark.line + 1
        if id(node) in above:  # an anchor that holds itself
            self.wrong(path, "refers to itself")
            return
        inside = {*above, id(node)}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*path, key.value)
                if place in self._lines and key.value != "<<":
                    self.wrong(place, f"is given twice, at line {key.start_mark.line + 1} again")
                self._note(value, place, inside)
                self._lines[place] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._note(value, (*path, number), inside)

    def wrong(self, path: Path, what: str) -> None:
        """Remember that something at `path` is wrong."""
        if self._lines is None:
            self._found.append(Finding(self.source, path, what))
            return
        self._found.append(Finding(self.source, path, what, self.line(path) or 1))

    def line(self, path: Path) -> int:
        """Return the line of what `path` leads to, or of what holds it; 0 where there is no text."""
        while path and path not in (self._lines or {}):
            path = path[:-1]
        return (self._lines or {}).get(path, 0)

    def finish(self) -> None:
        """Raise Problems if anything was wrong, in the order of the lines."""
        if self._found:
            raise Problems(sorted(self._found, key=lambda each: each.line))

    def check(self, value: Any, spec: Spec, path: Path) -> dict[str, Any]:
        """Return `value` with defaults and right types; what is wrong is remembered and replaced by its default.

        One option is checked at a time, so that no error hides another.
        """
        if not isinstance(value, dict):
            what = "is empty" if value is None else f"is {kind_of(value)}"
            self.wrong(path, f"must hold keys and values, this {what}")
            return {}
        for key in value:
            if key not in spec and not str(key).startswith("x-"):
                new = self._new_name((*path, key))
                self.wrong(
                    (*path, key), f"is now called {new}" if new else f"is not an option; {nearest(str(key), spec)}"
                )
        return {name: self._option(value.get(name), option, (*path, name)) for name, option in spec.items()}

    def _new_name(self, path: Path) -> str:
        """Return the new name of a key that was renamed; `*` in the map stands for a process and for a list's item."""
        named = [
            "*" if isinstance(part, int) or before == "processes" else str(part)
            for before, part in zip(("", *path), path, strict=False)
        ]
        return self.renamed.get(".".join(named), "")

    def _option(self, value: Any, option: Mapping[str, Any], path: Path) -> Any:
        default = copy.deepcopy(option.get("default"))
        if value is None:
            if option.get("required"):
                self.wrong(path, "is missing")
            return default
        problem = _text_problem(value, option)
        if problem:
            self.wrong(path, problem)
            return default
        validator = ArgumentSpecValidator({path[-1]: {k: v for k, v in option.items() if k != "required"}})
        result = validator.validate({path[-1]: value})
        for message in result.error_messages:
            self.wrong(path, f"is wrong: {message}")
        return default if result.error_messages else result.validated_parameters[path[-1]]


def kind_of(value: Any) -> str:
    """Return what YAML took a value for, in words of people who write YAML."""
    if isinstance(value, bool):
        return "yes or no"
    kinds = {int: "a number", float: "a number", list: "a list", dict: "a map", str: "text", date: "a date"}
    found = (word for of, word in kinds.items() if isinstance(value, of))
    return "nothing" if value is None else next(found, "something else")


def nearest(word: str, known: Any) -> str:
    """Return what a misspelt word may have meant, else all there is."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"one of: {', '.join(map(str, known))}"


def _text_problem(value: Any, option: Mapping[str, Any]) -> str:
    """Return why a value is no text where text is wanted: YAML reads 3.10 as 3.1 and `yes` as true."""
    if option["type"] == "str":
        texts = [value]
    elif option.get("elements") == "str":
        texts = value if isinstance(value, list) else [value]
    else:
        return ""
    for text in texts:
        if not isinstance(text, (str, int)) or isinstance(text, bool):
            return f"must be text, YAML reads {kind_of(text)} here: put it in quotes"
        if "\0" in str(text):
            return "holds a NUL character"
    return ""
