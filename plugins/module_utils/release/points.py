"""Which restore point leads back to a release's schema, and what of the data is not in it: decided and said.

A restore point is the dump that a deploy takes before its migration. Pure functions over the lines of a ledger, and
over what a comparison of the two databases found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.ledger import Line, Refused, Release

WAY_OUT = (
    "`rollback --accept-schema` leaves the data as they are, if the old release works on the new schema; "
    "of an archive, backup.restore --into place brings back a moment"
)


@dataclass(frozen=True)
class Point:
    """A dump: its `path` on the database's host, its digest where the ledger has it (else empty).

    It was taken by the deploy of `before`, which the ledger has as of `at`.
    """

    path: str
    sha256: str
    at: str
    before: str

    def told(self) -> dict[str, str]:
        """Return it as requests and the ledger have it."""
        return asdict(self)


def on_one_host(groups: Mapping[str, Sequence[str]]) -> bool:
    """Say whether entry, release and database of an application are on one and the same host."""
    return bool(groups.get("db")) and len({host for kind in ("entry", "app", "db") for host in groups[kind]}) == 1


def point(lines: Iterable[Line], target: Release, *, database: str, there: bool) -> Point:
    """Return the restore point from which `target`, a good release, finds the database as it left it.

    That is the dump before the first migration after it was live last that led away from its schema. `database` is the
    inventory's name for it, `there` says whether it lies on the one host that serves. Raises Refused with the way out.
    """
    if not database:
        raise Refused("the inventory names no database of this application (apps.<app>.database)", WAY_OUT)
    if not there:
        raise Refused(
            "database, release and entry are on several hosts, and only one that has all can undo what breaks off",
            "by hand: the dump is in `releases --json` (restore_point), and pg_restore reads it; " + WAY_OUT,
        )
    schema = str(target.line.get("schema_after") or "")
    dumped: Line | None = None
    for line in _since(lines, target.id):
        if _leads_away(line):
            dumped = _checked(line, schema)
            break
        if line.get("restore_point") and dumped is None and str(line.get("schema_before") or "") == schema:
            dumped = line
    if dumped is None:
        raise Refused(f"no release after {target.id} had a migration, so no restore point was taken", WAY_OUT)
    told = {key: str(dumped.get(key) or "") for key in ("restore_point", "restore_point_sha256", "at", "release")}
    return Point(told["restore_point"], told["restore_point_sha256"], told["at"], told["release"])


def _leads_away(line: Line) -> bool:
    """Say whether a line tells of a migration that changed the schema, or may have: where nobody tells revisions, or
    where it was killed in its middle.
    """
    if line.get("event") != "deploy" or "schema_before" not in line:
        return False
    return not line["schema_before"] or line["schema_before"] != line.get("schema_after")


def _checked(line: Line, schema: str) -> Line:
    """Return the line of the first migration that led away, if its restore point is at `schema`."""
    name, before = line.get("release"), str(line["schema_before"] or "")
    if not line.get("restore_point"):
        raise Refused(f"no restore point was taken before the migration of {name}", WAY_OUT)
    if before != schema:
        reason = f"the restore point before {name} is at schema {before or 'none'}, not at {schema or 'none'}"
        raise Refused(reason, WAY_OUT)
    return line


def _since(lines: Iterable[Line], release: str) -> list[Line]:
    """Return what came after the last line that put a release live."""
    told = list(lines)
    last = max(n for n, line in enumerate(told) if line.get("release") == release and line.get("status") == "live")
    return told[last + 1 :]


def may_be(found: Point, *, sha256: str, there: bool) -> str:
    """Return why a dump cannot be used that is `there`, or not, with this digest; empty where it can."""
    if not there:
        return f"the restore point {found.path} is gone"
    if found.sha256 and sha256 != found.sha256:
        return f"the restore point {found.path} was altered: its digest is not the one that the ledger has"
    return ""


def exchanged(there: Mapping[str, int], *, name: str, aside: str, serving: int) -> bool:
    """Say whether databases have exchanged their names, by the oids of those that are there.

    `serving` is the oid of the one that served before, which it keeps under every name: what lies `aside` may be of an
    earlier rollback. Raises Refused where it has neither name.
    """
    if there.get(name) == serving:
        return False
    if there.get(aside) == serving:
        return True
    raise Refused(
        f"the database that served before (oid {serving}) is neither {name} nor {aside}: somebody gave it another name",
        f"give it the name {name} again: `alter database ... rename to {name}`",
    )


def is_lost(table: Mapping[str, Any]) -> bool:
    """Say whether going back changes anything that stands in a table."""
    counts = any(table[key] for key in ("added", "changed", "deleted"))
    gone = table["now"] is None or table["then"] is None
    return bool(counts or gone or table["uncompared"] or any(table["going"].values()))
