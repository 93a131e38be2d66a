"""A database as a file, and that file in the place of another database; what was there stays beside it.

Nothing is exchanged before the new one holds every row that the file was written from, and the exchange is one
transaction. Standard library only: it runs on hosts.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Database, Trouble, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

WAIT_S = 30
ROOM = 1.2  # of what the source takes: indexes are written anew
LIMIT = 63  # bytes of a name, as PostgreSQL has it
SIZE = "select to_json(pg_database_size(current_database()))"
PLACE = "select to_json(current_setting('data_directory'))"
ENDED = "select to_json(count(pg_terminate_backend(pid))) from pg_stat_activity where datname in ({})"
THERE = "select coalesce(json_agg(datname), '[]') from pg_database where datname in ({})"
# Who may connect, and what was set for the database: neither is in a dump.
BELONGS = """
select coalesce(json_agg(line), '[]') from (
  select format('revoke all on database %I from public', {fresh}) as line, 0 as turn
    from pg_database where datname = {name} and datacl is not null
  union all select format('grant %s on database %I to %s', acl.privilege_type, {fresh},
      case when acl.grantee = 0 then 'public' else acl.grantee::regrole::text end), 1
    from pg_database, aclexplode(datacl) acl where datname = {name}
  union all select format('alter database %I set %s to %s', {fresh}, split_part(each, '=', 1),
      quote_literal(substr(each, strpos(each, '=') + 1))), 2
    from pg_db_role_setting, pg_database d, unnest(setconfig) each
    where setdatabase = d.oid and setrole = 0 and datname = {name}
  order by turn) lines
"""


def literal(text: str) -> str:
    """Return a text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def rows_of(database: Database) -> dict[str, int]:
    """Return how many rows each table has, by its full name; those of partitions count for what they are a part of."""
    found: dict[str, int] = {}
    for table in database.tables():
        if table.kind == "r":
            count = int(database.ask(f"select to_json(count(*)) from only {table.quoted}"))  # noqa: S608  # names are quoted
            found[table.full] = found.get(table.full, 0) + count
    return found


def write(database: Database, path: str) -> dict[str, Any]:
    """Write a database to a file that the owner of its directory may read; return its rows and sizes."""
    told = {"rows": rows_of(database), "database_bytes": int(database.ask(SIZE))}
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        database.program("pg_dump", "--format=custom", "--no-owner", "--no-acl", stdout=file)
        owner = os.stat(os.path.dirname(path))
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return {**told, "bytes": os.path.getsize(path)}


def differences(wanted: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return, in sentences, where tables have other rows than they should."""
    return [
        f"{name} has {found.get(name, 'no table and no')} rows and should have {wanted.get(name, 'none at all')}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]


class Exchange:
    """One database of this host's server, and its places: what serves, what is filled, what served before."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.fresh, self.aside = name, f"{name}_refresh", f"{name}_before"
        if len(self.fresh.encode()) > LIMIT:
            raise Trouble(f"{name} is too long: PostgreSQL would cut off {self.fresh}; take a shorter name")
        self.server, self.port = Database("postgres", port), port

    def there(self) -> set[str]:
        """Return which of the three there are."""
        names = ", ".join(map(literal, (self.name, self.fresh, self.aside)))
        return set(self.server.ask(THERE.format(names)))

    def require_room(self, bytes_needed: int) -> None:
        """Refuse what would fill the disk of a server that others use."""
        place = os.statvfs(str(self.server.ask(PLACE)))
        free = place.f_bavail * place.f_frsize
        if free < bytes_needed * ROOM:
            raise Trouble(f"the copy takes {bytes_needed * ROOM / 1e6:.0f} MB, {free / 1e6:.0f} MB are free: make room")

    def fill(self, path: str, owner: str, rows: Mapping[str, int]) -> None:
        """Make the new database from a file, beside the one that serves, and count its rows."""
        if self.name not in self.there():
            raise Trouble(f"there is no database {self.name} to take the place of; `provision` makes it")
        self.drop(self.fresh)
        self.server.alone(f"create database {quoted(self.fresh)} owner {quoted(owner)} template template0")
        try:
            self._restore(path, owner, rows)
        except (Trouble, OSError):
            self.drop(self.fresh)
            raise

    def _restore(self, path: str, owner: str, rows: Mapping[str, int]) -> None:
        fresh = Database(self.fresh, self.port)
        with open(path, "rb") as file:
            words = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-acl", f"--role={owner}"]
            fresh.program("pg_restore", *words, stdin=file)
        if wrong := differences(rows, rows_of(fresh)):
            raise Trouble("; ".join(wrong[:5]))
        fresh.alone("analyze")

    def drop(self, name: str) -> None:
        """Take a database away, if it is there, with whoever looks at it."""
        self.server.alone(f"drop database if exists {quoted(name)} with (force)")

    def swap(self) -> None:
        """Let the new one take the name, and keep what had it."""
        for line in self.server.ask(BELONGS.format(fresh=literal(self.fresh), name=literal(self.name))):
            self.server.alone(line)
        self.drop(self.aside)
        self._rename((self.name, self.aside), (self.fresh, self.name))

    def back(self) -> None:
        """Let what served before serve again; what took its place is gone then."""
        if self.aside not in self.there():
            raise Trouble(f"nothing of {self.name} is kept: no `data.refresh` was made, or it was undone")
        self.drop(self.fresh)
        self._rename((self.name, self.fresh), (self.aside, self.name))
        self.drop(self.fresh)

    def _rename(self, *pairs: tuple[str, str]) -> None:
        """Give databases other names, all at once; nobody gets in meanwhile."""
        old = [before for before, _ in pairs]
        self._admit(old, admitted=False)
        try:
            self._empty(old)
            self.server.run("".join(f"alter database {quoted(a)} rename to {quoted(b)};" for a, b in pairs))
        finally:
            there = self.there()
            self._admit([name for name in (self.name, self.fresh) if name in there], admitted=True)

    def _admit(self, names: list[str], *, admitted: bool) -> None:
        for name in names:
            self.server.alone(f"alter database {quoted(name)} allow_connections {str(admitted).lower()}")

    def _empty(self, names: list[str]) -> None:
        """Send away who is connected, until nobody is."""
        listed = ", ".join(map(literal, names))
        until = time.monotonic() + WAIT_S
        while self.server.ask(ENDED.format(listed)):
            if time.monotonic() > until:
                raise Trouble(f"somebody comes back to {listed} for {WAIT_S} s after being sent away: stop it")
            time.sleep(0.1)
