"""Judge how an application describes itself against the inventory. Runs on the driver, and refuses nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import stages
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import fit, git, source, sql
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Finding, Reader


class ActionModule(ReleaseAction):
    """ferryman.ops.release_check"""

    _requires_connection = False

    def work(self) -> dict[str, Any]:
        """Return the findings of this application as fields, its notes, and what it needs of a host."""
        try:
            told = self._judged()
        except AnsibleError as error:
            wrong = {"keys": ["apps", self.app, "repository"], "file": "", "line": 0, "wrong": str(error)}
            told = {"problems": [wrong], "notes": [], "needs": {}}
        unfit, hint = self.unfit
        if unfit:
            told["notes"].append(f"a deploy is refused: {unfit}; {hint}")
        return {"ferryman": {"described": {self.app: told}}}

    def _judged(self) -> dict[str, Any]:
        ref = str(self.value("ref", "") or "")
        commit = git.find(
            str(self.value("repository")),
            root=Path(str(self.value("root"))).expanduser(),
            path=str(self.value("path", ".")),
            ref=ref or "HEAD",
            cache=self.work_dir,
            allow_dirty=True,  # it is only read
            explicit=bool(ref),
        )
        told, found = source.judged(self, commit)
        if not told:
            return {"problems": [self._fields(each, commit) for each in found], "notes": [], "needs": {}}
        place = source.place_of(commit)
        text = Reader(place, git.show(commit, source.FILE))
        names, database = sorted(git.names(commit)), bool(self.value("database", {}))
        given = list(dict(self.vars.get("release_secrets_names") or {}) or self.secrets)
        found += fit.doubtful(told, text, self.app, secrets=given, files=names)
        verdict = sql.judged(commit, told, self._live())
        if verdict.refuses:
            found += [self._flaw(each, place) for each in verdict.flaws]
        noted = [f"{place}: {verdict.note()}"] if verdict.note() else []
        return {
            "problems": [self._fields(each, commit) for each in found],
            "notes": [
                *fit.notes(told, place, self.app, database=database, files=names),
                *noted,
                *self._beyond_baseline(),
            ],
            "needs": fit.needs(told, database=database, baseline=self.compares_with_baseline(told)),
            "commit": commit.id,
        }

    def _live(self) -> str | None:
        """Return the commit that this machine saw live last, empty for none; None where it has never looked."""
        return self.live_kept.read_text(encoding="ascii") if self.live_kept.is_file() else None

    @staticmethod
    def _flaw(flaw: sql.Flaw, place: str) -> Finding:
        file = posixpath.join(posixpath.dirname(place), flaw.file)
        return Finding(file, (), f"{flaw.wrong}; {sql.way_out([flaw])}", flaw.line)

    def _beyond_baseline(self) -> Iterator[str]:
        """Say at which shares a release is not compared with its baseline."""
        for name in ("stages", "hotfix_stages") if self.value("baseline", False) else ():
            shares = " and ".join(f"{share} %" for share in stages.beyond_baseline(self.value(name, []) or []))
            if not shares:
                continue
            yield f"release_{name}: at {shares} no baseline can have as many clients: nothing is compared with it there"

    def _fields(self, finding: Finding, commit: git.Commit) -> dict[str, Any]:
        """Return a finding as JSON: the inventory's with all its keys, the description's with file and line."""
        inventory = finding.source == f"apps.{self.app}" or finding.source.startswith(f"apps.{self.app}.")
        keys = [str(key) for key in finding.keys]
        return {
            "keys": [*finding.source.split("."), *keys] if inventory else keys,
            "file": "" if inventory else self._shown(finding.source, commit),
            "line": finding.line,
            "wrong": finding.wrong,
        }

    def _shown(self, place: str, commit: git.Commit) -> str:
        """Return a file of the application as people find it: from the project's root, if its repository is here."""
        repository = str(self.value("repository"))
        root = Path(str(self.value("root"))).expanduser()
        if not (root / Path(repository).expanduser()).exists():
            return f"{repository}: {place}"
        below = posixpath.relpath(place, commit.path)
        return posixpath.normpath(posixpath.join(repository, str(self.value("path", ".")), below))
