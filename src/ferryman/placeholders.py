"""What stands in an environment's files until somebody who knows puts the right value there."""

import re
from collections.abc import Iterator

from ferryman import places
from ferryman.environments import Environment
from ferryman.places import Place, Problem

# Kept for documentation: addresses by RFC 5737 and RFC 3849, names by RFC 2606, section 2. A key is abbreviated so.
KINDS = {
    r"\b(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}\b|\b2001:db8:[0-9a-f:]*": "an address kept for documentation",
    # What stands before an @ is a person or a password, and no part of the name.
    r"(?<![\w.-])[\w.-]+\.example\b(?!\.\w|[^\s/,]*@)": "a name kept for documentation",
    r"\bssh-\w+ AAAA\.\.\.": "no whole key",
}


def standing(environment: Environment) -> Iterator[Problem]:
    """Return each placeholder in an environment's own files, with its line; comments may name them."""
    shared = environment.variables / "00-shared"
    for path in places.files(environment):
        if path.is_relative_to(shared):
            continue
        for line, found, kind in within(path.read_text(encoding="utf-8", errors="replace")):
            place = places.relative(Place(path, line), environment)
            yield Problem(place, found, f"is {kind}", "put your own there")


def within(text: str) -> Iterator[tuple[int, str, str]]:
    """Return the placeholders of a file: line, what stands there, which kind it is."""
    for number, line in enumerate(text.splitlines(), 1):
        said = re.split(r"(?:^|\s)#", line, maxsplit=1)[0]
        for pattern, kind in KINDS.items():
            yield from ((number, found, kind) for found in re.findall(pattern, said))
