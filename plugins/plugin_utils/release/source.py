"""What is to be deployed: the commit, and how the application describes itself."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import render
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description, fit, git, sql
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Finding, Reader
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtime import RUNTIMES

FILE = description.FILE
PROD = "prod"


def read_once(action: ReleaseAction) -> dict[str, Any]:
    """Return what `read` found for the first of the hosts that ask in this run."""
    with action.alone():
        return action.recall("source") or read(action)


def commit_of(found: Mapping[str, Any]) -> git.Commit:
    """Return the commit of what `read` has found."""
    same = {key: found[key] for key in ("path", "ref", "subject", "committed_at", "dirty")}
    return git.Commit(**same, repository=Path(found["repository"]), id=found["commit"])


def read(action: ReleaseAction, *, any_state: bool = False) -> dict[str, Any]:
    """Resolve the commit, check the description against the inventory, and return both; the run remembers them."""
    ref = str(action.value("ref", "") or "")
    allow_dirty = bool(action.value("allow_dirty", False))
    if allow_dirty and action.environment == PROD and not any_state:
        raise AnsibleError(
            "release_allow_dirty is not for prod: commit the changes, so that somebody can see what is live"
        )
    commit = git.find(
        str(action.value("repository")),
        root=Path(str(action.value("root"))).expanduser(),
        path=str(action.value("path", ".")),
        ref=ref or "HEAD",
        cache=action.work_dir,
        # Provisioning only reads how the application describes itself.
        allow_dirty=allow_dirty or any_state,
        explicit=bool(ref),
    )
    told = _described(action, commit)
    found = {
        "repository": str(commit.repository),
        "path": commit.path,
        "commit": commit.id,
        "ref": commit.ref,
        "subject": commit.subject,
        "committed_at": commit.committed_at,
        "dirty": commit.dirty,
        "description": told,
        "configuration": render.configuration(Site(action.site), told, environment=action.environment),
    }
    action.remember("source", found)
    return found


def _described(action: ReleaseAction, commit: git.Commit) -> dict[str, Any]:
    told, found = judged(action, commit)
    if found:
        ill = "and the inventory do not fit" if told else "cannot be used"
        said = [f"{FILE} of {action.app} {ill}:", *(f"  {each}" for each in found)]
        refused = {"reason": "\n".join(said), "hint": "mend these lines; `check` asks no host", "refused": True}
        raise Stopped(action.host, refused)
    return told


def judged(action: ReleaseAction, commit: git.Commit) -> tuple[dict[str, Any], list[Finding]]:
    """Return the description with the inventory's sizes and settings, and all that is wrong between the two.

    A description that cannot be read is empty.
    """
    text = git.show(commit, FILE)
    place = place_of(commit)
    if text is None:
        where = f"commit {commit.id[:12]} of {commit.repository}"
        return {}, [Finding(place, (), f"is not in {where}: an application describes itself there")]
    try:
        told = description.read(text, source=place)
    except description.Problems as wrong:
        return {}, wrong.findings
    env = dict(action.value("env", {}) or {})
    have = dict(action.vars.get("release_secrets_names") or {}) or action.secrets
    reader = Reader(place, text)
    hosts = {*action.every["app"], *action.every["entry"]}
    found = fit.unfit(told, reader, action.app, env=env, secrets=set(have), has=partial(git.has, commit), hosts=hosts)
    found += [
        Finding(posixpath.join(posixpath.dirname(place), name), (), wrong, line)
        for name, line, wrong in RUNTIMES[told["runtime"]["kind"]].loose(commit, told)
    ]
    if told["migrations"].get("sql"):
        found += fit.unnamed(told, reader, sql.absent(told["migrations"]["sql"], git.names(commit)))
    try:
        told = description.sized(told, dict(action.value("processes", {}) or {}), source=f"apps.{action.app}.processes")
    except description.Problems as wrong:
        found = [*wrong.findings, *found]
    told["env"] = {**told["env"], **env}
    return told, found


def place_of(commit: git.Commit) -> str:
    """Return the description's place in its repository."""
    return f"{commit.path}/{FILE}" if commit.path != "." else FILE
