"""A hotfix: what is live with a little more, by the short way. What is more than that is refused, with all reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import artifact, git, plan, remembered, source
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

REASON = "this is no hotfix, which brings what is live with a little more, and no other schema"
WAY_OUT = "`deploy` without --hotfix goes the whole way"
SHOWN = 3  # commits and files of each reason


def reasons(
    live: str,
    *,
    commit: str,
    stands_on_it: bool | None,
    dropped: Sequence[Mapping[str, str]],
    migrations: Mapping[str, Any],
) -> list[str]:
    """Return all that makes a release more than a hotfix of the `live` one (empty for none); nothing where it is one.

    `commit` is that of the live one, `stands_on_it` as `git.leads_to` says it, `dropped` and `migrations` as a plan
    has them.
    """
    if not live:
        return ["nothing is live yet that it could mend"]
    return [*_besides(live, commit, stands_on_it, dropped), *_migrates(migrations)]


def _besides(live: str, commit: str, stands_on_it: bool | None, dropped: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if stands_on_it is None:
        lacks = (
            f"the repository does not have its commit {commit[:7]}" if commit else "the ledger knows no commit of it"
        )
        yield f"{live} is live, and {lacks}"
    elif not stands_on_it:
        lost = _some([f"{each['commit'][:7]} {each['subject']}" for each in dropped])
        yield f"it does not stand on {live}, which is live" + (f", and would drop {lost}" if lost else "")


def _migrates(migrations: Mapping[str, Any]) -> Iterator[str]:
    if migrations["run"]:
        touched = _some([path for kind in ("added", "changed", "removed") for path in migrations[kind]])
        yield f"it asks the database to migrate: {migrations['why']}" + (f" ({touched})" if touched else "")


def _some(words: Sequence[str]) -> str:
    more = [f"{len(words) - SHOWN} more"] if len(words) > SHOWN else []
    return ", ".join([*words[:SHOWN], *more])


def refused(
    action: ReleaseAction, planned: Mapping[str, Any], built: artifact.Artifact, base: Mapping[str, Any]
) -> list[str]:
    """Return why what a run has `planned` and `built` is no hotfix; `base` is what an app host has for live."""
    live, told = str(planned["previous"]), action.recall("source")
    commit, lines = source.commit_of(told), action.look_of(action.arbiter)["ledger"]["lines"]
    known = ledger.story(lines).releases.get(live)
    before = str(known.line.get("commit") or "") if known else ""
    stands_on_it = git.leads_to(before, commit) if before else None
    files = plan.file_changes(
        remembered.files_of(action.work_dir, str(base.get("digest", ""))) or "", built.list_of_files
    )
    return reasons(
        live,
        commit=before,
        stands_on_it=stands_on_it,
        dropped=plan.commits(commit, before)["dropped"] if stands_on_it is False else [],
        migrations=plan.migrations(
            told["description"], run=planned["migrate"], known=bool(base), changes=files, database=""
        ),
    )
