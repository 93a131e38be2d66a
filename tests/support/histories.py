"""Git repositories for tests: an application's life, commit by commit, good and bad.

    repository = tiny(tmp_path / "tiny", good("v1"), crashes(), good("v2"))
    repository.commit(never_ready())          # one more; answers the full commit id
    repository.commits                        # in order

Three applications: `notes` (examples/notes, with its database), `tiny` (standard library, no database) and
`bulk` (tiny with 2,000 files of data, 23 MB). Authors and dates are fixed: equal histories have equal commit ids.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

SUPPORT = Path(__file__).resolve().parent
NOTES = SUPPORT.parents[1] / "examples" / "notes"
BULK_FILES = 2000
BULK_BYTES = 23_000_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NOISE = shutil.ignore_patterns("__pycache__", ".*_cache", ".venv", "*.egg-info", "shared", "media")


@dataclass(frozen=True)
class Version:
    """One commit: what the page shows, how the program behaves, what happens to the schema, how many files change."""

    text: str
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    migration: Mapping[str, Any] | None = None  # {} is a good one
    share: float = 0.0  # of the files of the tree, 0 to 1
    description: Mapping[str, Any] = field(default_factory=dict)  # merged into ferryman.yml, from this commit on


def good(text: str, **description: Any) -> Version:
    """Return a version that works; words beyond the text are merged into ferryman.yml."""
    return Version(text, description=description)


def changes(text: str, share: float = 0.01) -> Version:
    """Return a good version that touches a share of the files."""
    return Version(text, share=share)


def migrates(text: str, sleep_s: float = 0, **description: Any) -> Version:
    """Return a good version with one more migration, which takes `sleep_s` seconds."""
    return Version(text, migration={"sleep_s": sleep_s} if sleep_s else {}, description=description)


def migration_fails(text: str = "its migration fails") -> Version:
    return Version(text, migration={"fails": True})


def takes_away(text: str = "takes away what the old one reads", **description: Any) -> Version:
    """Return a version (of tiny) whose migration takes something away that all versions before it read."""
    return Version(text, migration={"takes": True}, description=description)


def crashes(text: str = "crashes at start") -> Version:
    return Version(text, {"crash": True})


def never_ready(text: str = "never gets ready") -> Version:
    return Version(text, {"never_ready": True})


def slow(seconds: float, text: str = "starts slowly") -> Version:
    return Version(text, {"start_s": seconds})


def dies(seconds: float = 3, text: str = "healthy first, dead later", *, since: str = "start") -> Version:
    """Return a version whose process ends `seconds` after its start; tiny's also since it is `ready`, or has a
    `client`."""
    return Version(text, {"dies_s": seconds, "since": since})


def fails_later(seconds: float = 10, text: str = "answers 500 after a while", *, since: str = "start") -> Version:
    """Return a version whose answers are 500 from `seconds` after its start on; `since` as for `dies`."""
    return Version(text, {"errors_s": seconds, "since": since})


def login_fails(text: str = "nobody can log in", *, after_s: float = 0) -> Version:
    """Return a version (of tiny) that is healthy and whose login answers 500 and tells what it was sent."""
    return Version(text, {"login_fails_s": after_s})


def login_fails_behind_entry(text: str = "nobody can log in through the entry") -> Version:
    """Return a version (of tiny) whose login works on its own port and fails behind an entry."""
    return Version(text, {"login_fails_behind_entry": True})


def pool_runs_dry(text: str = "keeps all its connections", **when: Any) -> Version:
    """Return a version (of tiny) that is healthy, and whose metrics tell of a pool without a free connection.

    pool_s: from so many seconds after its start on; pool: while a shared file of that name is there.
    """
    return Version(text, when)


def shop(text: str, **fault: Any) -> Version:
    """Return a version (of tiny) that is healthy and whose /shop misbehaves: the page that most clients ask for.

    errors: the share of requests with 500; slow_s: seconds more; hangs; leaks_mb a request; dies: the share of requests
    in which the process ends; logged_in: errors and dies concern those alone who are; declines: the share of requests
    whose payment is declined, which its counters alone tell; once: all of it only while a shared file of that name is
    there. slow_young_s: seconds more until the process is young_s old.
    """
    return Version(text, {"shop": fault})


@dataclass
class Repository:
    """A git repository that grows by `commit`; `kind` is notes, tiny or bulk."""

    path: Path
    kind: str
    commits: list[str] = field(default_factory=list)

    def commit(self, version: Version) -> str:
        """Write and commit one version; return the full commit id."""
        {"notes": _write_notes, "tiny": _write_tiny, "bulk": _write_tiny}[self.kind](self.path, version)
        _merge_description(self.path, version.description)
        _touch(self.path / ("data" if self.kind == "bulk" else "."), version.share, seed=len(self.commits))
        at = (EPOCH + timedelta(hours=len(self.commits))).isoformat()
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", f"Say: {version.text}",
                 environment={"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at})  # fmt: skip
        self.commits.append(self.git("rev-parse", "HEAD"))
        return self.commits[-1]

    def git(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """Run git here, deaf to the settings of the machine; return what it printed."""
        person = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
                  for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))}  # fmt: skip
        deaf = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", "-C", str(self.path), *words], check=True, text=True, stdout=subprocess.PIPE,
                              env={**os.environ, **person, **deaf, **(environment or {})})  # fmt: skip
        return done.stdout.strip()


def history(path: Path, *versions: Version) -> Repository:
    """Make a repository of the example application `notes` at `path`, one commit a version."""
    shutil.copytree(NOTES, path, ignore=NOISE)
    return _begin(Repository(path, "notes"), versions)


def tiny(path: Path, *versions: Version, name: str = "tiny", python: str = "3.11") -> Repository:
    """Make a repository of the small application; several with different names fit on one host."""
    shutil.copytree(SUPPORT / "tiny", path, ignore=NOISE)
    _merge_description(path, {"name": name, "runtime": {"kind": "python", "version": python}})
    return _begin(Repository(path, "tiny"), versions)


def bulk(path: Path, *versions: Version, name: str = "bulk") -> Repository:
    """Make a repository of 2,000 files and 23 MB; `changes(text)` gives it a commit that changes 1 % of them.

    One file in four is of what can't be made smaller, as pictures are; the others are text.
    """
    shutil.copytree(SUPPORT / "tiny", path, ignore=NOISE)
    _merge_description(path, {"name": name})
    chance = random.Random(23)
    words = [chance.randbytes(chance.randint(1, 6)).hex() for _ in range(5000)]
    count = BULK_FILES - 4  # the program, its lock, its description, its behaviour
    for number in range(count):
        # Sizes of a real tree: many small files, a few large ones; they add up to about BULK_BYTES.
        size = max(64, int(chance.expovariate(count / BULK_BYTES)))
        file = path / "data" / f"{number % 40:02}" / f"{number:04}{'.txt' if number % 4 else '.bin'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = " ".join(chance.choices(words, k=size // 6)) if number % 4 else ""
        file.write_bytes(text.encode()[:size] if text else chance.randbytes(size))
    return _begin(Repository(path, "bulk"), versions)


def _begin(repository: Repository, versions: tuple[Version, ...]) -> Repository:
    repository.git("init", "-q", "-b", "main", "--template=")
    for version in versions or (good("v1"),):
        repository.commit(version)
    return repository


def _write_tiny(path: Path, version: Version) -> None:
    (path / "behaviour.json").write_text(json.dumps({"text": version.text, **version.behaviour}) + "\n")
    if version.migration is None:
        return
    folder = path / "migrations"
    folder.mkdir(exist_ok=True)
    # A migration that failed, or was taken back, was never part of the schema: its successor does not carry it along.
    for file in folder.glob("*.json"):
        if {"fails", "takes"} & {*json.loads(file.read_text())}:
            file.unlink()
    number = len(list(folder.glob("*.json"))) + 1
    (folder / f"{number:04}.json").write_text(json.dumps(version.migration) + "\n")
    _merge_description(path, {"migrations": {
        "command": "python tiny.py migrate", "revision": "python tiny.py revision",
        "downgrade": "python tiny.py downgrade {revision}", "paths": ["migrations"], "timeout_s": 30,
    }})  # fmt: skip


def _write_notes(path: Path, version: Version) -> None:
    page = path / "notes" / "static" / "index.html"
    page.write_text(re.sub(r'(id="motto">)[^<]*', lambda found: found[1] + version.text, page.read_text()))
    _misbehave(path, version.behaviour)
    folder = path / "migrations" / "versions"
    for file in folder.glob("*_fails.py"):
        file.unlink()
    if version.migration is not None:
        _add_migration(folder, version.migration)


def _misbehave(path: Path, behaviour: Mapping[str, Any]) -> None:
    """Wrap the application from outside: the example itself knows nothing of faults."""
    program, fault = path / "notes" / "main.py", path / "notes" / "fault.py"
    marker = "\n\nfrom notes.fault import spoil\n"
    source = program.read_text().split(marker)[0]
    if not behaviour:
        program.write_text(source)
        fault.unlink(missing_ok=True)
        return
    program.write_text(f"{source}{marker}\napp = spoil(app, {dict(behaviour)!r})\n")
    shutil.copy(SUPPORT / "fault.py", fault)


def _add_migration(folder: Path, migration: Mapping[str, Any]) -> None:
    before = max(file.name[:4] for file in folder.glob("[0-9][0-9][0-9][0-9]_*.py"))
    number = f"{int(before) + 1:04}"
    steps = [f'op.add_column("notes", sa.Column("extra_{number}", sa.Text(), nullable=True))']
    if migration.get("sleep_s"):
        steps.append(f'op.execute("select pg_sleep({migration["sleep_s"]})")')
    if migration.get("fails"):
        steps.append('op.execute("update a_table_that_is_not_there set x = 1")')
    name = "fails" if migration.get("fails") else "extra"
    (folder / f"{number}_{name}.py").write_text(
        f'"""Add extra_{number}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "{number}"\ndown_revision = "{before}"\n\n\n'
        f"def upgrade() -> None:\n    " + "\n    ".join(steps) + "\n\n\n"
        f'def downgrade() -> None:\n    op.drop_column("notes", "extra_{number}")\n'
    )


def _touch(folder: Path, share: float, *, seed: int) -> None:
    """Change a share of the files, other ones in every commit, without changing what they do."""
    if not share:
        return
    plain = {".bin", ".css", ".md", ".txt"}
    files = sorted(file for file in folder.rglob("*") if file.suffix in plain and ".git" not in file.parts)
    files = [file for file in files if file.name != "requirements.txt"]
    chance = random.Random(seed)
    for file in chance.sample(files, max(1, round(share * len(files)))):
        if file.suffix == ".bin":
            file.write_bytes(chance.randbytes(file.stat().st_size))
        else:
            comment = "/* {} */" if file.suffix == ".css" else "{}"
            file.write_text(file.read_text() + comment.format(f"change {seed}") + "\n")


def _merge_description(path: Path, extra: Mapping[str, Any]) -> None:
    if not extra:
        return
    file = path / "ferryman.yml"
    file.write_text(yaml.safe_dump(_merged(yaml.safe_load(file.read_text()), extra), sort_keys=False))


def _merged(base: Any, extra: Any) -> Any:
    if not (isinstance(base, Mapping) and isinstance(extra, Mapping)):
        return extra
    return {**base, **{name: _merged(base.get(name), value) for name, value in extra.items()}}


def both(first: Version, second: Version) -> Version:
    """Return a version with the faults and changes of both, and the text of the first."""
    return replace(first, behaviour={**first.behaviour, **second.behaviour}, share=max(first.share, second.share),
                   migration=first.migration if second.migration is None else second.migration)  # fmt: skip
