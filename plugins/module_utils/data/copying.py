"""A database as a file, and that file in the place of another database; what was there stays beside it.

Nothing is exchanged before the new one holds every row that the file was written from, and the exchange is one
transaction. Standard library only: it runs on hosts.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Database, Trouble, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WAIT_S = 30
ROOM = 1.5  # of what the source takes: indexes are written anew, and the log of one transaction beside them
LIMIT = 63  # bytes of a name, as PostgreSQL has it
WITHOUT = ("owner", "acl", "comments", "security-labels", "publications", "subscriptions")
"""What is not written: it is the source's own, and a subscription holds a password."""
LISTS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")
"""Settings that are kept as a list with its own quotation marks: those of one text would make it one name."""
SIZE = "select to_json(pg_database_size(current_database()))"
PLACE = "select to_json(current_setting('data_directory'))"
MARK = "select to_json(shobj_description(oid, 'pg_database')) from pg_database where datname = current_database()"
MAPPINGS = "select to_json(count(*)) from pg_user_mapping"
EXTENSIONS = """
select coalesce(json_agg(json_build_array(extname, nspname) order by extname), '[]')
from pg_extension e join pg_namespace n on n.oid = extnamespace where extname <> 'plpgsql'
"""
BROUGHT = """
select coalesce(json_agg(json_build_array(nspname, relname)), '[]')
from pg_depend d join pg_class c on c.oid = objid join pg_namespace n on n.oid = relnamespace
where d.classid = 'pg_class'::regclass and deptype = 'e'
"""
LOCKED_S = 30
"""How long the server may wait for somebody's lock on a database that is exchanged."""
OWNER = "select to_json(pg_get_userbyid(datdba)) from pg_database where datname = {}"
LIMITED = "select to_json(datconnlimit) from pg_database where datname = {}"
SUBSCRIBES = "select to_json(count(*)) from pg_subscription s join pg_database d on d.oid = subdbid where datname = {}"
THERE = "select coalesce(json_object_agg(datname, oid::bigint), '{{}}') from pg_database where datname in ({})"
CONNECTED = """
select coalesce(json_agg(distinct pid || ' (' || coalesce(application_name, '') || ')'), '[]') from (
  select pid, application_name, pg_terminate_backend(pid) from pg_stat_activity where datname in ({})) ended
"""
# What was set for the database as a whole is in no dump.
MADE = """
select json_build_object('encoding', pg_encoding_to_char(encoding), 'lc_collate', datcollate, 'lc_ctype', datctype)
from pg_database where datname = {}
"""
GRANTS = """
select coalesce(json_agg(json_build_array(privilege_type, is_grantable,
  case when grantee = 0 then 'public' else grantee::regrole::text end)), '[]')
from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) where datname = {}
"""
SETTINGS = """
select coalesce(json_agg(json_build_array(case when setrole = 0 then null else setrole::regrole::text end, each)), '[]')
from pg_db_role_setting join pg_database d on d.oid = setdatabase, unnest(setconfig) each where datname = {}
"""


def literal(text: str) -> str:
    """Return a text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def grants(name: str, told: Sequence[Sequence[Any]]) -> list[str]:
    """Return what gives database `name` these privileges alone: (privilege, whether it may be given on, to whom)."""
    lines = [f"revoke all on database {quoted(name)} from public"]
    for privilege, on, who in told:
        lines.append(f"grant {privilege} on database {quoted(name)} to {who}{' with grant option' if on else ''}")
    return lines


def settings(name: str, told: Sequence[tuple[Any, str]]) -> list[str]:
    """Return what gives database `name` these settings: (role or none, name=value)."""
    lines = []
    for role, each in told:
        key, _, value = each.partition("=")
        whose = f"role {role} in database {quoted(name)}" if role else f"database {quoted(name)}"
        lines.append(f"alter {whose} set {quoted(key)} to {value if key in LISTS else literal(value)}")
    return lines


def rows_of(database: Database) -> dict[str, int]:
    """Return how many rows each table has, by its full name; those of partitions count for what they are a part of.

    Tables that an extension brought hold what its version on each server says.
    """
    brought = {(schema, name) for schema, name in database.ask(BROUGHT)}
    found: dict[str, int] = {}
    for table in database.tables():
        if table.kind == "r" and (table.schema, table.name) not in brought:
            count = int(database.ask(f"select to_json(count(*)) from only {table.quoted}"))  # noqa: S608  # names are quoted
            found[table.full] = found.get(table.full, 0) + count
    return found


def mark(database: Database, text: str) -> None:
    """Leave a mark on a database, by which `write` knows it again."""
    database.run(f"comment on database {quoted(database.name)} is {literal(text)}")


def write(database: Database, path: str, marked: str) -> dict[str, Any]:
    """Write a database to a file that the owner of its directory may read; return its rows, sizes and extensions.

    One that does not carry the mark is another one that came into its place, and is not written; nor is one with
    passwords of other servers.
    """
    _require_mark(database, marked)
    if int(database.ask(MAPPINGS)):
        raise Trouble(f"{database.name} has user mappings, which hold passwords of other servers: remove them first")
    told = {
        "rows": rows_of(database),
        "database_bytes": int(database.ask(SIZE)),
        "extensions": database.ask(EXTENSIONS),
    }
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            database.program("pg_dump", "--format=custom", *(f"--no-{what}" for what in WITHOUT), stdout=file)
            owner = os.stat(os.path.dirname(path))
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        _require_mark(database, marked)
    except (Trouble, OSError):
        with suppress(OSError):
            os.unlink(path)
        raise
    return {**told, "bytes": os.path.getsize(path)}


def _require_mark(database: Database, marked: str) -> None:
    if marked and database.ask(MARK) != marked:
        raise Trouble(f"{database.name} is not the one that was masked, somebody restored another: run it again")


def differences(wanted: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return, in sentences, where tables have other rows than they should."""
    return [
        f"{name} has {found.get(name, 'no')} rows and should have {wanted.get(name, 'none')}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]


class Exchange:
    """One database of this host's server, and its places: what serves, what is filled, what served before.

    The last two are called by the words `fresh` and `aside`.
    """

    def __init__(
        self, name: str, port: int, *, fresh: str = "new", aside: str = "before", older: str = "older"
    ) -> None:
        self.name, self.fresh, self.aside = name, f"{name}_ferryman_{fresh}", f"{name}_ferryman_{aside}"
        self.older = f"{name}_ferryman_{older}"
        longest = max(self.fresh, self.aside, self.older, key=len)
        if len(longest.encode()) > LIMIT:
            raise Trouble(f"{name} is too long: PostgreSQL would cut off {longest}; take a shorter name")
        self.server, self.port = Database("postgres", port), port
        # Somebody's open transaction over one of them must not keep everybody waiting without end.
        self.server.environment["PGOPTIONS"] = f"-c lock_timeout={LOCKED_S}s"

    def there(self) -> dict[str, int]:
        """Return which of the places there are, each with its oid, which a database keeps under every name."""
        names = ", ".join(map(literal, (self.name, self.fresh, self.aside, self.older)))
        return {str(name): int(oid) for name, oid in self.server.ask(THERE.format(names)).items()}

    def require(self, bytes_needed: int) -> None:
        """Refuse what cannot end well: a database that is not there, too little room."""
        if self.name not in self.there():
            raise Trouble(f"there is no database {self.name} to take the place of; `provision` makes it")
        place = os.statvfs(str(self.server.ask(PLACE)))
        free = place.f_bavail * place.f_frsize
        if free < bytes_needed * ROOM:
            raise Trouble(f"the copy takes {bytes_needed * ROOM / 1e6:.0f} MB, {free / 1e6:.0f} MB are free: make room")

    def tidy(self) -> None:
        """Take away what an exchange that was cut off has left."""
        self.open()
        self.drop(self.fresh)

    def fill(self, path: str, owner: str, rows: Mapping[str, int], extensions: Sequence[Sequence[str]]) -> None:
        """Make the new database from a file, beside the one that serves, and count its rows."""
        fresh = self._make(owner)
        # Not every extension may be created by who owns a database.
        for name, schema in extensions:
            fresh.run(
                f"create schema if not exists {quoted(schema)}; create extension {quoted(name)} schema {quoted(schema)}"
            )
        with open(path, "rb") as file:
            words = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-acl", f"--role={owner}"]
            fresh.program("pg_restore", *words, stdin=file)
        if wrong := differences(rows, rows_of(fresh)):
            raise Trouble("; ".join(wrong[:5]))
        fresh.alone("analyze")

    def restore(self, path: str) -> Database:
        """Make the new database from a dump of the one that serves, owners and privileges as they were; return it."""
        fresh = self._make(str(self.server.ask(OWNER.format(literal(self.name)))))
        with open(path, "rb") as file:
            fresh.program("pg_restore", "--exit-on-error", "--single-transaction", stdin=file)
        fresh.alone("analyze")
        return fresh

    def _make(self, owner: str) -> Database:
        made = " ".join(
            f"{key} {literal(value)}" for key, value in self.server.ask(MADE.format(literal(self.name))).items()
        )
        self.server.alone(f"create database {quoted(self.fresh)} owner {quoted(owner)} template template0 {made}")
        return Database(self.fresh, self.port)

    def drop(self, name: str) -> None:
        """Take a database away, if it is there, with whoever looks at it."""
        self.server.alone(f"drop database if exists {quoted(name)} with (force)")

    def swap(self, *, final: bool = True) -> None:
        """Let the new one take the name, and keep what had it.

        What was kept before goes once that is done; where the exchange is not `final` it waits for `end` or `back`.
        """
        own = literal(self.name)
        for line in (
            *grants(self.fresh, self.server.ask(GRANTS.format(own))),
            *settings(self.fresh, self.server.ask(SETTINGS.format(own))),
        ):
            self.server.alone(line)
        self.drop(self.older)
        older = [(self.aside, self.older)] if self.aside in self.there() else []
        self._rename(*older, (self.name, self.aside), (self.fresh, self.name))
        if final:
            self.end()

    def end(self) -> None:
        """Take away what was kept before the last exchange."""
        self.drop(self.older)

    def back(self) -> None:
        """Let what served before serve again; what took its place is gone then."""
        if self.aside not in self.there():
            raise Trouble(f"nothing of {self.name} is kept: no `data.refresh` was made, or it was undone")
        self.tidy()
        self.unswap()
        self.drop(self.fresh)

    def unswap(self) -> None:
        """Give the names back that `swap` has given."""
        older = [(self.older, self.aside)] if self.older in self.there() else []
        self._rename((self.name, self.fresh), (self.aside, self.name), *older)

    def subscribes(self) -> bool:
        """Say whether the one that serves receives changes from another server, which no dump of it goes on with."""
        return bool(self.server.ask(SUBSCRIBES.format(literal(self.name))))

    def limit(self) -> int:
        """Return how many may be connected to the one that serves at once; -1 for any number."""
        return int(self.server.ask(LIMITED.format(literal(self.name))))

    def hold(self) -> None:
        """Let nobody but the server's own account into the one that serves, and send away who is there."""
        self.admit_up_to(self.name, 0)
        self._empty([self.name])

    def admit_up_to(self, name: str, limit: int) -> None:
        """Let so many into a database at once."""
        self.server.alone(f"alter database {quoted(name)} connection limit {limit}")

    def open(self) -> None:
        """Let clients into the one that serves."""
        if self.name in self.there():
            self._admit(self.name, admitted=True)

    def _rename(self, *pairs: tuple[str, str]) -> None:
        """Give databases other names, all at once; nobody gets in meanwhile."""
        try:
            for name, _ in pairs:
                self._admit(name, admitted=False)
            self._empty([name for name, _ in pairs])
            self.server.run("".join(f"alter database {quoted(a)} rename to {quoted(b)};" for a, b in pairs))
        except Trouble:
            with suppress(Trouble):  # the first failure is the one to be told
                self.open()
            raise
        self.open()

    def _admit(self, name: str, *, admitted: bool) -> None:
        self.server.alone(f"alter database {quoted(name)} allow_connections {str(admitted).lower()}")

    def _empty(self, names: list[str]) -> None:
        """Send away who is connected, until nobody is."""
        until = time.monotonic() + WAIT_S
        while left := self.server.ask(CONNECTED.format(", ".join(map(literal, names)))):
            if time.monotonic() > until:
                raise Trouble(f"processes of the server do not end when told to, look at them: {', '.join(left)}")
            time.sleep(0.1)
