"""Files that would say how an application runs, and that nobody can read: a guess without them would be wrong."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from ferryman.errors import Stop
from ferryman.init.model import Files

AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def refuse(directory: Path, files: Files) -> None:
    """Stop with every file in `directory` that is broken, each with its line; `files` are those that could be read."""
    wrong = list(_wrong(directory, files))
    if wrong:
        hint = "mend it and run this again; nothing was written"
        raise Stop("\n".join(wrong), hint=hint)


def _wrong(directory: Path, files: Files) -> Iterator[str]:
    for name, judge in JUDGES.items():
        path = directory / name
        if name not in files:
            if os.path.lexists(path):
                yield f"{path} cannot be read: it is no text in UTF-8, or leads nowhere"
        elif found := judge(files[name]):
            line, wrong = found
            yield f"{path}:{line}: {wrong}"


def _json(text: str) -> tuple[int, str] | None:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno, f"this is not JSON: {error.msg}"
    except RecursionError:
        return 1, "this is not JSON of npm's: it is nested too deep"
    return None if isinstance(found, dict) else (1, "this is no object, which begins with {")


def _toml(text: str) -> tuple[int, str] | None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = AT_LINE.search(str(error))  # the end of the document has no number
        line = int(at[1]) if at else len(text.splitlines()) or 1
        return line, f"this is not TOML: {AT_LINE.sub('', str(error))}"
    except RecursionError:
        return 1, "this is not TOML of a project: it is nested too deep"
    return None


JUDGES: dict[str, Callable[[str], tuple[int, str] | None]] = {"pyproject.toml": _toml, "package.json": _json}
