"""Masking a whole database: look, refuse or mask, replace at once, and prove that nothing is left.

Nothing is changed before the rules are known to be enough; everything is replaced in one transaction; what is not
proven afterwards is told, by place and kind, never by value. Standard library only: it runs on hosts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.data import find, mask, rules
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import PARTS, Database, Table, Trouble, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JSON = ("json", "jsonb")


class Refused(Trouble):
    """The rules are not enough, and nothing was changed."""


class Survey(NamedTuple):
    """A database as it is: its tables, and what was found in columns without a rule, by full name and kind."""

    tables: list[Table]
    found: dict[str, Counter[str]]


def survey(database: Database, wanted: Mapping[str, Any]) -> Survey:
    """Look into every column that has no rule; what a materialized view holds is made anew from tables."""
    tables = database.tables()
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for table in (table for table in tables if table.kind == "r"):
        names = [name for name, column in table.columns.items() if column.full not in wanted and not column.is_opaque]
        for row in database.rows(table, names) if names else ():
            for name, value in zip(names, row):
                if value:
                    found[f"{table.full}.{name}"].update(each.kind for each in find.shaped(value))
    return Survey(tables, {name: counts for name, counts in found.items() if counts})


def refuse(database: Database, wanted: Mapping[str, Any], seen: Survey) -> None:
    """Raise Refused with everything that keeps this database from being masked."""
    columns = {column.full: column for table in seen.tables if table.kind == "r"
               for column in table.columns.values()}  # fmt: skip
    said = rules.refusals(wanted, columns.values(), seen.found)
    said += [f"{table.full} lies on another server: masking it here is not possible" for table in seen.tables
             if table.kind == "f"]  # fmt: skip
    made = {f"{table.full}.{name}" for table in seen.tables for name in table.generated}
    made = {name for name in made & set(wanted) if not rules.is_kept(wanted[name])}
    said += [f"{name} is generated from other columns: a rule for those is enough" for name in sorted(made)]
    if count := database.large_objects():
        said.append(f"there are {count} large objects, into which nobody can look: take them out of this copy first")
    if others := database.others():
        said.append(f"others are connected: {', '.join(others)}; a copy that is masked must be nobody else's")
    if said:
        raise Refused("\n".join(said))


class Masking:
    """The work on one database under its rules (`users.email: email`), with one key."""

    def __init__(self, database: Database, wanted: Mapping[str, Any], key: bytes) -> None:
        self.database, self.wanted = database, wanted
        self.masker = mask.Masker(key)

    def _ruled(self, table: Table) -> list[str]:
        return [
            name
            for name, column in table.columns.items()
            if column.full in self.wanted
            and not rules.is_kept(self.wanted[column.full])
            and name not in table.generated
        ]

    def learn(self, tables: list[Table]) -> None:
        """Take note of everything that must not come out again, names first: texts are searched for them."""
        shaped = [table for table in tables if table.kind == "r"]
        for in_texts in (False, True):
            for table in shaped:
                names = [name for name in self._ruled(table) if (self._rule(table, name) == "scrub") == in_texts]
                for row in self.database.rows(table, names) if names else ():
                    for name, value in zip(names, row):
                        self._learn(self._rule(table, name), value or "")

    def _learn(self, rule: str, value: str) -> None:
        if rule in find.KINDS:
            self.masker.learn(rule, value)
        else:
            for found in find.shaped(value):
                self.masker.originals.add((found.kind, found.canonical))

    def _rule(self, table: Table, name: str) -> str:
        return str(self.wanted[f"{table.full}.{name}"])

    def replace(self, tables: list[Table]) -> dict[str, int]:
        """Put masks in the place of what they stand for, in all tables at once; return the rows by table."""
        self.database.run(f"drop schema if exists {PARTS} cascade; create schema {PARTS};")
        script = ["set local session_replication_role = replica;"]
        counts: Counter[str] = Counter()
        for number, table in enumerate(table for table in tables if table.kind == "r" and self._ruled(table)):
            names, place = self._ruled(table), f"{PARTS}.part_{number}"
            fields = "".join(f", c{n} text" for n in range(len(names)))
            self.database.run(f"create unlogged table {place} (at tid{fields});")
            counts[table.full] += self._fill(table, names, place)
            sets = ", ".join(f"{quoted(name)} = m.c{n}::{table.columns[name].type}" for n, name in enumerate(names))
            joined = f"from {place} m where t.ctid = m.at;"
            script.append(f"update only {table.quoted} t set {sets} {joined}")  # noqa: S608  # names are quoted
        self.database.run("\n".join([*script, f"drop schema {PARTS} cascade;"]))
        for table in tables:
            if table.kind == "m":
                self.database.run(f"refresh materialized view {table.quoted};")
        # What was replaced is still in the files, and examples of it in the statistics, until both are written anew.
        self.database.alone("vacuum (full, analyze);")
        return dict(counts)

    def _fill(self, table: Table, names: list[str], place: str) -> int:
        """Fill a table with the masks of another; return how many rows it has."""
        makers = [self._maker(table, name) for name in names]
        count = 0
        with self.database.filling(place) as write:
            for at, *values in self.database.rows(table, names, at=True):
                write([at, *(None if value is None else make(value) for make, value in zip(makers, values))])
                count += 1
        return count

    def _maker(self, table: Table, name: str) -> Callable[[str], Optional[str]]:
        rule, column = self._rule(table, name), table.columns[name]
        if rule == "remove":
            return lambda _: None if column.nullable else ""
        change: Callable[[str], str] = partial(self.masker.mask, rule) if rule in find.KINDS else self.masker.scrub
        change = mask.blanked if rule == "text" else change
        return (lambda value: in_json(value, change)) if column.type in JSON else change

    def left(self) -> dict[str, dict[str, int]]:
        """Look into every column that is not kept; return what personal data is there that no mask is."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for table in self.database.tables():
            names = [
                name
                for name, column in table.columns.items()
                if not rules.is_kept(self.wanted.get(column.full)) and not column.is_opaque
            ]
            for row in self.database.rows(table, names) if names else ():
                for name, value in zip(names, row):
                    if value:
                        found[f"{table.full}.{name}"].update(each.kind for each in self.masker.left(value))
        return {name: dict(counts) for name, counts in sorted(found.items()) if counts}


def in_json(text: str, change: Callable[[str], str]) -> str:
    """Change every text within JSON, keys too: a mail address may be one."""

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [walk(each) for each in value]
        if isinstance(value, dict):
            return {change(key): walk(each) for key, each in value.items()}
        return value

    with suppress(ValueError):
        return json.dumps(walk(json.loads(text)), ensure_ascii=False)
    return change(text)
