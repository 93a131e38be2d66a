"""The one door to the database that is masked: its catalogue, rows that stream out, and what replaces them.

Everything goes through psql as the server's own account; values travel on standard streams alone, never as arguments.
Standard library only: it runs on hosts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.data import copytext
from ansible_collections.ferryman.ops.plugins.module_utils.data.rules import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TABLES = """
select coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
  'root', (select case when rn.nspname = 'public' then rc.relname else rn.nspname || '.' || rc.relname end
           from pg_class rc join pg_namespace rn on rn.oid = rc.relnamespace where rc.oid = pg_partition_root(c.oid)),
  'columns', (select coalesce(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
      not a.attnotnull, a.attgenerated <> '') order by a.attnum), '[]')
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
  order by n.nspname, c.relname), '[]')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'f') and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
"""
OTHERS = """
select coalesce(json_agg(distinct usename || ' (' || coalesce(nullif(application_name, ''), 'psql') || ')'), '[]')
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
OBJECTS = "select json_build_object('count', count(*)) from pg_largeobject_metadata"
END = "ferryman-end-of-rows"
PARTS = "ferryman_masks"
"""The schema that holds masks until they replace what they stand for."""


class Trouble(Exception):
    """Something that ends the work, as one sentence."""


class Table(NamedTuple):
    """A table (or `m` of a materialized view, `f` of a foreign table), with its columns by name."""

    schema: str
    name: str
    kind: str
    root: str
    columns: dict[str, Column]
    generated: frozenset[str]

    @property
    def full(self) -> str:
        """Its name as rules write it; a partition has that of the table that it is a part of."""
        return self.root

    @property
    def quoted(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def reason(complaint: str, code: int) -> str:
    """Return the line of a program's complaint with the reason; what stands behind it may quote a row."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"\berror:", line)] or lines or [f"exit code {code}"]
    return re.sub(r"^.*?\berror:\s*", "", told[0])


# What a database or a role sets for itself must not make equal values read differently.
ALIKE = "".join(
    f"set local {name} = {value};\n"
    for name, value in {
        "search_path": "pg_catalog", "timezone": "'UTC'", "datestyle": "'ISO, YMD'", "intervalstyle": "'postgres'",
        "bytea_output": "'hex'", "extra_float_digits": "1", "lc_monetary": "'C'", "xmlbinary": "'base64'",
        "statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
    }.items()
)  # fmt: skip


class Database:
    """A database on this host, on the server that listens on `port`; `account` is who may reach that as `postgres`."""

    def __init__(self, name: str, port: int, socket: str = "", account: str = "postgres") -> None:
        self.name = name
        self.place = ["-U", "postgres", "-p", str(port), *(["-h", socket] if socket else []), "-d", name]
        self.account = ["runuser", "-u", account, "--"]
        self.words = [*self.account, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *self.place]
        self.environment = {**os.environ, "PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"}

    def _start(self, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.words, *words], cwd="/", env=self.environment, stderr=subprocess.PIPE, **streams)

    def program(self, name: str, *words: str, **streams: Any) -> None:
        """Run another of PostgreSQL's programs on this database; a file travels on one of its `streams`."""
        argv = [*self.account, name, *self.place, *words]
        done = subprocess.run(argv, cwd="/", env=self.environment, stderr=subprocess.PIPE, check=False, **streams)
        if done.returncode:
            why = reason(done.stderr.decode(errors="replace"), done.returncode)
            raise Trouble(f"PostgreSQL's {name} would not go on with {self.name}: {why}")

    def run(self, script: str) -> str:
        """Run SQL, all of it or nothing, and return what it answers."""
        return self._answer("-1", script)

    def ask(self, query: str) -> Any:
        """Return the JSON that a query answers."""
        return json.loads(self.run(query))

    def alone(self, statement: str) -> None:
        """Run one statement outside a transaction."""
        self._answer("--no-password", statement)

    def _answer(self, word: str, script: str) -> str:
        psql = self._start(word, "-f", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        said, complaint = psql.communicate(script.encode())
        self._end(psql, complaint)
        return said.decode()

    def rows(self, table: Table, columns: Sequence[str], *, at: bool = False) -> Iterator[list[Optional[str]]]:
        """Yield the columns of every row as texts; with `at`, the row's place before them."""
        picked = [*(["ctid"] if at else []), *map(quoted, columns)]
        fields, source = ", ".join(f"{each}::text" for each in picked), f"only {table.quoted}"
        source = table.quoted if table.kind == "m" else source
        query = f"copy (select {fields} from {source}) to stdout"  # noqa: S608  # names are quoted
        psql = self._start("-c", query, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with psql:
            assert psql.stdout
            assert psql.stderr
            for row in psql.stdout:  # as bytes: of a text's line ends only line feeds end a row
                yield copytext.fields(row.decode())
            complaint = psql.stderr.read()
        self._end(psql, complaint)

    @contextmanager
    def streams(self, queries: Sequence[str]) -> Iterator[Iterator[Iterator[list[Optional[str]]]]]:
        """Give the rows of each query, one after the other, as of one moment; each must be read to its end.

        One psql for all: its start takes longer than a small table.
        """
        script = "begin isolation level repeatable read read only;\n" + ALIKE
        script += "".join(f"copy ({query}) to stdout;\n\\echo {END}\n" for query in queries)
        with tempfile.TemporaryFile() as file:  # a pipe would be full before psql's answers are read
            file.write(script.encode())
            file.seek(0)
            psql = self._start("-f", "-", stdin=file, stdout=subprocess.PIPE)
        with psql:
            assert psql.stdout
            assert psql.stderr
            lines = iter(psql.stdout)
            yield (self._until_end(lines) for _ in queries)
            complaint = psql.stderr.read()
        self._end(psql, complaint)

    @staticmethod
    def _until_end(lines: Iterator[bytes]) -> Iterator[list[Optional[str]]]:
        for line in lines:
            if line.rstrip(b"\n").decode() == END:
                return
            yield copytext.fields(line.decode())

    @contextmanager
    def filling(self, table: str) -> Iterator[Callable[[Sequence[Optional[str]]], None]]:
        """Give a function that takes rows for `table`, which has them all when the block ends."""
        psql = self._start("-c", f"copy {table} from stdin", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert psql.stdin
        stream = psql.stdin

        def write(row: Sequence[Optional[str]]) -> None:
            stream.write(copytext.line(row).encode())

        try:
            with suppress(BrokenPipeError):  # psql has ended early, and says why below
                yield write
        finally:
            complaint = psql.communicate()[1]
        self._end(psql, complaint)

    def _end(self, psql: subprocess.Popen[bytes], complaint: bytes) -> None:
        if psql.returncode:
            # Its first line says what is wrong; those behind it may quote a row.
            lines = complaint.decode(errors="replace").split("\n")
            said = lines[0].rpartition("ERROR:")[2].strip() or f"exit code {psql.returncode}"
            raise Trouble(f"PostgreSQL would not go on with {self.name}: {said}")

    # The catalogue

    def tables(self) -> list[Table]:
        """Return every table with rows of its own, partitions too, and what materialized views hold."""
        found = []
        for each in self.ask(TABLES):
            own = each["name"] if each["schema"] == "public" else f"{each['schema']}.{each['name']}"
            root = each["root"] or own
            columns = {name: Column(root, name, kind, nullable) for name, kind, nullable, _ in each["columns"]}
            generated = frozenset(name for name, _, _, made in each["columns"] if made)
            found.append(Table(each["schema"], each["name"], each["kind"], root, columns, generated))
        return [table for table in found if table.schema != PARTS]

    def others(self) -> list[str]:
        """Return who else is connected."""
        return list(self.ask(OTHERS))

    def large_objects(self) -> int:
        """Return how many large objects there are, into which nobody looks."""
        return int(self.ask(OBJECTS)["count"])
