"""What people read of a rollback that takes the database along: what is lost, and what is kept. Nothing is decided."""

from collections.abc import Mapping, Sequence
from typing import Any

from ferryman import paths

Told = Mapping[str, Any]
NOBODY_KNOWS = "?"
NONE = "-"
HEAD = ("table", "rows now", "rows then", "added since", "changed since", "deleted since")


def question(env: str, plan: Told, lost: Sequence[Told]) -> str:
    """Return what somebody is asked: what would be done, and what of the data would no longer be served."""
    point = plan["point"]
    what = f"{env} goes back from {plan['previous']} to {plan['release']}, with the database as it was"
    return "\n".join(
        [
            f"{what} before the migration of {point['before']} ({point['path']})",
            *table(lost),
            "Clients get the maintenance page meanwhile; what is there now is kept aside",
        ]
    )


def table(lost: Sequence[Told]) -> list[str]:
    """Return the lines that say what was written since, of each table in which anything differs."""
    if not lost:
        return ["Nothing was written since: every table is as it was then"]
    rows = [HEAD, *(_row(each) for each in lost)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  "
        + "  ".join(
            [f"{row[0]:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return [*lines, *(f"  {line}" for each in lost for line in _columns(each))]


def _row(each: Told) -> tuple[str, ...]:
    now, then = (NONE if each[key] is None else str(each[key]) for key in ("now", "then"))
    # Where no primary key tells rows apart, one that was changed counts as one that went and one that came.
    both = each["now"] is not None and each["then"] is not None
    changed = (NOBODY_KNOWS if both else NONE) if each["changed"] is None else str(each["changed"])
    return (each["table"], now, then, str(each["added"]), changed, str(each["deleted"]))


def _columns(each: Told) -> list[str]:
    name = each["table"]
    said = [f"{name}.{column} goes, with {count} values" for column, count in each["going"].items()]
    said += [f"{name}.{column} comes back" for column in each["returning"]]
    said += [f"{name}.{column} is of another type now, and was not compared" for column in each["uncompared"]]
    if each["changed"] is None and each["now"] is not None and each["then"] is not None:
        said.append(f"{name} has no primary key: a row that was changed counts as one deleted and one added")
    return said


def done(told: Told) -> list[str]:
    """Return what a rollback with the database came to."""
    kept, point = told["kept"], told["point"]
    again = f"{paths.command('rollback', told['environment'], told['app'])} --with-database"
    return [
        f"its database is as it was before the migration of {point['before']}; of what was there until then is gone:",
        *table(told["lost"]),
        *_late(told),
        f"what was left is kept as database {kept}, which admits nobody, until the next `{again}`",
        f"on its host, as root, `runuser -u postgres -- dropdb {kept}` drops it; how to look into it or serve from it:",
        "Ferryman's docs/guides/going-back.md",
    ]


def _late(told: Told) -> list[str]:
    if "under_way_s" not in told:
        return []
    after = f"{told['under_way_s']:g} s (release_drain_s)"
    begun = f"whether requests from before the page had ended was not known after {after}:"
    return [begun, "what one of them wrote after that is in the database that serves"]


def entry(line: Told) -> str:
    """Say of a release's line in the ledger that it came back with the database; empty where it did not."""
    took = line.get("with_database") or {}
    if not took.get("kept"):
        return ""
    lost = took["lost"]
    counts = ", ".join(f"{_sum(lost, key)} {key}" for key in ("added", "changed", "deleted"))
    return (
        f"came back with the database as before {took['before']}; rows written since then: {counts}; "
        f"what was left was kept as {took['kept']}"
    )


def _sum(lost: Sequence[Told], key: str) -> str:
    """Return how many rows that is, where it is known of each table."""
    known = sum(each[key] or 0 for each in lost)
    there = [each for each in lost if each["now"] is not None and each["then"] is not None]
    return f"at least {known}" if any(each[key] is None for each in there) else str(known)
