"""Roles that log in from elsewhere and own nothing, such as one that takes backups: what they may, as statements."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.postgresql_plan import (
    NAME,
    Statement,
    identifier,
    literal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
FUNCTION = re.compile(r"[a-z_][a-z0-9_]*\([a-z0-9_ ,]*\)")


def problems(logins: Sequence[Mapping[str, Any]], owners: Sequence[str]) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences."""
    found = []
    for number, login in enumerate(logins):
        place = f"logins[{number}]"
        names = [("name", login["name"]), *(("member_of", name) for name in login["member_of"])]
        names += [("databases", name) for name in login["databases"]]
        found += [
            f"{place}.{key}: {name!r} is not a name of letters, digits, _ and -"
            for key, name in names
            if not NAME.fullmatch(name)
        ]
        found += [
            f"{place}.functions: {text!r} is not written as name(type, type)"
            for text in login["functions"]
            if not FUNCTION.fullmatch(text)
        ]
        if login["name"] in owners:
            found.append(f"{place}.name: {login['name']!r} owns a database; a login has a role of its own")
        for text in login["from"]:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                found.append(f"{place}.from: {text!r} is not an address or a network (192.0.2.0/24)")
    return found


def access(logins: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of pg_hba.conf, over TLS alone: with `replication` also the server's own stream."""
    lines = []
    for login in logins:
        for text in login["from"]:
            network, user = ipaddress.ip_network(text, strict=False), f'"{login["name"]}"'
            words = ["all", "replication"] if login["replication"] else ["all"]
            lines += [f"hostssl {word} {user} {network} scram-sha-256" for word in words]
    return lines


def question(login: Mapping[str, Any]) -> str:
    """Return a query for one JSON value: what the role is and may already; null where it is not there.

    Of functions and databases that the server has not got, nothing is said.
    """
    functions = ", ".join(literal(text) for text in login["functions"]) or "''"
    databases = ", ".join(literal(name) for name in ["postgres", *login["databases"]])
    return f"""select coalesce((select json_build_object(
        'super', rolsuper, 'login', rolcanlogin, 'replication', rolreplication, 'password', rolpassword,
        'member_of', (select coalesce(json_agg(pg_get_userbyid(roleid)), '[]')
            from pg_auth_members where member = role.oid),
        'functions', (select coalesce(json_agg(wish), '[]') from unnest(array[{functions}]) wish
            where to_regprocedure(wish) is not null and has_function_privilege(role.oid, wish, 'execute')),
        'databases', (select coalesce(json_agg(datname), '[]') from pg_database
            where datname in ({databases}) and has_database_privilege(role.oid, oid, 'connect')))
        from pg_authid role where rolname = {literal(login["name"])}), 'null')"""  # noqa: S608 -- quoted by literal()


def steps(
    logins: Sequence[Mapping[str, Any]],
    found: Mapping[str, Mapping[str, Any] | None],
    same: Callable[[str, str | None], bool],
    verifier: Callable[[str], str],
) -> list[Statement]:
    """Return what makes the logins as they should be; `found` is what `question` says of each. None is taken back."""
    made = []
    for login in logins:
        known = found.get(login["name"])
        if known and known["super"]:
            raise ValueError(f"role {login['name']!r} is a superuser: take another name for a login that may less")
        made += [*_role(login, known, same, verifier), *_rights(login, known or {})]
    return [Statement(what, "postgres", sql) for what, sql in made]


def _role(
    login: Mapping[str, Any],
    known: Mapping[str, Any] | None,
    same: Callable[[str, str | None], bool],
    verifier: Callable[[str], str],
) -> list[tuple[str, str]]:
    name, quoted = login["name"], identifier(login["name"])
    made = []
    if not known:
        made.append((f"create role {name}", f"create role {quoted} login"))
    elif not known["login"]:
        made.append((f"let {name} log in", f"alter role {quoted} login"))
    if login["replication"] and not (known and known["replication"]):
        made.append((f"let {name} replicate", f"alter role {quoted} replication"))
    if login["password"] and not same(login["password"], known["password"] if known else None):
        sql = f"alter role {quoted} password {literal(verifier(login['password']))}"
        made.append((f"set the password of {name}", sql))
    return made


def _rights(login: Mapping[str, Any], known: Mapping[str, Any]) -> list[tuple[str, str]]:
    name, quoted = login["name"], identifier(login["name"])
    groups, functions, databases = (
        [wish for wish in login[key] if wish not in known.get(key, [])]
        for key in ("member_of", "functions", "databases")
    )
    return [
        *((f"make {name} a member of {group}", f"grant {identifier(group)} to {quoted}") for group in groups),
        *((f"let {name} call {each}", f"grant execute on function {each} to {quoted}") for each in functions),
        *(
            (f"let {name} into {base}", f"grant connect on database {identifier(base)} to {quoted}")
            for base in databases
        ),
    ]


def standbys(names: Sequence[str]) -> str:
    """Return synchronous_standby_names for standbys any one of which will do; empty for none.

    A plain name stays without quotation marks: Barman looks for its own without them.
    """
    listed = ", ".join(name if PLAIN.fullmatch(name) else identifier(name) for name in names)
    return f"ANY 1 ({listed})" if names else ""
