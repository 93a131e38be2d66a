"""What is found out about an application: a description, the reason for each part, what is missing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryman.init.dependencies import Missing

Files = Mapping[str, str]

NAME_LENGTH = 20
# What Ferryman's own project files are called, where they lie in the application's repository.
OURS = ("inventories", "group_vars")


@dataclass(frozen=True)
class Remark:
    """Something to know about a part of ferryman.yml (its first key): why it is so, what to check."""

    key: str
    text: str


@dataclass
class Guess:
    """A description for ferryman.yml, and what goes with it.

    `secrets` maps what the application reads to the value that an inventory gives; `database`: whether it wants one.
    """

    description: dict[str, Any]
    remarks: list[Remark] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    database: bool = False

    @property
    def name(self) -> str:
        """The application's name."""
        return str(self.description["name"])

    @property
    def lock(self) -> str:
        """The lock that a deploy installs from; empty for none."""
        return str(self.description.get("build", {}).get("lock", ""))

    def say(self, key: str, text: str) -> None:
        """Remember a remark."""
        self.remarks.append(Remark(key, text))


def name_from(text: str) -> str:
    """Return `text` as an application's name: lower-case letters, digits, single dashes, beginning with a letter."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words).lstrip("-0123456789")[:NAME_LENGTH].strip("-") or "app"


def word(name: str) -> str:
    """Return `name` as a part of a variable's, a database's or a module's."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def begin(name: str, kind: str, exclude: tuple[str, ...] = OURS) -> Guess:
    """Return the beginning of a description."""
    return Guess(
        {
            "format": 1,
            "name": name_from(name),
            "runtime": {"kind": kind},
            "build": {"exclude": list(exclude)},
        }
    )
