"""What a PostgreSQL server should be like: sizes, files and statements as pure functions."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MB = 1024 * 1024
GB = 1024 * MB
BEGIN = "# BEGIN FERRYMAN: written by the role postgresql; what stands below this block is the host's own"
END = "# END FERRYMAN"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
UNNAMED = "a program that does not show itself"
SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z0-9_]+)*")
# What initdb itself writes into postgresql.conf: nobody's choice.
UNTOUCHED = {("shared_buffers", "128MB"), ("max_connections", "100"), ("port", "5432")}


class Statement(NamedTuple):
    """One step: what it does, in words that may be shown, where (a database), and its SQL, which may not."""

    what: str
    database: str
    sql: str


def sizes(memory: int, percent: int = 50) -> dict[str, str]:
    """Return settings for a server that may plan with `percent` of `memory` bytes.

    The shares are those of the manual (19.4: a quarter for shared_buffers) and of pgtune; all are rounded down
    to whole steps, so that a kernel update does not ask for a restart.
    """
    if not 1 <= percent <= 100:
        raise ValueError(f"{percent} % of the memory: 1 to 100 would be right")
    budget = memory // (64 * MB) * (64 * MB) * percent // 100
    connections = 100 if budget < 4 * GB else 200 if budget < 32 * GB else 400
    shared = _between(16 * MB, budget // 4, 16 * GB)
    return {
        "max_connections": str(connections),
        "shared_buffers": _mb(shared),
        "effective_cache_size": _mb(max(budget * 3 // 4, shared)),
        "maintenance_work_mem": _mb(_between(16 * MB, budget // 16, 2 * GB)),
        # A query may use it several times, and several queries run at once.
        "work_mem": _mb(_between(1 * MB, (budget - shared) // (connections * 3), 64 * MB)),
        # Disks without moving parts read anywhere at nearly the same cost.
        "random_page_cost": "1.1",
    }


def archiving(program: str, is_there: bool, before: str) -> dict[str, str]:
    """Return the settings by which whole files of WAL are given to a program (and its arguments), once it is there.

    `before` is what our file said. Where it asked for a program and none is wished any more, each file counts as
    archived: with no program at all the server would keep them for ever, and without the mode it would want a restart.
    """
    if program and is_there:
        return {"archive_mode": "on", "archive_command": f"{program} %p"}
    return {"archive_mode": "on", "archive_command": "/bin/true"} if "archive_mode = 'on'" in before else {}


def conf(settings: Mapping[str, str]) -> str:
    """Return the text of conf.d/ferryman.conf."""
    lines = [f"{name} = {literal(value)}" for name, value in sorted(settings.items())]
    return "\n".join(["# Written by Ferryman; a file of your own that sorts after this one wins.", *lines, ""])


def chosen(computed: Mapping[str, str], own: Mapping[str, str], foreign: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the settings to write: what the inventory says, and what is computed unless somebody set it by hand.

    `foreign` are the lines of other files (name, setting), as pg_file_settings shows them.
    """
    theirs = {line["name"] for line in foreign if (line["name"], line["setting"]) not in UNTOUCHED}
    return {**{name: value for name, value in computed.items() if name not in theirs}, **own}


def access(databases: Sequence[Mapping[str, Any]], allow: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the lines of pg_hba.conf: each owner on its database from this host, then whoever is allowed.

    From elsewhere only over TLS: scram protects the password, not the rows.
    """
    lines = []
    for database in databases:
        pair = f"{_quoted(database['name'])} {_quoted(database['owner'])}"
        lines += [f"host {pair} {place} scram-sha-256" for place in ("127.0.0.1/32", "::1/128")]
    for rule in allow:
        network = ipaddress.ip_network(rule["from"], strict=False)
        pair = f"{_quoted(rule['database'])} {_quoted(rule['user'])}"
        lines.append(f"hostssl {pair} {network} scram-sha-256")
    return lines


def merged(text: str, lines: Sequence[str]) -> str:
    """Return pg_hba.conf with our block at its top, since the first line that fits decides; the rest stays as it is."""
    rest = re.sub(rf"{re.escape(BEGIN[:16])}[^\n]*\n.*?{re.escape(END)}\n", "", text, flags=re.DOTALL)
    return "\n".join([BEGIN, *lines, END, rest]) if lines else rest


def problems(
    databases: Sequence[Mapping[str, Any]], allow: Sequence[Mapping[str, str]], settings: Mapping[str, Any]
) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences."""
    found = [f"settings: {name!r} is no name of a setting" for name in settings if not SETTING.fullmatch(name)]
    for number, database in enumerate(databases):
        found += [
            f"databases[{number}].{key}: {database[key]!r} is not a name of letters, digits, _ and -"
            for key in ("name", "owner")
            if not NAME.fullmatch(database[key])
        ]
    given: dict[str, str] = {}
    for database in databases:
        password = database.get("password")
        if password and given.setdefault(database["owner"], password) != password:
            found.append(f"databases: {database['owner']!r} owns two and has two passwords")
    for number, rule in enumerate(allow):
        try:
            ipaddress.ip_network(rule["from"], strict=False)
        except ValueError:
            found.append(f"allow[{number}].from: {rule['from']!r} is not an address or a network (192.0.2.0/24)")
    return found


def roles(
    databases: Sequence[Mapping[str, Any]],
    found: Mapping[str, Mapping[str, Any]],
    same: Callable[[str, str | None], bool],
    verifier: Callable[[str], str],
) -> list[Statement]:
    """Return what makes the owners as they should be; `found` is what pg_authid says of them."""
    steps = []
    passwords = {database["owner"]: database.get("password") for database in databases if database.get("password")}
    for owner in dict.fromkeys(database["owner"] for database in databases):
        known, password = found.get(owner), passwords.get(owner)
        if known and known["super"]:
            raise ValueError(f"role {owner!r} is a superuser: an application gets an owner of its own")
        if not known:
            steps.append(Statement(f"create role {owner}", "postgres", f"create role {identifier(owner)} login"))
        elif not known["login"]:
            steps.append(Statement(f"let {owner} log in", "postgres", f"alter role {identifier(owner)} login"))
        if password and not same(password, known["password"] if known else None):
            sql = f"alter role {identifier(owner)} password {literal(verifier(password))}"
            steps.append(Statement(f"set the password of {owner}", "postgres", sql))
    return steps


def bases(databases: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]) -> list[Statement]:
    """Return what makes the databases as they should be; `found` is what pg_database and pg_extension say."""
    steps = []
    for database in databases:
        name, owner = database["name"], database["owner"]
        known = found.get(name)
        if known and known["owner"] != owner:
            raise ValueError(f"database {name!r} belongs to {known['owner']!r}, not to {owner!r}: it is left alone")
        if not known:
            # The cluster's own encoding is whatever the locale was on the day of its making.
            sql = f"create database {identifier(name)} owner {identifier(owner)} template template0"
            sql += " encoding 'UTF8' locale 'C.UTF-8'"
            steps.append(Statement(f"create database {name}", "postgres", sql))
        if not known or known["public"]:
            sql = f"revoke connect, temporary on database {identifier(name)} from public"
            steps.append(Statement(f"close database {name} to others", "postgres", sql))
        present = known["extensions"] if known else []
        for extension in database.get("extensions") or []:
            if extension not in present:
                sql = f"create extension {identifier(extension)}"
                steps.append(Statement(f"add {extension} to {name}", name, sql))
    return steps


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL and postgresql.conf write it."""
    if "\\" in text or "\n" in text or "\0" in text:
        raise ValueError(f"{text!r} has a character that has no place in a setting")
    return "'" + text.replace("'", "''") + "'"


def listeners(output: str) -> list[str]:
    """Return who listens, as `ss -Hltnp` tells: names of programs, or UNNAMED where it may not see them.

    Root in a container often may not (CAP_SYS_PTRACE).
    """
    return sorted({name for line in output.splitlines() for name in re.findall(r'"([^"]+)"', line) or [UNNAMED]})


def _quoted(name: str) -> str:
    # `all` and `replication` are words in pg_hba.conf unless quoted, and here they are meant as such by nobody.
    return f'"{name}"'


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))


def _mb(size: int) -> str:
    return f"{size // MB}MB"
