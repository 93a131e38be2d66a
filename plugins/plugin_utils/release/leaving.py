"""Whom a run may go on without: app hosts that cannot be reached when it begins, as many as somebody has said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def may_be_away(host: str, groups: Mapping[str, Sequence[str]]) -> bool:
    """Say whether a release can be brought to the others without this host: it is an app host and nothing else.

    An entry that goes on by itself would serve another release, and a database is nobody's to leave out.
    """
    return [kind for kind in ("app", "entry", "db", "arbiter") if host in groups.get(kind, [])] == ["app"]


def refusal(
    away: Sequence[str], groups: Mapping[str, Sequence[str]], *, most: int, migrates: Mapping[str, str] | None = None
) -> str:
    """Return why a run can't go on without these app hosts, or nothing.

    `migrates` has the release by the host whose migration may still run there: another one is never begun beside it.
    """
    if not away:
        return ""
    whom = f"{', '.join(away)} cannot be reached"
    if last := [host for host in away if host in (migrates or {})]:
        told = ", of ".join(f"{(migrates or {})[host]} on {host}" for host in last)
        return f"{whom}, and nobody knows whether the migration of {told} has ended"
    if len(away) >= len(groups["app"]):
        return f"{whom}, and no other app host is left"
    return f"{whom}, and at most {most} may be left out" if len(away) > most else ""


def everywhere(present: Mapping[str, Collection[str]], out: Sequence[str]) -> set[str]:
    """Return the releases that every app host has but those that get no clients anyway (`out`), if these are not all.

    `present` are the releases by host, of one host at least.
    """
    counts = [each for host, each in present.items() if host not in out] or present.values()
    return set.intersection(*map(set, counts))


def lacking(release: str, present: Mapping[str, Collection[str]], out: Sequence[str]) -> list[str]:
    """Return who of the app hosts that get no clients anyway (`out`) has not a release that is gone back to.

    `present` are the releases by host. A rollback does not wait for them; never are all of them left out.
    """
    without = [host for host in out if release not in present.get(host, [])]
    return without if len(without) < len(present) else []
