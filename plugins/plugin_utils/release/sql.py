"""SQL migrations, judged by squawk before anything is touched: those that the live release has not got as they are.

What applied long ago cannot be changed any more, and what is live was well with it.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import building, git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import tool_path

PROGRAM = "squawk"
LOCKS = (
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-serial-primary-key-field",
    "ban-alter-domain-with-add-constraint",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
)
"""Rules of what keeps clients waiting for as long as a table is read or written through."""
BREAKS = (
    "adding-required-field",
    "ban-drop-database",
    "ban-set-schema",
    "ban-truncate-cascade",
    "renaming-column",
    "renaming-object",
    "renaming-table",
)
"""Rules of what the live release, which serves meanwhile, does not survive."""
REMOVES = (
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-default",
    "ban-drop-domain",
    "ban-drop-extension",
    "ban-drop-function",
    "ban-drop-generated-expression",
    "ban-drop-not-null",
    "ban-drop-schema",
    "ban-drop-sequence",
    "ban-drop-table",
    "ban-drop-type",
    "ban-drop-view",
)
"""Rules of what takes away: the live release must have ceased to need it, as `kind` may say."""
FAILS = (
    "ban-concurrent-index-creation-in-transaction",
    "ban-duplicate-column-assignments",
    "ban-uncommitted-transaction",
    "syntax-error",
    "transaction-nesting",
)
"""Rules of what PostgreSQL refuses, or does not keep."""
RULES = (*LOCKS, *BREAKS, *REMOVES, *FAILS)
"""All that refuse a deploy. Others of squawk are matters of taste, or warn of what a limit of time bounds."""

GLOB = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])")
GLOBS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
WAY = re.compile(
    r"\s*--\s*(?:\+(?:goose|migrate)\s+(up|down)|migrate:(up|down)|(up|down)\s+migration)\b", re.IGNORECASE
)
"""How goose, sql-migrate, dbmate and node-pg-migrate begin the parts of a file that lead there and back."""
OUTSIDE = "\n-- squawk-disable-assume-in-transaction\n"
SHOWN = 5  # of what is only noted


@dataclass(frozen=True)
class Flaw:
    """What a rule has found: `file` as the application's tree has it, `line` from 1 on."""

    file: str
    line: int
    rule: str
    message: str

    @property
    def wrong(self) -> str:
        """What is wrong, in a sentence that begins with the rule."""
        return f"{self.rule}: {self.message}"


@dataclass(frozen=True)
class Verdict:
    """What was found of the migrations that come; where nobody knows which these are, of `all`, and `why` that is."""

    flaws: Sequence[Flaw] = ()
    why: str = ""

    @property
    def refuses(self) -> bool:
        """Whether nothing may be touched."""
        return bool(self.flaws) and not self.why

    def note(self) -> str:
        """Return what should be known where nothing is refused; empty for nothing."""
        if not self.flaws or not self.why:
            return ""
        said = ", ".join(f"{each.file}:{each.line} {each.rule}" for each in self.flaws[:SHOWN])
        more = len(self.flaws) - SHOWN
        some = f"{said} and {more} more" if more > 0 else said
        return f"which SQL migrations are new is not known ({self.why}), so none is refused; of all: {some}"


def way_out(flaws: Iterable[Flaw]) -> str:
    """Return what to type where these are meant."""
    rules = {flaw.rule for flaw in flaws}
    told = ["`migrations.sql_ignore: [RULE]`"]
    if rules - {"syntax-error"}:  # which no comment silences
        told.insert(0, "`-- squawk-ignore RULE` on the line above")
    if rules.intersection(REMOVES):
        told.append("`migrations.kind: contract` where what is live no longer needs what goes")
    return f"write them otherwise (https://squawkhq.com/docs/rules), or where they are meant: {', or '.join(told)}"


def refusal(verdict: Verdict, path: str) -> dict[str, str]:
    """Return the reason, with all that is wrong, and the way out; empty for none. `path` is the application's."""
    if not verdict.refuses:
        return {}
    places = [f"{posixpath.normpath(posixpath.join(path, each.file))}:{each.line}" for each in verdict.flaws]
    found = [f"  {place}: {each.wrong}" for place, each in zip(places, verdict.flaws)]
    said = "SQL migrations that are new would lock tables, fail, or break the release that is live:"
    return {"reason": "\n".join([said, *found]), "hint": way_out(verdict.flaws)}


def refusing(migrations: Mapping[str, Any]) -> set[str]:
    """Return the rules that refuse a deploy of a description with such migrations."""
    meant = () if migrations["kind"] == "expand" else REMOVES
    return {*RULES} - {*meant, *migrations["sql_ignore"]}


def named(entries: Sequence[str], names: Iterable[str]) -> list[list[str]]:
    """Return, for each of the files, directories and globs, those of the paths that it names.

    Of directories and globs these are the files that end in .sql and not in .down.sql, which lead back.
    """
    found = []
    for entry in entries:
        plain = entry.removeprefix("./").rstrip("/")
        parts = GLOB.split("**" if plain in ("", ".") else plain)
        glob = re.compile("".join(GLOBS.get(p, p if p.startswith("[") else re.escape(p)) for p in parts) + "(?:/.*)?")
        found.append([each for each in names if each == plain or (glob.fullmatch(each) and _leads_on(each))])
    return found


def unfit(entry: str) -> str:
    """Return why an entry can name nothing in the application's tree; empty for none."""
    if entry.startswith("/") or ".." in entry.split("/"):
        return f"{entry!r} must be a path or a glob below ferryman.yml, like `migrations` or `db/*.up.sql`"
    try:
        named([entry], [])
    except re.error as error:
        return f"{entry!r} is no glob: {error}"
    return ""


def absent(entries: Sequence[str], names: Collection[str]) -> list[int]:
    """Return which of the entries (by number) name none of the paths: a misspelt one would be judged well forever."""
    return [number for number, found in enumerate(named(entries, names)) if not found]


def _leads_on(name: str) -> bool:
    return name.endswith(".sql") and not name.endswith(".down.sql")


def forward(text: str) -> str:
    """Return a migration without what leads back, which no deploy runs; every line stays where it is."""
    lines, back = [], False
    for line in text.split("\n"):
        if way := WAY.match(line):
            back = "down" in [word and word.lower() for word in way.groups()]
        lines.append("" if back else line)
    return "\n".join(lines)


def parsed(said: str, names: Mapping[str, str], rules: Collection[str]) -> list[Flaw]:
    """Return what squawk's JSON tells of these rules, once a line; `names` are the files by what squawk calls them.

    ValueError, KeyError or TypeError for what is no such JSON. Squawk counts lines from 0.
    """
    found: dict[tuple[str, int, str], Flaw] = {}
    for each in json.loads(said):
        place = (names[each["file"]], int(each["line"]) + 1, str(each["rule_name"]))
        message = " ".join(filter(None, (each["message"], each["help"])))
        if place[2] in rules:
            found.setdefault(place, Flaw(*place, " ".join(message.split())))
    return sorted(found.values(), key=lambda flaw: (flaw.file, flaw.line, flaw.rule))


def lint(texts: Mapping[str, str], rules: Collection[str]) -> list[Flaw]:
    """Return what squawk finds in these texts, by their paths. AnsibleError where it is not here, or gives no answer.

    Migrations run in transactions of their own, in which a new table is nobody else's yet; what is CONCURRENTLY cannot.
    A squawk.toml of the machine has no say: what refuses a deploy is the same everywhere.
    """
    if not texts:
        return []
    names = {f"{number}.sql": path for number, path in enumerate(sorted(texts))}  # no name can be taken for a pattern
    with tempfile.TemporaryDirectory(prefix="ferryman-sql-") as place:
        for name, path in names.items():
            text = forward(texts[path])
            outside = OUTSIDE if re.search(r"\bconcurrently\b", text, re.IGNORECASE) else ""
            (Path(place) / name).write_text(text + outside, encoding="utf-8", newline="")
        words = [PROGRAM, "--reporter", "json", "--assume-in-transaction", "--config", os.devnull]
        try:
            done = building.run([*words, *names], cwd=Path(place), env={"PATH": tool_path()})
        except FileNotFoundError:
            raise AnsibleError("migrations.sql needs squawk on the driver: pip install squawk-cli") from None
    try:
        return parsed(done.stdout, names, rules)
    except (ValueError, KeyError, TypeError):
        said = (done.stderr or done.stdout).strip().split("\n")[0]
        raise AnsibleError(f"squawk ended with {done.returncode}, and gave no answer: {said}") from None


def live_of(lines: Iterable[ledger.Line]) -> str | None:
    """Return the commit that is live, as a ledger tells it; empty where nothing is."""
    told = ledger.story(lines)
    return told.releases[told.live].line.get("commit") if told.live else ""


def judged(commit: git.Commit, description: Mapping[str, Any], live: str | None) -> Verdict:
    """Return what is found of the SQL migrations that are not in the commit that is `live` as they are in this one.

    Where nothing is (empty), nothing uses the database yet, and nothing is found. None is for what nobody has told.
    """
    migrations = description.get("migrations") or {}
    if not migrations.get("sql") or live == "":
        return Verdict()
    wanted = {path for paths in named(migrations["sql"], git.names(commit)) for path in paths}
    why = "this machine has not seen yet what is live"
    if live is not None:
        try:
            wanted &= set(git.changes(commit, live))
            why = ""
        except AnsibleError:
            why = f"{live[:7]}, which is live, is not in this repository{_shallow(commit)}"
    texts = {path: git.show(commit, path) or "" for path in wanted}
    return Verdict(lint(texts, refusing(migrations)), why)


def _shallow(commit: git.Commit) -> str:
    shallow = git.git(commit.repository, "rev-parse", "--is-shallow-repository").strip() == "true"
    return f"; it is a shallow clone: `git -C {commit.repository} fetch --unshallow`" if shallow else ""
