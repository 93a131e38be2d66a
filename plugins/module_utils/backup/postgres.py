"""Asking a PostgreSQL server what it holds: in one snapshot, at a point that recovery can stop at."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from contextlib import closing
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, wal
from ansible_collections.ferryman.ops.plugins.module_utils.backup.lost import Marker
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble, said

MARK = "ferryman-end-of-answer"
CLOSE_S = 1.0
# Whatever a server or a database is set to, a row's text is the same.
FIXED = """set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 1;
set bytea_output = 'hex'; set lc_monetary = 'C'; set xmlbinary = 'base64'; set search_path = ''; set row_security = off;
set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
"""
DATABASES = """select json_agg(json_build_object('name', datname, 'bytes', pg_database_size(oid),
    'encoding', pg_encoding_to_char(encoding)) order by datname) from pg_database
    where datallowconn and not datistemplate and has_database_privilege(oid, 'connect')"""
# Unlogged tables are empty after a recovery, temporary ones are gone, and with row security not every row is seen.
TABLES = """select coalesce(json_agg(json_build_object('name', format('%I.%I', nspname, relname),
    'bytes', pg_total_relation_size(c.oid), 'kind', relkind)), '[]')
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind in ('r', 'm') and relpersistence = 'p' and not relrowsecurity
    and nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"""
COUNT = """select json_build_array(count(*), coalesce(sum(('x' || left(h, 16))::bit(64)::bigint::numeric), 0)::text,
    coalesce(sum(('x' || right(h, 16))::bit(64)::bigint::numeric), 0)::text)
    from (select md5(t::text) h from {source} t) rows"""


class Session:
    """A connection that stays open, so that a transaction can live in it; psql does the talking."""

    def __init__(self, conninfo: str, database: str, user: str = archive.USER) -> None:
        words = [
            "psql",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=terse",
            "-d",
            f"{conninfo} dbname={database}",
        ]
        self.database = database
        self.process = subprocess.Popen(
            ["runuser", "-u", user, "--", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )
        self.ask(FIXED)

    def ask(self, sql: str) -> str:
        """Run SQL; return its lines, or raise with what the server says."""
        stdin, stdout = self.process.stdin, self.process.stdout
        lines: list[str] = []
        try:
            stdin.write(f"{sql}\n;\n\\echo {MARK}\n")  # type: ignore[union-attr]  # a pipe, as asked for
            stdin.flush()  # type: ignore[union-attr]  # as above
        except OSError:
            pass  # it ended; what it said is still to be read
        for line in stdout:  # type: ignore[union-attr]  # as above
            if line.rstrip("\n") == MARK:
                return "".join(lines).strip("\n")
            lines.append(line)
        raise Trouble(
            f"the database {self.database} does not answer: {' '.join(''.join(lines).split()) or 'it is gone'}"
        )

    def answer(self, sql: str) -> Any:
        """Return the one JSON value that a query gives."""
        return json.loads(self.ask(sql))

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=CLOSE_S)  # psql ends with its input; runuser takes 2 s to end at a signal
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def databases(conninfo: str, user: str = archive.USER) -> list[dict[str, Any]]:
    """Return every database that may be looked into: name, bytes, encoding."""
    with closing(Session(conninfo, "postgres", user)) as session:
        return list(session.answer(DATABASES))


def facts(conninfo: str, user: str = archive.USER) -> dict[str, Any]:
    """Return version, system identifier and bytes of a server."""
    with closing(Session(conninfo, "postgres", user)) as session:
        return dict(
            session.answer(
                """select json_build_object('version', current_setting('server_version'),
                'number', current_setting('server_version_num')::int,
                'bytes', (select sum(pg_database_size(oid)) from pg_database),
                'recovering', pg_is_in_recovery())"""
            )
        )


class Look:
    """One look at every database: snapshots, a point written with the last of them, and then the counting."""

    def __init__(self, conninfo: str, name: str, user: str = archive.USER) -> None:
        self.name, self.user, self.conninfo = name, user, conninfo
        # What writes the point is granted in `postgres` alone, and the point comes with the last snapshot.
        self.bases = sorted(databases(conninfo, user), key=lambda base: (base["name"] == "postgres", base["name"]))
        self.sessions: list[Session] = []
        self.snapshots: dict[str, str] = {}
        self.lsn = self.at = ""

    def begin(self) -> None:
        """Open a snapshot in each database; the last statement of them writes the point."""
        for base in self.bases:
            self.sessions.append(Session(self.conninfo, _quoted(base["name"]), self.user))
            self.sessions[-1].ask("begin isolation level repeatable read")
        for base, session in zip(self.bases, self.sessions):
            point = f", pg_create_restore_point('{self.name}')" if session is self.sessions[-1] else ""
            answered = session.ask(f"select pg_current_snapshot(){point}").split("|")
            self.snapshots[base["name"]] = answered[0]
            self.lsn = answered[-1]
        self.at = said(time.time())

    def count(self) -> dict[str, Any]:
        """Return what each database holds, as the manifest has it; the snapshots end with it."""
        held = {}
        for base, session in zip(self.bases, self.sessions):
            held[base["name"]] = {
                "bytes": base["bytes"],
                "encoding": base["encoding"],
                "snapshot": self.snapshots[base["name"]],
                "tables": tables(session),
            }
        return held

    def end(self) -> None:
        for session in self.sessions:
            session.close()


def tables(session: Session) -> dict[str, Any]:
    """Return rows, hash and bytes of every table that can be counted."""
    found = {}
    for table in session.answer(TABLES):
        source = f"only {table['name']}" if table["kind"] == "r" else table["name"]
        rows, first, second = session.answer(COUNT.format(source=source))
        content = f"{int(first) % 2**64:016x}{int(second) % 2**64:016x}"
        found[table["name"]] = {"rows": rows, "hash": content, "bytes": table["bytes"]}
    return found


def _quoted(name: str) -> str:
    """Return a value as libpq's connection strings take it."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def acknowledged(conninfo: str, *, within_s: float) -> Marker | None:
    """Have a server acknowledge a transaction, and return that; None where it has not done so in time.

    One that only has a number is flushed later, and waits for nobody: it must have written something.
    """
    with closing(Session(conninfo, "postgres")) as session:
        session.ask("set synchronous_commit = on")
        pid = int(session.ask("select pg_backend_pid()"))
        session.ask("begin; select from pg_logical_emit_message(true, 'ferryman', 'drill')")
        number = int(session.ask("select pg_current_xact_id()"))
        line = wal.timeline(session.ask("select pg_walfile_name(pg_current_wal_lsn())"))
        # Nothing of the session's own ends a commit that waits (statement_timeout is over by then).
        giving_up = threading.Timer(within_s, _cancel, [conninfo, pid])
        giving_up.start()
        try:
            warned = session.ask("commit")
        finally:
            giving_up.cancel()
        if warned:
            return None
        return Marker(number, float(session.ask("select extract(epoch from clock_timestamp())")), line)


def _cancel(conninfo: str, pid: int) -> None:
    with contextlib.suppress(Trouble), closing(Session(conninfo, "postgres")) as session:
        session.ask(f"select pg_cancel_backend({pid})")


def became_of(session: Session, numbers: list[int]) -> dict[int, str]:
    """Return what became of transactions: committed, aborted, in progress; those that nobody knows are left out."""
    if not numbers:
        return {}
    listed = ", ".join(f"('{number}')" for number in numbers)
    found = session.answer(
        f"select coalesce(json_object_agg(n, pg_xact_status(n::xid8)), '{{}}') from (values {listed}) of (n)"  # noqa: S608 -- numbers alone
    )
    return {int(number): state for number, state in found.items() if state}


def program(major: int, name: str) -> str:
    """Return the path of one of PostgreSQL's own programs, of a major version."""
    path = f"/usr/lib/postgresql/{major}/bin/{name}"
    if not os.path.exists(path):
        raise Trouble(f"this host has no {name} of PostgreSQL {major}: install postgresql-{major} here")
    return path
