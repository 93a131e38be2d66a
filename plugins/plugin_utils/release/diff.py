"""What differs between two releases, of what the ledger, the repository and whoever keeps them tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import plan
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped

BOTH = 2
TOLD = ("commit", "ref", "subject", "at", "who", "digest", "configuration")
"""What is said of a release, by its line in the ledger."""
EMPTY: dict[str, list[Any]] = {"added": [], "changed": [], "removed": []}


@dataclass(frozen=True)
class Side:
    """One of the two: its line in the ledger, how it describes itself, its list of files; None where nobody knows."""

    release: ledger.Release
    description: Mapping[str, Any] | None = None
    files: str | None = None

    @property
    def told(self) -> dict[str, Any]:
        """What is said of it."""
        told = {key: self.release.line.get(key) or "" for key in TOLD}
        return {"release": self.release.id, **told, "hotfix": self.release.hotfix}


def two(action: ReleaseAction) -> tuple[ledger.Release, ledger.Release]:
    """Return the releases that an action is asked to compare; Stopped where the ledger does not know them."""
    book = action.look_of(action.arbiter).get("ledger")
    if book is None:
        reason, hint = (
            f"{action.arbiter} keeps the ledger, and was not reached",
            "`check --hosts` says how it is reached",
        )
        raise Stopped(action.host, {"reason": reason, "hint": hint, "refused": True})
    try:
        return named(book["lines"], [str(word) for word in action.value("between", []) or []])
    except ledger.Refused as refused:
        raise Stopped(action.host, {"reason": str(refused), "hint": refused.hint, "refused": True}) from None


def named(lines: Iterable[ledger.Line], words: list[str]) -> tuple[ledger.Release, ledger.Release]:
    """Return the releases that two words name, or one word and what is live. Raises Refused with the way out."""
    told = ledger.story(lines)
    if not 1 <= len(words) <= BOTH:
        raise ledger.Refused(f"two releases are compared, not {len(words)}", "name one or two; `releases` shows all")
    if len(words) < BOTH and not told.live:
        raise ledger.Refused("nothing is live to compare with", "name two releases; `releases` shows all")
    one, other = (ledger.called(told, word) for word in [*words, told.live][:BOTH])
    if one.id == other.id:
        raise ledger.Refused(f"{one.id} is both of them", "name another one; `releases` shows all")
    return one, other


def between(one: Side, other: Side, commits: Mapping[str, Any], *, app: str) -> dict[str, Any]:
    """Return how one release becomes another: commits with release notes, files, configuration, migrations.

    What nobody has any more is empty, and `unknown` says why, by its name.
    """
    files = EMPTY if one.files is None or other.files is None else plan.file_changes(one.files, other.files)
    known = one.description is not None and other.description is not None
    texts = [plan.as_texts(side.description or {}) for side in (one, other)]
    return {
        "from": one.told,
        "to": other.told,
        "commits": dict(commits),
        "notes": notes(commits["added"]),
        "files": files,
        "configuration": plan.text_changes(*texts) if known else [],
        "migrations": _migrations(one, other, files),
        "unknown": dict(_unknown(one, other, commits, app)),
    }


def notes(commits: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the release notes that subjects of commits make, newest first: each once, and none of a merge."""
    said = [each["subject"] for each in commits if each["subject"] and not each["subject"].startswith("Merge ")]
    return list(dict.fromkeys(said))


def _migrations(one: Side, other: Side, files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas that both ran at, and which of the files that migrate differ."""
    description = other.description or one.description or {}
    schemas = {name: side.release.line.get("schema_after") or "" for name, side in (("from", one), ("to", other))}
    return {**schemas, **plan.of_migrations(description, files)}


def _unknown(one: Side, other: Side, commits: Mapping[str, Any], app: str) -> Iterator[tuple[str, str]]:
    if not commits["known"]:
        both = " and ".join(side.told["commit"][:7] or side.release.id for side in (one, other))
        yield "commits", f"the repository of {app} does not have both {both}"
    for what in ("files", "description"):
        lost = [side.release.id for side in (one, other) if getattr(side, what) is None]
        if lost:
            name = "configuration" if what == "description" else what
            yield name, f"no host keeps that of {' or '.join(lost)} any more, nor does this machine"
