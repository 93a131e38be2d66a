"""What a deploy would change, from what is known before it: pure comparisons, and what git tells of two commits."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import files, render, slots
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.artifact import is_migration

THIS_RELEASE = "<release>"
"""What stands for a release's id in a difference: a new one has always another."""


def commits(commit: git.Commit, live: str) -> dict[str, Any]:
    """Return the commits between the one that is live (empty for none) and the one that is wanted.

    `added` are those that come, newest first, `dropped` those that go (another branch, or an older commit), each with
    commit, subject, author and committed_at; of a first deploy the wanted one alone. `known` is false where the
    repository has not the live one. In a directory of a repository only what touches it counts.
    """
    if not live:
        return {"known": True, "added": _log(commit, f"{commit.id}^!"), "dropped": []}
    try:
        git.require_id(live)
        added, dropped = (_log(commit, f"{a}..{b}", whole=False) for a, b in ((live, commit.id), (commit.id, live)))
    except AnsibleError:
        return {"known": False, "added": [], "dropped": []}
    return {"known": True, "added": added, "dropped": dropped}


def _log(commit: git.Commit, which: str, *, whole: bool = True) -> list[dict[str, str]]:
    below = ["--", commit.path] if commit.path not in ("", ".") and not whole else []
    words = ("log", "--no-show-signature", "--topo-order", "-z", "--format=%H%x1f%s%x1f%an%x1f%cI")
    said = git.git(commit.repository, *words, which, *below)
    keys = ("commit", "subject", "author", "committed_at")
    return [dict(zip(keys, line.split("\x1f"), strict=True)) for line in said.split("\0") if line]


def file_changes(before: str, after: str) -> dict[str, Any]:
    """Return how the files of one artifact become those of another, from the texts of their lists.

    `added`, `changed` and `removed` are sorted lists of {path, bytes}; what is changed says `was_bytes` too.
    """
    old, new = files.load(before), files.load(after)
    return {
        "added": [{"path": path, "bytes": new[path].size} for path in sorted(new.keys() - old.keys())],
        "changed": [
            {"path": path, "bytes": new[path].size, "was_bytes": old[path].size}
            for path in sorted(new.keys() & old.keys())
            if new[path] != old[path]
        ],
        "removed": [{"path": path, "bytes": old[path].size} for path in sorted(old.keys() - new.keys())],
    }


def launchers(site: Site, description: Mapping[str, Any], *, environment: str, release: str) -> dict[str, str]:
    """Return the launchers of a release, by their names in it (run/<process>)."""
    texts = render.launchers(site, description, environment=environment, release=release)
    return {f"run/{name}": text for name, text in texts.items()}


def units(
    site: Site, description: Mapping[str, Any], *, slot: str, ports: Mapping[str, Any], scaled: Mapping[str, Any]
) -> dict[str, str]:
    """Return the units of a release as if in `slot`, by name; `ports` is the host's ports.json, `scaled` what is so.

    Failed (refused) where it has given out too few.
    """
    wanted = [each for each in slots.counted(site, slot, description, ports, scaled) if each.unit]
    return slots.units(site, slot, wanted, render.all_secrets(description))


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as texts whose lines can be compared."""
    return {name: json.dumps(value, indent=1, sort_keys=True) + "\n" for name, value in values.items() if value}


def text_changes(
    before: Mapping[str, str], after: Mapping[str, str], *, old: str = "", new: str = ""
) -> list[dict[str, Any]]:
    """Return what becomes of texts by name: [{name, change: new, changed or removed, diff: lines}].

    `old` and `new` are the ids of the releases that they are of, which are no difference.
    """
    changes = []
    for name in sorted({*before, *after}):
        was, is_ = (
            text.replace(release, THIS_RELEASE) if release else text
            for text, release in ((before.get(name, ""), old), (after.get(name, ""), new))
        )
        if was == is_:
            continue
        how = "new" if name not in before else "removed" if name not in after else "changed"
        lines = difflib.unified_diff(was.splitlines(), is_.splitlines(), lineterm="", n=1)
        changes.append({"name": name, "change": how, "diff": list(lines)[2:]})
    return changes


def migrations(
    description: Mapping[str, Any], *, run: bool, known: bool, changes: Mapping[str, Any], database: str
) -> dict[str, Any]:
    """Return whether the database is asked to migrate, why (or why not), and what is new among its migrations.

    `known` says whether there is a live release to compare with, `changes` are those of files.
    """
    told = description.get("migrations") or {}
    touched = of_migrations(description, changes)
    if not told.get("command"):
        why = "the application has none"
    elif not run:
        why = "they are those of the live release"
    elif not known:
        why = "no release is live yet"
    elif any(touched.values()):
        why = "their files have changed"
    else:
        why = "migrations.paths names no files, so the database is asked every time"
    dump = bool(run and database)
    return {"run": run, "why": why, "command": told.get("command", "") if run else "", **touched, "dump": dump}


def of_migrations(description: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the paths of those `changes` of files that are of migrations: added, changed, removed."""
    return {
        kind: [each["path"] for each in changes[kind] if is_migration(description, each["path"])]
        for kind in ("added", "changed", "removed")
    }


def steps(order: Sequence[str], did: Mapping[str, Sequence[str]], hosts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the steps in their order, each with the hosts that have work in it, as the inventory orders them.

    `did` are each host's steps; the answer is [{step, hosts}], without steps that concern nobody.
    """
    found = [{"step": step, "hosts": [host for host in hosts if step in did.get(host, ())]} for step in order]
    return [each for each in found if each["hosts"]]
