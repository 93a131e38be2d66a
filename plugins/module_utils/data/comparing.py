"""What two states of one database differ in: rows by table, by their primary key and what stands in them.

Rows are compared by digests that each database makes and sorts itself, so nothing is kept in memory and no row leaves
the server. Standard library only: it runs on hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.data.copying import BROUGHT
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Database, Table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KEYS = """
select coalesce(json_agg(json_build_array(n.nspname, c.relname,
  (select json_agg(a.attname order by place) from unnest(i.indkey) with ordinality as k (number, place)
   join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number))), '[]')
from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace where i.indisprimary
"""
OBJECTS = "large objects, in parts of 2 kB"
COUNTS = ("now", "then", "added", "changed", "deleted")
LISTS = ("returning", "uncompared")


class Pair(NamedTuple):
    """How one table is compared: by `key` (empty: by all of a row) and over `columns`, those that both have alike.

    `going` are columns that there are now alone, `returning` then alone; `uncompared` are of another type than then.
    """

    key: Sequence[str]
    columns: Sequence[str]
    going: Sequence[str]
    returning: Sequence[str]
    uncompared: Sequence[str]


def counted(now: Iterable[tuple[str, str]], then: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the differences of two streams of (key, content), each in the order of its keys, by the names of COUNTS.

    A key may stand more than once (a row without a key is its own): each is held against one on the other side.
    """
    left, right = iter(now), iter(then)
    here, there = next(left, None), next(right, None)
    told = dict.fromkeys(COUNTS, 0)
    while here or there:
        only_now = there is None or (here is not None and here[0] < there[0])
        only_then = not only_now and (here is None or (there is not None and there[0] < here[0]))
        told["added"] += only_now
        told["deleted"] += only_then
        if not only_then:
            told["now"] += 1
        if not only_now:
            told["then"] += 1
        if not only_now and not only_then:
            told["changed"] += here != there
        here = here if only_then else next(left, None)
        there = there if only_now else next(right, None)
    return told


def paired(now: Mapping[str, str], then: Mapping[str, str], *, keys: tuple[Sequence[str], Sequence[str]]) -> Pair:
    """Return how a table is compared whose columns (name: type) and primary keys were these, now and then."""
    alike = [name for name in now if now[name] == then.get(name)]
    same = list(keys[0]) == list(keys[1]) and set(keys[0]) <= set(alike)
    return Pair(
        key=list(keys[0]) if same else [],
        columns=alike,
        going=[name for name in now if name not in then],
        returning=[name for name in then if name not in now],
        uncompared=[name for name in now if name in then and name not in alike],
    )


def joined(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two parts of one table come to; what nobody knows of both stays null."""
    told: dict[str, Any] = {
        key: None if one[key] is None and two[key] is None else (one[key] or 0) + (two[key] or 0) for key in COUNTS
    }
    told["going"] = dict(one["going"])
    for name, count in two["going"].items():
        told["going"][name] = told["going"].get(name, 0) + count
    return {**told, **{key: sorted({*one[key], *two[key]}) for key in LISTS}}


def compare(now: Database, then: Database) -> list[dict[str, Any]]:
    """Return the differences of each table of two databases of one server, by the table's name.

    A table is {table, now, then, added, changed, deleted, going, returning, uncompared}: how many rows there are now
    and were then (null: there is no such table), how many came since, are otherwise, went since; `changed` is null
    where no primary key tells a row that was changed from one that went and another that came. `going` are columns of
    now alone, each with how many values it holds; the others are as `Pair` has them. Partitions count for what they are
    part of.
    """
    here, there = _tables(now), _tables(then)
    keys = _keys(now), _keys(then)
    pairs = {
        place: paired(_types(own), _types(there[place]), keys=(keys[0].get(place, []), keys[1].get(place, [])))
        for place, own in here.items()
        if place in there
    }
    parts = [(here[place].full, _one(now, here[place], added=True)) for place in here if place not in there]
    parts += [(there[place].full, _one(then, there[place], added=False)) for place in there if place not in here]
    counts = _counted(now, then, [(here[place].quoted, pair) for place, pair in pairs.items()])
    parts += [
        (here[place].full, _told(now, here[place], pair, count)) for (place, pair), count in zip(pairs.items(), counts)
    ]
    if now.large_objects() or then.large_objects():
        pair = Pair(["loid", "pageno"], ["loid", "pageno", "data"], [], [], [])
        count = _counted(now, then, [("pg_catalog.pg_largeobject", pair)])[0]
        parts.append((OBJECTS, {**count, "going": {}, "returning": [], "uncompared": []}))
    found: dict[str, dict[str, Any]] = {}
    for name, told in parts:
        found[name] = joined(found[name], told) if name in found else told
    return [{"table": name, **found[name]} for name in sorted(found)]


def _one(database: Database, table: Table, *, added: bool) -> dict[str, Any]:
    """Return what is to be told of a table that there is now alone (`added`), or was then alone."""
    count = int(database.ask(f"select to_json(count(*)) from only {table.quoted}"))  # noqa: S608  # names are quoted
    rows = (count, None, count, None, 0) if added else (None, count, 0, None, count)
    return {**dict(zip(COUNTS, rows)), "going": {}, "returning": [], "uncompared": []}


def _counted(now: Database, then: Database, pairs: Sequence[tuple[str, Pair]]) -> list[dict[str, int]]:
    """Return the differences of each of these tables, which are in both databases."""
    queries = [_digests(table, pair) for table, pair in pairs]
    with now.streams(queries) as left, then.streams(queries) as right:
        return [counted(map(_pair_of, here), map(_pair_of, there)) for here, there in zip(left, right)]


def _pair_of(row: Sequence[Any]) -> tuple[str, str]:
    return str(row[0]), str(row[1])


def _told(now: Database, table: Table, pair: Pair, counts: Mapping[str, int]) -> dict[str, Any]:
    told: dict[str, Any] = {**counts, "changed": counts["changed"] if pair.key else None, "going": {}}
    if pair.going:
        values = ", ".join(f"count({quoted(name)})" for name in pair.going)
        query = f"select json_build_array({values}) from only {table.quoted}"  # noqa: S608  # names are quoted
        told["going"] = dict(zip(pair.going, now.ask(query)))
    return {**told, "returning": list(pair.returning), "uncompared": list(pair.uncompared)}


def _tables(database: Database) -> dict[tuple[str, str], Table]:
    """Return the tables that hold rows of their own; what an extension brought is its version's."""
    brought = {(schema, name) for schema, name in database.ask(BROUGHT)}
    found = {(table.schema, table.name): table for table in database.tables() if table.kind == "r"}
    return {place: table for place, table in found.items() if place not in brought}


def _keys(database: Database) -> dict[tuple[str, str], list[str]]:
    return {(schema, name): list(columns or []) for schema, name, columns in database.ask(KEYS)}


def _types(table: Table) -> dict[str, str]:
    return {name: column.type for name, column in table.columns.items() if name not in table.generated}


def _digests(table: str, pair: Pair) -> str:
    """Return the query for a digest of each row's key and one of its content, in the order of the first."""
    content = _digest(pair.columns)
    key = _digest(pair.key) if pair.key else content
    rows = f"select {key} as key, {content} as content from only {table}"  # noqa: S608  # names are quoted
    return f'select key, content from ({rows}) rows order by key collate "C", content collate "C"'  # noqa: S608  # as above


def _digest(columns: Sequence[str]) -> str:
    row = f"row({', '.join(map(quoted, columns))})::text"
    return f"encode(sha256(convert_to({row}, 'UTF8')), 'hex')"
