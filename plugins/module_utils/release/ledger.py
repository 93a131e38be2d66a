"""What a ledger says: which release is live, which are good, what a rollback goes back to, what may be pruned.

Pure functions over the lines of a ledger. Nothing here reads a directory, a name's order or a time: rollbacks that pick
the youngest directory pick failed releases.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names

Line = Mapping[str, Any]
OF_A_RUN = (
    "at",
    "run",
    "event",
    "release",
    "previous",
    "who",
    "commit",
    "ref",
    "subject",
    "status",
    "reason",
    "duration_s",
)
"""What is told of a run in a release's tale."""
MIGRATED = "migrated"
"""The event of a line without a status: what a migration has done whose driver was gone before its end (`undone`: the
schema is where it was before)."""


class Refused(Exception):
    """A decision that says no, with the reason and the way out."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class Release:
    """What the ledger knows of one release."""

    def __init__(self, name: str, line: dict[str, Any]) -> None:
        self.id = name
        self.good = False
        self.withdrawn = False
        self.hotfix = False
        """Whether it was deployed as one."""
        self.status = ""
        self.line = line
        """The last line that put it live, else its last line."""


class Story:
    """The lines of a ledger, read to their end."""

    def __init__(self) -> None:
        self.live = ""
        self.schema = ""
        """The schema revision of the database as far as the ledger knows; empty for none."""
        self.releases: dict[str, Release] = {}
        self.order: list[str] = []
        """Good releases, in the order in which they first went live."""
        self.unfinished: dict[str, Any] = {}
        """The last `started` line that no later line of its run ended; empty for none."""


def story(lines: Iterable[Line]) -> Story:
    """Read a ledger from its first line to its last."""
    told = Story()
    for raw in lines:
        line = dict(raw)
        if line.get("event") == MIGRATED and line.get("schema_after"):
            told.schema = line["schema_after"]
        status, name = line.get("status", ""), line.get("release", "")
        # A line without a status (edit_seen, unlock) tells what was met on the way, and nothing of what a release is.
        if not name or not isinstance(name, str) or not status:
            continue
        release = told.releases.setdefault(name, Release(name, line))
        release.status = status
        release.hotfix = release.hotfix or bool(line.get("hotfix"))
        if not release.good:
            release.line = line
        if status == "started":
            told.unfinished = line
            continue
        if told.unfinished.get("run") == line.get("run"):
            told.unfinished = {}
        if line.get("schema_after") or (status == "live" and line.get("with_database")):
            told.schema = line.get("schema_after") or ""  # of a database that was brought back, also to none
        if status == "live":
            _live(told, release, line)
        elif _speaks_against(line) and release.good and told.live != name:
            release.withdrawn = True
    return told


def spans(lines: Iterable[Line]) -> dict[str, list[list[Any]]]:
    """Return when each release was live, as [from, until] in the ledger's words for time; until is None while it is."""
    found: dict[str, list[list[Any]]] = {}
    last: list[Any] = []
    for line in lines:
        if line.get("status") == "live" and line.get("release"):
            last[1:] = [line["at"]]
            last = [line["at"], None]
            found.setdefault(str(line["release"]), []).append(last)
    return found


def committed(lines: Iterable[Line], run: str) -> bool:
    """Say whether the commit record of a run is among lines."""
    return any(line.get("run") == run and line.get("status") == "live" for line in lines)


def _speaks_against(line: Line) -> bool:
    """Say whether a run that came to nothing speaks against its release: only where that was `tried`, and found unwell.

    An interrupt, a lost lock or a host's fault says nothing of it.
    """
    return line["status"] in ("failed", "returned") and line.get("who") != "guard" and line.get("tried", True)


def _live(told: Story, release: Release, line: dict[str, Any]) -> None:
    # A deploy whose migrations are those of the live release asks nothing of the database: it runs at what is there.
    line.setdefault("schema_after", told.schema)
    rollback = line.get("event") == "rollback"
    if rollback and release.id in told.order:
        if told.live in told.order and told.order.index(release.id) < told.order.index(told.live):
            # Whoever goes back past a release leaves it as well: the next rollback must not land on it.
            for left in told.order[told.order.index(release.id) + 1 : told.order.index(told.live) + 1]:
                told.releases[left].withdrawn = True
    else:
        if release.id in told.order:
            told.order.remove(release.id)
        told.order.append(release.id)  # deployed (again, on purpose) and through its gate: the newest
    release.good, release.withdrawn, release.line, told.live = True, False, line, release.id


def rollback_target(
    lines: Iterable[Line],
    *,
    to: str = "",
    present: Iterable[str],
    accept_schema: bool = False,
    with_database: bool = False,
) -> Release:
    """Return the release to go back to: the newest good one before the live one that was never rolled back from.

    `to` names another one; `present` are the releases that are on every host. Going over a difference of the database's
    schema is refused unless `accept_schema`, and over a migration that is told to be irreversible in any case, but
    `with_database`. Raises Refused with the reason and the way out.
    """
    lines = list(lines)
    told = story(lines)
    on_hosts = set(present)
    if not told.live:
        raise Refused("nothing is live, so there is nothing to go back from", "`deploy` comes first")
    if to:
        found = _named(told, to, on_hosts)
    else:
        at = told.order.index(told.live)
        before = [name for name in told.order[:at] if not told.releases[name].withdrawn]
        if not before:
            raise Refused(
                f"there is no good release before {told.live}", f"`releases` shows all; {_way(told, on_hosts)}"
            )
        found = told.releases[before[-1]]
    if found.id == told.live:
        raise Refused(f"{found.id} is live already", "`rollback --to RELEASE` takes another one")
    if found.id not in on_hosts:
        raise Refused(
            f"{found.id} is no longer on every host",
            f"`deploy --ref {found.line.get('commit', '')[:12]}` brings it back",
        )
    then = found.line.get("schema_after", "")
    past = [] if with_database else irreversible(lines, found.id)
    if past:
        raise Refused(
            f"the migration of {past[-1]} is irreversible, as it says itself, and {found.id} ran before it",
            "--with-database brings the database back, too, and says first what was written since; or mend what is "
            "wrong in a new release",
        )
    if then != told.schema and not (accept_schema or with_database):
        raise Refused(
            f"the database is at schema {told.schema or 'none'}, {found.id} ran at {then or 'none'}",
            "--with-database brings the database back, too, and says first what was written since; "
            "--accept-schema goes back all the same, if the old release works on the new schema",
        )
    return found


def irreversible(lines: Iterable[Line], release: str) -> list[str]:
    """Return the releases whose migration is told to be irreversible and was run since `release` was live last.

    One counts that failed, too, where it has moved the schema.
    """
    found: list[str] = []
    kinds: dict[str, str] = {}  # by the run: another one may have heard what its migration did
    for line in lines:
        if line.get("migration"):
            kinds[str(line.get("run"))] = str(line["migration"])
        if line.get("status") == "live" and line.get("release") == release:
            found = []
        elif line.get("status") == "live" and line.get("with_database"):
            before = line["with_database"].get("before")  # whose migration and all after it are undone
            found = found[: found.index(before)] if before in found else found
        elif line.get("event") == MIGRATED and line.get("undone"):
            found = [each for each in found if each != line.get("release")]
        elif kinds.get(str(line.get("of") or line.get("run"))) == "irreversible" and _has_migrated(line):
            found.append(str(line["release"]))
    return list(dict.fromkeys(found))


def migrating(lines: Iterable[Line]) -> dict[str, str]:
    """Return where a migration may still run of which the ledger has no end: the release by the host; mostly none.

    A driver that ended its run says whether it was `migrating`, one that died does not; where the way down may still
    run (`undoing`) it is the same. What went live afterwards asked every host that took part.
    """
    found: dict[str, tuple[str, str]] = {}  # by the host: which run, which release
    for line in lines:
        run, status = str(line.get("of") or line.get("run")), line.get("status")
        if status == "started" and line.get("migrates_on"):
            found[str(line["migrates_on"])] = (run, str(line["release"]))
        elif status == "live":
            found = {host: each for host, each in found.items() if host in (line.get("left_out") or ())}
        elif line.get("event") == MIGRATED or (
            not line.get("undoing")
            and ("migrated" in line or (status in ("failed", "returned") and not line.get("migrating")))
        ):
            found = {host: each for host, each in found.items() if each[0] != run}
    return {host: release for host, (_, release) in found.items()}


def untold(lines: Sequence[Line], run: str) -> dict[str, Any]:
    """Return the last line of a journal about a migration, where the driver of its run may not have heard of it.

    Empty for none, and for that of this `run`. One that has ended was heard of where its run has done anything
    afterwards: no step begins before the arbiter has written down what the migration did.
    """
    at = next((at for at in reversed(range(len(lines))) if lines[at].get("step") == "migrate"), None)
    if at is None:
        return {}
    last = dict(lines[at])
    if last.get("result") == "heard" or last.get("run") == run:
        return {}
    went_on = any(line.get("run") == last.get("run") for line in lines[at + 1 :])
    return {} if went_on and last.get("result") != "started" else last


def _has_migrated(line: Line) -> bool:
    """Say whether the migration of a line was run, and may have done something."""
    if line.get("event") == MIGRATED:
        return True
    if line.get("status") in (None, "", "started"):
        return False
    moved = line.get("schema_after", "") != line.get("schema_before", "")
    return line.get("status") == "live" or moved or bool(line.get("migrated"))


def _named(told: Story, to: str, on_hosts: Collection[str]) -> Release:
    hits = _hits(told, to)
    good = [release for release in hits if release.good]
    if len(good) == 1:
        return good[0]
    if not hits:
        raise Refused(f"no release {to!r} in the ledger", _way(told, on_hosts))
    if not good:
        raise Refused(f"{to} never passed its gate", _way(told, on_hosts))
    raise Refused(f"{to!r} names several releases", f"one of: {', '.join(release.id for release in good)}")


def _way(told: Story, on_hosts: Collection[str]) -> str:
    """Return the way to another release: a rollback to one that the hosts still have, else a deploy."""
    left = [name for name in told.order if name != told.live and name in on_hosts]
    return f"`rollback --to RELEASE` takes {' or '.join(left)}" if left else "`deploy --ref COMMIT` takes an older one"


def prunable(lines: Iterable[Line], *, present: Sequence[str], keep: int, busy: Iterable[str] = ()) -> list[str]:
    """Return those of `present` that may be removed, so that `keep` good ones stay beside what must stay.

    Never removed: the live one, what a rollback would go back to, and `busy` (in a slot, or being deployed). Raises
    ValueError when keep < 1.
    """
    if keep < 1:
        raise ValueError("keep must be at least 1: a rule that removes every release is a typo")
    told = story(lines)
    stay = {told.live, *busy}
    good = [name for name in told.order if not told.releases[name].withdrawn and name in present]
    stay.update(good[-keep:])
    if told.live in told.order:
        before = [name for name in told.order[: told.order.index(told.live)] if name in good]
        stay.update(before[-1:])
    return [name for name in present if name not in stay]


def called(told: Story, word: str) -> Release:
    """Return the release that a word names: its id, its commit, the beginning of one; of a commit's the live one.

    Raises Refused where it names none, or several.
    """
    hits, every = _hits(told, word), told.releases
    if len(hits) > 1 and told.live and every[told.live] in hits:
        return every[told.live]
    if not hits:
        raise Refused(
            f"no release {word!r} in the ledger", f"one of: {', '.join(every)}" if every else "`deploy` first"
        )
    if len(hits) > 1:
        raise Refused(f"{word!r} names several releases", f"one of: {', '.join(release.id for release in hits)}")
    return hits[0]


def _hits(told: Story, word: str) -> list[Release]:
    """Return the release whose id a word is, else all that it may mean."""
    if word in told.releases:
        return [told.releases[word]]
    every = told.releases.values()
    return [each for each in every if names.is_called(each.id, word, commit=str(each.line.get("commit") or ""))]


def tale(lines: Iterable[Line], word: str) -> dict[str, Any]:
    """Return what a ledger tells of the release that a word names: its id, its commit, or the beginning of one.

    `runs` are the ends of its runs, or their beginning where there is no end, and each rollback from it; with what was
    decided in their stages, without the draws that this was made of: they are for whoever checks it, in the ledger. No
    word means the last run's. Raises Refused where it names none, or several.
    """
    every = [dict(line) for line in lines]
    told = story(every)
    if not told.releases:
        raise Refused("the ledger has no release yet", "`deploy` brings one")
    last = next(str(line["release"]) for line in reversed(every) if line.get("release") in told.releases)
    found = called(told, word or last)
    ended = {line.get("run") for line in every if line.get("status") not in (None, "", "started")}
    about = [line for line in every if line.get("status") and _is_about(line, found.id)]
    runs = [_run(line) for line in about if line["status"] != "started" or line.get("run") not in ended]
    return {
        "release": found.id,
        "good": found.good,
        "withdrawn": found.withdrawn,
        "hotfix": found.hotfix,
        "status": found.status,
        "runs": runs,
    }


def _run(line: Line) -> dict[str, Any]:
    verdicts = [
        {key: value for key, value in verdict.items() if key != "draws"} for verdict in line.get("verdicts") or []
    ]
    return {**{key: line.get(key) for key in OF_A_RUN}, "hotfix": bool(line.get("hotfix")), "verdicts": verdicts}


def _is_about(line: Line, release: str) -> bool:
    left = line.get("event") == "rollback" and line["status"] == "live" and line.get("previous") == release
    return left or line.get("release") == release
