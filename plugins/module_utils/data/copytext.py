"""PostgreSQL's text format of COPY: a line is a row, a tab parts fields, and a backslash escapes.

Source: PostgreSQL's manual, COPY, "Text Format". Standard library only: it runs on hosts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Sequence

NULL = "\\N"
ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
ESCAPES = {"\\": "\\\\", **{letter: f"\\{code}" for code, letter in ESCAPED.items()}}
SPECIAL = re.compile(r"[\b\f\n\r\t\v\\]")
ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def fields(line: str) -> list[Optional[str]]:
    """Return the fields of a row; None for null."""
    return [None if field == NULL else _plain(field) for field in line.rstrip("\n").split("\t")]


def line(values: Sequence[Optional[str]]) -> str:
    """Return a row with its line's end."""
    return "\t".join(NULL if value is None else SPECIAL.sub(_escape, value) for value in values) + "\n"


def _plain(field: str) -> str:
    return ESCAPE.sub(lambda match: ESCAPED.get(match.group(1), match.group(1)), field) if "\\" in field else field


def _escape(match: re.Match[str]) -> str:
    return ESCAPES[match.group()]
