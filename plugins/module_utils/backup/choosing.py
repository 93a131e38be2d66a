"""Which backups a restore takes, to a moment, a backup or a release, of one set or of all: from the catalogue alone."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

Lives = Mapping[str, Mapping[str, Any]]
"""By release `spans`, the times [from, until] in which it was live (until is None while it is), and `point`, the dump
that leads back to its database (or nothing)."""
Chosen = tuple[Record, dict[str, Any]]
Refusal = Callable[[Record], str]


def moment(text: str) -> float | None:
    """Return seconds since 1970 for a moment with its zone as RFC 3339 has it; None for what is no moment."""
    try:
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def choose(records: list[Record], kind: str, to: str, now: float, refusal: Refusal = lambda _: "") -> Chosen:
    """Return the backup to begin from, and where recovery goes: {point: true}, {time: text} or {latest: true}.

    `to` is `latest`, a moment, or a backup's id (or its beginning). For a moment it is the newest backup whose point
    lies before it: of those that a check found whole up to their own point, since a restore from another may end
    anywhere. `refusal` says why a backup does not lead to what was streamed last: for `latest` it is the newest that
    does.
    """
    passed = [record for record in records if record["set"] == kind and of.is_restorable(record)]
    if not passed:
        raise Trouble(f"no backup of {kind} has passed a check: take one (`backup.run --set {kind}`)")
    if to == "latest":
        leading = next((record for record in reversed(passed) if not refusal(record)), None)
        if leading is None:
            raise Trouble(
                f"no backup leads to the last that was streamed; {passed[-1]['id']}: {refusal(passed[-1])}. "
                f"`backup.run --set {kind}` begins anew where the source is there; what there is without that: "
                f"`--to {passed[-1]['id']}`, or a moment"
            )
        return leading, {"latest": True}
    when = moment(to)
    if when is None:
        return of.find(passed, to, kind), {"point": True}
    if when > now:
        raise Trouble(f"{to} is not over yet: take a moment of the past, or latest")
    before = [record for record in passed if of.reaches(record) <= when]
    if not before:
        first = of.said(of.reaches(passed[0]))
        raise Trouble(f"nothing reaches back to {to}: take a moment from {first} on")
    return before[-1], {"time": to}


def during(records: list[Record], kind: str, release: str, lives: Lives) -> Record:
    """Return the newest backup of a set that passed its check and was begun while a release was live."""
    found = {name: _newest(records, kind, told) for name, told in lives.items()}
    names = [name for name in lives if name.startswith(release)]
    newest = found[names[0]] if len(names) == 1 else None
    if newest:
        return newest
    others = [name for name, record in found.items() if record]
    there = f"there is one of {', '.join(others)}" if others else "and none while another one was"
    if len(names) != 1:
        what = f"{release!r} names {f'{len(names)} releases' if names else 'no release'} that was live"
        raise Trouble(f"{what}; of {kind} {there} (`backup.list`)")
    point = lives[names[0]].get("point") if kind == "database" else ""
    way = f"; `rollback --to {names[0]} --with-database` takes its restore point, {point}" if point else ""
    raise Trouble(
        f"no backup of {kind} that passed its check was taken while {names[0]} was live, {there} (`backup.list`){way}"
    )


def _newest(records: list[Record], kind: str, told: Mapping[str, Any]) -> Record | None:
    spans = [(moment(began) or 0.0, moment(ended) if ended else None) for began, ended in told["spans"]]

    def fits(record: Record) -> bool:
        at = of.taken_at(record)
        return of.is_restorable(record) and any(began <= at and (not ended or at < ended) for began, ended in spans)

    return of.newest(records, kind, fits)


def chosen(
    records: list[Record], kind: str, to: str, now: float, lives: Lives, refusal: Refusal = lambda _: ""
) -> Chosen:
    """Return the backup to begin from, and where recovery goes, as `choose`; with `lives`, `to` is a release."""
    if lives:
        return during(records, kind, to, lives), {"point": True}
    return choose(records, kind, to, now, refusal)


def whole(
    records: list[Record], kinds: list[str], to: str, now: float, lives: Lives, refusal: Refusal = lambda _: ""
) -> dict[str, Chosen]:
    """Return what to restore of each set, so that nothing of it is from after one moment.

    That moment is `to`, or the point of the backup that it names; of a release, each set's newest while it was live.
    Trouble says what is lacking of all sets at once.
    """
    found: dict[str, Chosen] = {}
    wrong = []
    named = _named(records, to) if not lives and to != "latest" and moment(to) is None else None
    at = of.said(of.reaches(named)) if named else to
    for kind in kinds:
        leads = refusal if kind == "database" else lambda _: ""  # no other set is streamed
        try:
            if named and named["set"] == kind:
                found[kind] = choose(records, kind, named["id"], now, leads)
            else:
                found[kind] = chosen(records, kind, at, now, lives, leads)
        except Trouble as trouble:
            wrong.append(f"{kind}: {trouble}")
    if wrong:
        raise Trouble("; ".join(wrong))
    return found


def _named(records: list[Record], to: str) -> Record:
    fitting = [record for record in records if record["id"].startswith(to)]
    if len(fitting) != 1:
        raise Trouble(f"{to!r} names {len(fitting) or 'no'} backups; `backup.list` shows them")
    return fitting[0]
