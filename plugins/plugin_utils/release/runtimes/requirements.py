"""Whether a requirements file is a lock: each line names one file, by an exact version and its sums, and no other list.

pip's documentation has the form ("Requirements File Format"). Hosts install from what is named and nothing else, so a
package that only another one asks for must be there, too: whoever writes sums by a tool has them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

COMMENT = re.compile(r"(^|\s)#.*$")
OTHER_LIST = re.compile(r"-[rce]|--(requirement|constraint|editable)\b")
URL = re.compile(r"https?://\S+")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
EXACT = re.compile(rf"{NAME.pattern}\s*(\[[^\]]*\])?\s*(===?\s*[^\s;,*=]+|@\s*\S+)(\s*;.*|\s+--.*)?")
SUM = re.compile(r"\s--hash=\w+:[0-9a-fA-F]+|#sha256=[0-9a-fA-F]{64}")


def loose(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines (from 1) that leave open what is installed, each with the reason."""
    for number, line in _lines(text):
        name = NAME.match(line)
        if OTHER_LIST.match(line):
            yield number, f"{line.split()[0]} leads elsewhere, where nobody looks"
        elif URL.match(line):
            if not SUM.search(line):
                yield number, f"{line.split()[0]} has no sum (--hash)"
        elif line.startswith("-"):
            continue
        elif not name:
            yield number, f"{line.split()[0]!r} is no package of a registry"
        elif not EXACT.fullmatch(line):
            yield number, f"{name[0]} has no exact version"
        elif not SUM.search(line):
            yield number, f"{name[0]} has no sum (--hash)"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Return what is no comment, each with the number of the line that it begins at; a backslash joins lines."""
    begun, joined = 0, ""
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not joined and line.lstrip().startswith("#"):
            continue  # a backslash at its end joins nothing
        begun = begun if joined else number
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        said, joined = COMMENT.sub("", joined).strip(), ""
        if said:
            yield begun, said
    if joined.strip():
        yield begun, joined.strip()
