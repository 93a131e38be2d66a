"""What is to be done with each column, and whether that is enough.

A rule is one of the kinds of personal data (`email`, `name` ...), `scrub` (mask what is found in a text, JSON too),
`text` (say nothing, keep the shape), `remove`, or `{keep: REASON}`. Pure functions: the catalogue and what was found in
columns come in, refusals come out, all at once. Standard library only: it runs on hosts.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.data import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACTS = ("scrub", "text", "remove")
RULES = (*find.KINDS, *ACTS)
SOUNDS = [
    set(name.split("_"))
    for name in """
    email mail phone telephone mobile fax first_name last_name given_name family_name full_name middle_name user_name
    firstname lastname fullname surname forename username nickname login birth birthday birthdate dob street address zip
    postcode postal iban bic card ssn passport ip latitude longitude lat lng gender password secret token
    """.split()
]
"""Words of a column's name, all of them in it, that make one expect a person behind it."""
SILENT_TYPES = ("boolean", "bool")


class Column(NamedTuple):
    """A column of the catalogue: `table` with its schema unless that is public; its type as PostgreSQL formats it."""

    table: str
    name: str
    type: str
    nullable: bool = True

    @property
    def full(self) -> str:
        return f"{self.table}.{self.name}"

    @property
    def is_opaque(self) -> bool:
        """Bytes are looked into by nobody here."""
        return self.type == "bytea"


def sounds_personal(name: str) -> bool:
    """Say whether a column is called like something of a person."""
    words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
    return any(each <= words for each in SOUNDS)


def refusals(rules: Mapping[str, Any], columns: Iterable[Column], found: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return why the rules are not enough for a database; nothing where they are.

    `found` holds what was found in columns without a rule: counts by kind, by full name.
    """
    catalogue = {column.full: column for column in columns}
    said = [_wrong(name, rule, catalogue) for name, rule in sorted(rules.items())]
    for name, column in sorted(catalogue.items()):
        if name in rules:
            continue
        counts = ", ".join(f"{count} times {kind}" for kind, count in sorted(found.get(name, {}).items()))
        if counts:
            said.append(f"{name} holds personal data ({counts}) and has no rule: {way_out(name)}")
        elif sounds_personal(column.name) and column.type not in SILENT_TYPES:
            said.append(f"{name} is called like personal data and has no rule: {way_out(name)}")
        elif column.is_opaque:
            said.append(f"{name} holds bytes, which nobody can look into, and has no rule: remove, or {{keep: REASON}}")
    return [each for each in said if each]


def way_out(name: str) -> str:
    """Return the sentence that says what to write."""
    return f"one of {', '.join(RULES)}, or {{keep: REASON}}, for {name}"


def _wrong(name: str, rule: Any, catalogue: Mapping[str, Column]) -> str:
    """Return what is wrong with one rule; nothing where it is right."""
    if name not in catalogue:
        near = difflib.get_close_matches(name, catalogue, 1)
        return f"{name} is no column of this database" + (f"; did you mean {near[0]}?" if near else "")
    if isinstance(rule, dict):
        reason = rule.get("keep")
        right = set(rule) == {"keep"} and isinstance(reason, str) and reason.strip()
        return "" if right else f"{name}: a column is kept for a reason: {{keep: REASON}}"
    if rule not in RULES:
        near = difflib.get_close_matches(str(rule), RULES, 1)
        return f"{name}: {rule} is no rule" + (f"; did you mean {near[0]}?" if near else f": {way_out(name)}")
    column = catalogue[name]
    if rule == "remove" and not column.nullable and not is_text(column):
        return f"{name}: it may not be empty, so it cannot be removed"
    if column.is_opaque and rule != "remove":
        return f"{name}: of bytes only `remove` can be made, or {{keep: REASON}}"
    return ""


def is_text(column: Column) -> bool:
    """Say whether a column takes any text."""
    return column.type.split("(")[0] in ("text", "character varying", "character", "citext")


def is_kept(rule: Any) -> bool:
    return isinstance(rule, dict)
