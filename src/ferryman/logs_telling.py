"""How a line of a log looks: an object for programs, a line for people."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ferryman import terminal

COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}


def print_lines(lines: Iterable[Mapping[str, Any]], out: Any, *, as_json: bool = False) -> None:
    """Print lines: one JSON object each, or for people, in colours where somebody looks at them who wants any."""
    colours = terminal.coloured(out)
    for line in lines:
        print(json.dumps(line, ensure_ascii=False) if as_json else words(line, colours=colours), file=out)
    out.flush()


def words(line: Mapping[str, Any], *, colours: bool = False) -> str:
    """Return a line for people: time, host, whose it is, release, level, message, and what is left of its fields."""
    whence = "-".join(part for part in (line["app"], line["process"]) if part)
    release = line["release"].rpartition("-")[2] or "-"
    fields = " ".join(
        f"{name}={_short(value)}" for name, value in line["fields"].items() if value not in (None, "", [])
    )
    told = printable(" ".join(part for part in (line["message"], fields if line["process"] != "entry" else "") if part))
    identity = f" [{line['request_id']}]" if line["request_id"] else ""
    text = f"{line['time'][:23]}Z {line['host']} {whence} {release} {line['level']:<8} {told}{printable(identity)}"
    colour = COLOURS.get(line["level"]) if colours else None
    return f"\033[{colour}m{text}\033[0m" if colour else text


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def printable(text: str) -> str:
    """Return text without what would move a terminal's cursor or change its colours: clients write into logs, too."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text.replace("\t", "    ").replace("\n", "\n    "))
