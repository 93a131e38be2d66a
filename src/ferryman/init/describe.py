"""A description as a file that people read: each part below the reason for it."""

import textwrap
from typing import Any

import yaml

from ferryman.init.model import Guess

WIDTH = 110
HEAD = """\
---
# How this application is built, started and looked at, in every environment. Guessed from what lies here: change
# what is wrong. A deploy reads it from the commit, and tells every mistake with its line.
"""


def text(guess: Guess) -> str:
    """Return ferryman.yml."""
    parts = [HEAD]
    for key, value in guess.description.items():
        if value in ({}, [], "") and key != "env":
            continue
        for remark in (remark for remark in guess.remarks if remark.key == key):
            parts += [f"# {line}\n" for line in textwrap.wrap(remark.text, WIDTH)]
        kept = {name: part for name, part in value.items() if part != []} if isinstance(value, dict) else value
        parts.append(dump({key: kept}))
    return "".join(parts)


def dump(value: dict[str, Any]) -> str:
    """Return YAML as people write it: what holds nothing but values in one line, all else in blocks."""
    flow = None if any(isinstance(part, dict | list) for part in value.values()) else False
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=flow, allow_unicode=True, width=WIDTH)
