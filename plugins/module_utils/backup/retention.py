"""Which backups are kept, and why: one rule for every set and every engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of

DAY_S = 86400
YEAR_S = 365.25 * DAY_S


class Rule(NamedTuple):
    """`keep_days` for every set; `keep_years` by set, for the first good backup of each month."""

    keep_days: int
    keep_years: dict[str, int]


class Kept(NamedTuple):
    """What becomes of one backup; `why` is a sentence in either case."""

    id: str
    keep: bool
    why: str


def problems(rule: Rule) -> list[str]:
    """Return what is wrong with a rule, in sentences."""
    wrong = [f"backup_keep_days: {rule.keep_days} would keep nothing; 1 or more"] if rule.keep_days < 1 else []
    for kind, years in sorted(rule.keep_years.items()):
        if kind not in of.SETS:
            wrong.append(f"backup_keep_years.{kind}: there is no such set; one of: {', '.join(of.SETS)}")
        elif years < 0:
            wrong.append(f"backup_keep_years.{kind}: {years} is less than none")
    return wrong


def decide(records: list[dict[str, Any]], rule: Rule, now: float) -> list[Kept]:
    """Return what becomes of every backup, oldest first. `now` is in seconds since 1970.

    Whatever the rule says, a backup that could be restored from stays until a newer one of its set has passed its
    check: an archive of backups that nobody has found good is not thinned out.
    """
    wrong = problems(rule)
    if wrong:
        raise ValueError("; ".join(wrong))
    answers = []
    for kind in of.SETS:
        listed = sorted((record for record in records if record["set"] == kind), key=_order)
        answers += _of_one_set(listed, rule, now)
    return sorted(answers, key=lambda kept: kept.id)


def copies(records: list[dict[str, Any]], keep_days: int, now: float) -> list[Kept]:
    """Return what becomes of every copy of a whole archive, oldest first, by the same rule as that of backups."""
    return _of_one_set(sorted(records, key=_order), Rule(keep_days, {}), now)


class _Set(NamedTuple):
    """What a set as a whole says: its newest good backup, the one that reaches over `since`, each month's first."""

    newest: dict[str, Any] | None
    reaching: dict[str, Any] | None
    months: set[str]
    since: float


def _of_one_set(listed: list[dict[str, Any]], rule: Rule, now: float) -> list[Kept]:
    passed = [record for record in listed if of.has_passed(record)]
    good = [record for record in listed if of.is_restorable(record)]
    since = now - rule.keep_days * DAY_S
    before = [record for record in good if of.taken_at(record) <= since]
    whole = _Set(passed[-1] if passed else None, before[-1] if before else None, _first_of_months(good), since)
    return [_of_one(record, whole, rule, now) for record in listed]


def _of_one(record: dict[str, Any], whole: _Set, rule: Rule, now: float) -> Kept:
    years = rule.keep_years.get(record["set"], 0)
    if whole.newest is None or _order(record) > _order(whole.newest):
        why = "no newer one has passed its check"
    elif record is whole.newest:
        why = "the newest that passed its check"
    elif record.get("held_until") and of.moment(record["held_until"]) > now:
        why = f"held until {record['held_until']}"
    elif of.taken_at(record) > whole.since:
        why = f"younger than {rule.keep_days} days"
    elif record is whole.reaching:
        why = f"every moment of the last {rule.keep_days} days is reached from it"
    elif record["id"] in whole.months and now - of.taken_at(record) < years * YEAR_S:
        why = f"the first good one of {record['began_at'][:7]}, kept for {years} years"
    else:
        return Kept(record["id"], False, f"older than {rule.keep_days} days, and newer ones have passed")
    return Kept(record["id"], True, why)


def _first_of_months(passed: list[dict[str, Any]]) -> set[str]:
    first: dict[str, str] = {}
    for record in passed:
        first.setdefault(record["began_at"][:7], record["id"])
    return set(first.values())


def _order(record: dict[str, Any]) -> tuple[float, str]:
    return of.taken_at(record), record["id"]


def expired(records: list[dict[str, Any]], rule: Rule, now: float) -> list[str]:
    """Return the ids that may go, oldest first."""
    return [kept.id for kept in decide(records, rule, now) if not kept.keep]
